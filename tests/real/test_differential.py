"""The JVM's Pacemaker and ours, given the same requests: the same replies.

`docs/deviations.md` explains each intended difference, under the heading that its test
names.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

import pytest

from pacemaker.errors import MalformedError
from pacemaker.wire import messages
from tests.real.daemons import Daemon, JvmDaemon
from tests.real.jvm import ROOT
from tests.real.requests import Keys, Request, Requests, our_list, storm_list
from tests.wire.by_hand import (
    ClosedError,
    Type,
    Wire,
    binary,
    boolean,
    exists_reply,
    framed,
    i32,
    message,
    nodes_of,
    path_request,
    pulse_data,
    pulse_reply,
    send_pulse,
    struct_field,
)

pytestmark = pytest.mark.real

SEEDS = (1, 2, 3)
REQUESTS_PER_SEED = 10_000
BATCH = 50
MARK = 0x5E47
"""The id of the request that ends a batch: no other request has it."""

MAX_BODY_BYTES = 10_485_760
PULSE_OVERHEAD_BYTES = 37

DEVIATIONS = (ROOT / "docs" / "deviations.md").read_text()


@pytest.fixture(scope="module")
def jvm() -> Iterator[JvmDaemon]:
    """Start Storm's own Pacemaker, one for the tests that do not end it."""
    with JvmDaemon() as started:
        yield started


@pytest.fixture(autouse=True)
def _no_keys_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Empty both stores behind a test, for the next one."""
    yield
    for name in {"daemon", "jvm"} & set(request.fixturenames):
        with Wire(request.getfixturevalue(name).address) as connection:
            connection.ask(path_request(Type.DELETE_PATH, "/"))


def is_within_bounds(request: Request) -> bool:
    """Whether a request has no more fields than ours reads (docs/deviations.md)."""
    try:
        messages.decode(request.frame[4:])
    except MalformedError:
        return False
    return True


def replies(connection: Wire, batch: list[Request]) -> list[bytes]:
    """Send requests all at once and return all that is answered to them."""
    mark = path_request(Type.EXISTS, "/mark", MARK)
    connection.send(b"".join(request.frame for request in batch) + mark)
    received = [connection.receive()]
    while received[-1] != exists_reply(False, MARK):
        received.append(connection.receive())
    return received[:-1]


def check_batch(keys: Keys, batch: list[Request], ours: Wire, storm: Wire) -> None:
    """Compare what both answer to one batch, and let the model follow it."""
    answers = zip(replies(ours, batch), replies(storm, batch), strict=True)
    for request in batch:
        if request.type % 2 == 0 and request.type is not Type.NOT_AUTHORIZED:
            check_reply(keys, request, *next(answers))
        keys.follow(request)
    assert next(answers, None) is None, "more replies than requests"


def check_reply(keys: Keys, request: Request, ours: bytes, storm: bytes) -> None:
    """Compare both replies to one request: lists as sets, by the rule of each."""
    what = f"{request.type.name} {request.path!r} {request.frame[:200].hex()}"
    if request.type is not Type.GET_ALL_NODES_FOR_PATH:
        assert ours == storm, what
        return
    (head, names, tail), (storm_head, storm_names, storm_tail) = map(
        nodes_of, (ours, storm)
    )
    assert (head, tail) == (storm_head, storm_tail), what
    assert names == our_list(keys.keys, request.path), what
    assert storm_names == storm_list(keys.keys, request.path), what


@pytest.mark.parametrize("seed", SEEDS)
def test_both_answer_a_random_sequence_alike(
    seed: int, daemon: Daemon, jvm: JvmDaemon
) -> None:
    """Thousands of requests, valid and odd, get byte-identical replies."""
    source, keys = Requests(seed), Keys()
    for _ in range(REQUESTS_PER_SEED // BATCH):
        # Anew each time, as ours ends one that has sent a hundred useless messages.
        with Wire(daemon.address) as ours, Wire(jvm.address) as storm:
            batch = [each for each in source.take(BATCH) if is_within_bounds(each)]
            check_batch(keys, batch, ours, storm)
    with Wire(daemon.address) as ours, Wire(jvm.address) as storm:
        # Keys that do not begin with a slash outlive the deletion of "/".
        clear = [
            Request(Type.DELETE_PULSE_ID, key, path_request(Type.DELETE_PULSE_ID, key))
            for key in sorted(keys.keys)
        ]
        assert clear, "nothing was stored"
        check_batch(keys, clear, ours, storm)


def test_both_store_the_largest_pulse(daemon: Daemon, jvm: JvmDaemon) -> None:
    """A pulse of exactly the largest frame is stored, and read back in another."""
    size = MAX_BODY_BYTES - PULSE_OVERHEAD_BYTES - len("/big")
    details = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    request = send_pulse("/big", details, 5)
    assert len(request) == 4 + MAX_BODY_BYTES
    for server in (daemon, jvm):
        with Wire(server.address) as connection:
            assert connection.ask(request) == message(
                Type.SEND_PULSE_RESPONSE, message_id=5
            )
            reply = connection.ask(path_request(Type.GET_PULSE, "/big", 6))
            assert reply == pulse_reply("/big", details, 6)


@pytest.mark.parametrize("length", [-1, -(2**31), MAX_BODY_BYTES + 1, 2**31 - 1])
def test_both_refuse_a_length_out_of_range(
    length: int, daemon: Daemon, jvm: JvmDaemon
) -> None:
    """A frame's length out of range closes the connection as soon as it is there."""
    for server in (daemon, jvm):
        with Wire(server.address) as bystander, Wire(server.address) as peer:
            peer.send(struct.pack(">i", length))
            peer.ended()
            assert_served(bystander)


def exists_with(unknown_field: bytes) -> bytes:
    """Return a request that has one field more than the IDL knows."""
    data = struct_field(2, binary(1, "/a"))
    return framed(i32(1, Type.EXISTS) + data + unknown_field + b"\0")


def nested(depth: int) -> bytes:
    """Return an unknown field of so many structs in each other."""
    return struct.pack(">bh", 12, 9) * depth + b"\0" * depth


FATAL = {
    "a message with nothing in it": framed(b"\0"),
    "an unknown type": path_request(99, "/a", 1),
    "no type": framed(struct_field(2, binary(1, "/a")) + b"\0"),
    "a type that is no i32": framed(struct.pack(">bhq", 10, 1, 4) + b"\0"),
    "no data": message(Type.EXISTS, message_id=1),
    "a write without data": message(Type.SEND_PULSE, message_id=1),
    "an empty union": framed(i32(1, Type.EXISTS) + struct_field(2) + b"\0"),
    "an unknown field of the union": message(Type.EXISTS, binary(6, "/a")),
    "a pulse where a path is due": message(Type.EXISTS, pulse_data("/a", b"x")),
    "a path where a pulse is due": path_request(Type.SEND_PULSE, "/a", 1),
    "a bool where a path is due": message(Type.DELETE_PATH, boolean(3, True)),
    "a pulse without details": message(Type.SEND_PULSE, pulse_data("/a", None)),
    "a pulse without id": message(Type.SEND_PULSE, struct_field(2, binary(2, b"x"))),
    "garbage": framed(b"GET / HTTP/1.1\r\n\r\n"),
    "a string beyond the frame": framed(
        i32(1, Type.EXISTS) + struct.pack(">bhbhi", 12, 2, 11, 1, 2**31 - 1)
    ),
    "a string of negative length": framed(
        i32(1, Type.EXISTS) + struct.pack(">bhbhi", 12, 2, 11, 1, -1) + b"\0\0"
    ),
    "a list beyond the frame": exists_with(struct.pack(">bhbi", 15, 9, 12, 2**31 - 1)),
    "a field of no type": exists_with(struct.pack(">bh", 99, 9)),
    "100,000 nested structs": exists_with(nested(100_000)),
    "a token request where no SASL is": bytes.fromhex(
        "00000015080001000000100c00020b000700000002ff360000"
    ),
    "a token where no SASL is": bytes.fromhex(
        "0000001c080001000000110c00020b000700000009fe0c000000036162630000"
    ),
    "an unknown control code": bytes.fromhex(
        "00000015080001000000100c00020b00070000000212340000"
    ),
}
"""Requests that end the JVM's Pacemaker, each with one frame."""


@pytest.mark.parametrize("what", FATAL)
def test_request_ends_the_jvm(what: str) -> None:
    """Such a request ends the process of the JVM's Pacemaker."""
    with JvmDaemon() as jvm, Wire(jvm.address) as peer:
        peer.send(FATAL[what])
        assert jvm.wait() != 0


@pytest.mark.parametrize("what", FATAL)
def test_request_that_ends_the_jvm_only_closes_here(what: str, daemon: Daemon) -> None:
    """Such a request ends nothing here but its own connection, and is logged."""
    assert_heading("Bad input closes one connection")
    with Wire(daemon.address) as bystander, Wire(daemon.address) as peer:
        here = ":".join(map(str, peer.socket.getsockname()))
        peer.send(FATAL[what])
        peer.ended()
        daemon.logged(re.escape(here), 10)
        assert_served(bystander)


def test_list_of_no_regex_is_answered(daemon: Daemon) -> None:
    """A list of a path that is no regular expression ends the JVM, not ours."""
    assert_heading("A list is of a directory")
    stored = send_pulse("/workerbeats/(/a", b"x", 1)
    request = path_request(Type.GET_ALL_NODES_FOR_PATH, "/workerbeats/(", 2)
    with JvmDaemon() as jvm, Wire(jvm.address) as peer:
        peer.ask(stored)
        peer.send(request)
        assert jvm.wait() != 0
    with Wire(daemon.address) as peer:
        peer.ask(stored)
        assert nodes_of(peer.ask(request))[1] == {b"a"}


def test_path_of_no_utf8_is_not_replaced(daemon: Daemon, jvm: JvmDaemon) -> None:
    """A path that is not UTF-8 is another path in the JVM, and refused here."""
    assert_heading("A path is UTF-8")
    request = message(Type.EXISTS, binary(1, b"/\xff"), message_id=1)
    with Wire(jvm.address) as peer:
        peer.ask(send_pulse("/\ufffd", b"x"))
        assert peer.ask(request) == exists_reply(True, 1)
    with Wire(daemon.address) as peer:
        peer.send(request)
        peer.ended()


def test_pulse_that_fits_no_reply_is_refused(daemon: Daemon, jvm: JvmDaemon) -> None:
    """A pulse without an id can be too large to be read again: refused here."""
    assert_heading("What is stored can be read")
    details = bytes(MAX_BODY_BYTES - PULSE_OVERHEAD_BYTES - len("/big") + 1)
    request = send_pulse("/big", details)
    assert len(request) <= 4 + MAX_BODY_BYTES
    with Wire(jvm.address) as peer:
        assert peer.ask(request) == message(Type.SEND_PULSE_RESPONSE, message_id=-1)
    with Wire(daemon.address) as peer, pytest.raises(ClosedError):
        peer.ask(request)


def test_deep_path_is_refused(daemon: Daemon, jvm: JvmDaemon) -> None:
    """A path of more segments than anyone has is stored by the JVM, refused here."""
    assert_heading("A path has an end")
    request = send_pulse("/" * 300, b"x", 1)
    with Wire(jvm.address) as peer:
        assert peer.ask(request) == message(Type.SEND_PULSE_RESPONSE, message_id=1)
    with Wire(daemon.address) as peer:
        peer.send(request)
        peer.ended()


BOUNDED = {
    "nested structs": nested(65),
    "many elements": struct.pack(">bhbi", 15, 9, 12, 20_000) + b"\0" * 20_000,
}
"""Unknown fields that the JVM skips."""


@pytest.mark.parametrize("what", BOUNDED)
def test_unknown_field_is_skipped_within_bounds(
    what: str, daemon: Daemon, jvm: JvmDaemon
) -> None:
    """An unknown field that would cost much is skipped by the JVM, refused here."""
    assert_heading("Unknown fields have bounds")
    request = exists_with(BOUNDED[what])
    with Wire(jvm.address) as peer:
        assert peer.ask(request) == exists_reply(False)
    with Wire(daemon.address) as peer:
        peer.send(request)
        peer.ended()


def assert_served(bystander: Wire) -> None:
    """Check that a connection which did nothing wrong is answered at once."""
    bystander.socket.settimeout(1)
    reply = bystander.ask(path_request(Type.EXISTS, "/bystander", 3))
    assert reply == exists_reply(False, 3)


def assert_heading(heading: str) -> None:
    """Check that a deviation is documented under this heading."""
    assert f"\n## {heading}\n" in DEVIATIONS
