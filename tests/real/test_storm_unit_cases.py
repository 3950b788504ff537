"""The cases of Storm's own unit tests of Pacemaker, over the wire.

They are rewritten from Storm's ``PacemakerTest`` (2.x) and ``pacemaker_test`` (1.x).
Each runs against both Pacemakers, so that the JVM's confirms the case.  Storm's tests
of an unauthenticated handler are connections here that do not authenticate to a server
with DIGEST.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.daemons import Daemon, JvmDaemon
from tests.wire.by_hand import (
    Type,
    Wire,
    ack,
    exists_reply,
    nodes_of,
    path_request,
    pulse_reply,
    send_pulse,
)

pytestmark = pytest.mark.real

READS = (
    Type.EXISTS,
    Type.GET_ALL_PULSE_FOR_PATH,
    Type.GET_ALL_NODES_FOR_PATH,
    Type.GET_PULSE,
)
"""The requests that need an authenticated connection."""

WRITES = (Type.CREATE_PATH, Type.DELETE_PATH, Type.DELETE_PULSE_ID)

JAAS = """\
PacemakerDigest {
    org.apache.zookeeper.server.auth.DigestLoginModule required
    username="pacemaker"
    password="secret";
};
"""


def started(which: str, settings: dict[str, str]) -> Daemon | JvmDaemon:
    """Start one of the two Pacemakers."""
    if which == "storm":
        return JvmDaemon(settings=settings)
    pairs = (("-c", f"{key}={value}") for key, value in settings.items())
    return Daemon(*(word for pair in pairs for word in pair))


@pytest.fixture(scope="module", params=["storm", "ours"])
def connection(request: pytest.FixtureRequest) -> Iterator[Wire]:
    """Connect to each Pacemaker, where everyone may read."""
    with started(request.param, {}) as server, Wire(server.address) as connected:
        yield connected


@pytest.fixture(scope="module", params=["storm", "ours"])
def stranger(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Wire]:
    """Connect to each Pacemaker with DIGEST, and do not authenticate."""
    settings = digest_settings(tmp_path_factory.mktemp("jaas") / "jaas.conf")
    with started(request.param, settings) as server, Wire(server.address) as connected:
        yield connected


def digest_settings(jaas: Path) -> dict[str, str]:
    """Write a JAAS file and return the settings of a server that uses it."""
    jaas.touch(mode=0o600)
    jaas.write_text(JAAS)
    return {
        "pacemaker.auth.method": "DIGEST",
        "java.security.auth.login.config": str(jaas),
    }


@pytest.fixture
def message_id() -> int:
    """Choose the id of a request; the reply must repeat it."""
    return random.Random(100).randint(-(2**31), 2**31 - 1)  # noqa: S311


def make_nodes(connection: Wire, root: str, *names: str) -> None:
    """Store a pulse for each name below a path."""
    for name in names:
        connection.ask(send_pulse(f"{root}/{name}", b"nothing"))


def names_in(reply: bytes) -> frozenset[bytes]:
    """Return what a reply to a list names."""
    return nodes_of(reply)[1]


def test_create_path_is_acknowledged(connection: Wire, message_id: int) -> None:
    """CREATE_PATH is answered without data."""
    reply = connection.ask(path_request(Type.CREATE_PATH, "/testpath", message_id))
    assert reply == ack(Type.CREATE_PATH_RESPONSE, message_id)


def test_path_without_pulse_does_not_exist(connection: Wire, message_id: int) -> None:
    """EXISTS is false where no pulse was sent."""
    reply = connection.ask(path_request(Type.EXISTS, "/testpath", message_id))
    assert reply == exists_reply(False, message_id)


def test_path_with_pulse_exists(connection: Wire, message_id: int) -> None:
    """EXISTS is true where a pulse was sent."""
    connection.ask(send_pulse("/exists_path", b"pulse data"))
    reply = connection.ask(path_request(Type.EXISTS, "/exists_path", message_id))
    assert reply == exists_reply(True, message_id)


def test_pulse_sent_is_the_pulse_got(connection: Wire, message_id: int) -> None:
    """SEND_PULSE is answered without data, and GET_PULSE with the pulse."""
    reply = connection.ask(send_pulse("/pulsepath", b"pulse data", message_id))
    assert reply == ack(Type.SEND_PULSE_RESPONSE, message_id)
    reply = connection.ask(path_request(Type.GET_PULSE, "/pulsepath", message_id))
    assert reply == pulse_reply("/pulsepath", b"pulse data", message_id)


def test_all_pulses_of_a_path_are_a_stub(connection: Wire, message_id: int) -> None:
    """GET_ALL_PULSE_FOR_PATH is answered without data."""
    request = path_request(Type.GET_ALL_PULSE_FOR_PATH, "/testpath", message_id)
    reply = connection.ask(request)
    assert reply == ack(Type.GET_ALL_PULSE_FOR_PATH_RESPONSE, message_id)


@pytest.mark.parametrize("root", ["/some-root-path", "/some/deeper/path"])
def test_nodes_of_a_path_are_listed(
    root: str, connection: Wire, message_id: int
) -> None:
    """GET_ALL_NODES_FOR_PATH names what was stored below the path."""
    make_nodes(connection, root, "foo", "bar", "baz", "boo")
    request = path_request(Type.GET_ALL_NODES_FOR_PATH, root, message_id)
    assert names_in(connection.ask(request)) == {b"foo", b"bar", b"baz", b"boo"}


def test_pulse_names_its_path(connection: Wire, message_id: int) -> None:
    """GET_PULSE gives the path and the bytes of the pulse that is there."""
    make_nodes(connection, "/some-root", "GET_PULSE")
    path = "/some-root/GET_PULSE"
    reply = connection.ask(path_request(Type.GET_PULSE, path, message_id))
    assert reply == pulse_reply(path, b"nothing", message_id)


def test_deleted_path_has_no_nodes(connection: Wire, message_id: int) -> None:
    """DELETE_PATH is answered without data, and leaves nothing below the path."""
    root = "/some-root/DELETE_PATH"
    make_nodes(connection, root, "foo", "bar", "baz", "boo")
    reply = connection.ask(path_request(Type.DELETE_PATH, root, message_id))
    assert reply == ack(Type.DELETE_PATH_RESPONSE, message_id)
    request = path_request(Type.GET_ALL_NODES_FOR_PATH, root, message_id)
    assert names_in(connection.ask(request)) == set()


def test_deleted_pulse_is_no_node(connection: Wire, message_id: int) -> None:
    """DELETE_PULSE_ID is answered without data, and takes just that pulse."""
    root = "/some-root/DELETE_PULSE_ID"
    make_nodes(connection, root, "foo", "bar", "baz", "boo")
    request = path_request(Type.DELETE_PULSE_ID, f"{root}/foo", message_id)
    assert connection.ask(request) == ack(Type.DELETE_PULSE_ID_RESPONSE, message_id)
    request = path_request(Type.GET_ALL_NODES_FOR_PATH, root, message_id)
    assert names_in(connection.ask(request)) == {b"bar", b"baz", b"boo"}


@pytest.mark.parametrize("type_", READS)
def test_stranger_reads_nothing(type_: Type, stranger: Wire, message_id: int) -> None:
    """Without authentication each read is answered NOT_AUTHORIZED, without data."""
    stranger.ask(send_pulse("/exists_path", b"pulse data"))
    reply = stranger.ask(path_request(type_, "/exists_path", message_id))
    assert reply == ack(Type.NOT_AUTHORIZED, message_id)


@pytest.mark.parametrize("type_", WRITES)
def test_stranger_writes(type_: Type, stranger: Wire, message_id: int) -> None:
    """Writes need no authentication."""
    reply = stranger.ask(path_request(type_, "/stranger", message_id))
    assert reply == ack(type_ + 1, message_id)
