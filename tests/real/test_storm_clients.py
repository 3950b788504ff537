"""Storm's own clients of three releases, against our daemon."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.real.clients import StormClient
from tests.real.daemons import Daemon
from tests.real.jvm import RELEASES
from tests.wire import by_hand as wire

pytestmark = pytest.mark.real

HOSTS = ("127.0.0.1", "127.0.0.2")
"""Storm's clients know one port for all servers, so two daemons need two addresses."""

BEAT = "/workerbeats/words-1-1700000000/7a4e-6700"


@pytest.fixture(scope="module", params=RELEASES)
def client(request: pytest.FixtureRequest, daemon: Daemon) -> Iterator[StormClient]:
    """Start the client of each release, one for all tests of this module."""
    host, port = daemon.address
    with StormClient(request.param, port, host) as started:
        yield started


@pytest.fixture(params=RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    """Name each release."""
    return str(request.param)


@pytest.fixture
def pair() -> Iterator[dict[str, Daemon]]:
    """Start two daemons on one port of two addresses."""
    with Daemon(bind=HOSTS[0]) as first:
        port = first.address[1]
        with Daemon(bind=HOSTS[1], port=port) as second:
            yield {HOSTS[0]: first, HOSTS[1]: second}


def test_client_reads_the_pulse_it_sent(client: StormClient) -> None:
    """A pulse is acknowledged, and read with the bytes that were sent."""
    assert client.ask("ask SEND_PULSE /c/one 00ff10") == "SEND_PULSE_RESPONSE"
    assert client.ask("ask GET_PULSE /c/one") == "GET_PULSE_RESPONSE /c/one 00ff10"


def test_client_overwrites_a_pulse(client: StormClient) -> None:
    """The later pulse of a path is the one that is read."""
    client.ask("ask SEND_PULSE /c/two 01")
    client.ask("ask SEND_PULSE /c/two 02")
    assert client.ask("ask GET_PULSE /c/two") == "GET_PULSE_RESPONSE /c/two 02"


def test_client_reads_an_empty_pulse(client: StormClient) -> None:
    """A pulse of no bytes is a value, unlike no pulse."""
    client.ask("ask SEND_PULSE /c/empty -")
    assert client.ask("ask GET_PULSE /c/empty") == "GET_PULSE_RESPONSE /c/empty -"


def test_client_reads_a_large_pulse(client: StormClient) -> None:
    """A pulse of 1 MiB, far more than one segment, comes back whole."""
    digits = "0123456789abcdef" * (2**20 // 8)
    assert client.ask(f"ask SEND_PULSE /c/large {digits}") == "SEND_PULSE_RESPONSE"
    reply = client.ask("ask GET_PULSE /c/large")
    assert reply == f"GET_PULSE_RESPONSE /c/large {digits}"


def test_client_reads_no_pulse_where_none_is(client: StormClient) -> None:
    """A read of a path without a pulse is answered without details."""
    assert client.ask("ask GET_PULSE /c/none") == "GET_PULSE_RESPONSE /c/none none"


def test_client_sees_what_exists(client: StormClient) -> None:
    """A path with a pulse exists; a directory above it does not."""
    client.ask("ask SEND_PULSE /c/dir/leaf 01")
    assert client.ask("ask EXISTS /c/dir/leaf") == "EXISTS_RESPONSE true"
    assert client.ask("ask EXISTS /c/dir") == "EXISTS_RESPONSE false"


def test_client_creates_no_node(client: StormClient) -> None:
    """CREATE_PATH is acknowledged and stores nothing."""
    assert client.ask("ask CREATE_PATH /c/made") == "CREATE_PATH_RESPONSE"
    assert client.ask("ask EXISTS /c/made") == "EXISTS_RESPONSE false"


def test_client_lists_the_nodes_of_a_path(client: StormClient) -> None:
    """A list names each node below a path once; an empty directory has none."""
    for path in ("/c/list/a", "/c/list/b/1", "/c/list/b/2"):
        client.ask(f"ask SEND_PULSE {path} 01")
    reply = "GET_ALL_NODES_FOR_PATH_RESPONSE"
    assert client.ask("ask GET_ALL_NODES_FOR_PATH /c/list") == f"{reply} a b"
    assert client.ask("ask GET_ALL_NODES_FOR_PATH /c/nothing") == reply


def test_client_gets_the_stub_of_all_pulses(client: StormClient) -> None:
    """GET_ALL_PULSE_FOR_PATH is answered without data, as Storm answers it."""
    reply = client.ask("ask GET_ALL_PULSE_FOR_PATH /c")
    assert reply == "GET_ALL_PULSE_FOR_PATH_RESPONSE"


def test_client_deletes_one_pulse(client: StormClient) -> None:
    """DELETE_PULSE_ID takes one path away and leaves what is below it."""
    for path in ("/c/single", "/c/single/below"):
        client.ask(f"ask SEND_PULSE {path} 01")
    reply = client.ask("ask DELETE_PULSE_ID /c/single")
    assert reply == "DELETE_PULSE_ID_RESPONSE"
    assert client.ask("ask EXISTS /c/single") == "EXISTS_RESPONSE false"
    assert client.ask("ask EXISTS /c/single/below") == "EXISTS_RESPONSE true"


def test_client_deletes_a_path(client: StormClient) -> None:
    """DELETE_PATH takes a path away with all below it, and not its neighbour."""
    for path in ("/c/tree", "/c/tree/a", "/c/tree/a/b", "/c/trees"):
        client.ask(f"ask SEND_PULSE {path} 01")
    assert client.ask("ask DELETE_PATH /c/tree") == "DELETE_PATH_RESPONSE"
    for path in ("/c/tree", "/c/tree/a", "/c/tree/a/b"):
        assert client.ask(f"ask EXISTS {path}") == "EXISTS_RESPONSE false"
    assert client.ask("ask EXISTS /c/trees") == "EXISTS_RESPONSE true"


def test_cluster_state_keeps_heartbeats(client: StormClient) -> None:
    """What Nimbus and workers do with heartbeats works through the cluster state."""
    assert client.ask(f"write {BEAT} 1000") == "ok"
    client.ask_until(f"read {BEAT}", "1000")
    client.ask_until("children /workerbeats", "words-1-1700000000")
    client.ask_until("delete /workerbeats/words-1-1700000000", "ok")
    client.ask_until(f"read {BEAT}", "none")
    client.ask_until("children /workerbeats", "")


def test_client_writes_again_after_a_restart(release: str) -> None:
    """A client that loses the daemon finds the one that comes back on its port."""
    with Daemon() as first:
        host, port = first.address
        with StormClient(release, port, host) as client:
            assert client.ask(f"write {BEAT} 1000") == "ok"
            assert first.stop() == 0
            with Daemon(bind=host, port=port):
                # Nothing tells a client of 2.x that the port was closed when it
                # tried: it takes its 11 attempts of a second, then a new client.
                assert client.ask(f"write {BEAT} 2000") == "ok"
                client.ask_until(f"read {BEAT}", "2000")


def test_client_fails_over_to_the_other_daemon(
    release: str, pair: dict[str, Daemon]
) -> None:
    """When the daemon that a worker writes to dies, it writes to the other."""
    port = pair[HOSTS[0]].address[1]
    with StormClient(release, port, *HOSTS) as client:
        assert client.ask(f"write {BEAT} 1000") == "ok"
        (used,) = [host for host in HOSTS if _stored(pair[host], BEAT)]
        (other,) = set(HOSTS) - {used}
        pair[used].stop()
        assert client.ask(f"write {BEAT} 2000") == "ok"
        assert _stored(pair[other], BEAT)
        client.ask_until(f"read {BEAT}", "2000")


def test_client_joins_the_answers_of_two_daemons(
    release: str, pair: dict[str, Daemon]
) -> None:
    """Over two daemons, both are listed and deleted, the newest heartbeat is read."""
    port = pair[HOSTS[0]].address[1]
    neighbour = "/workerbeats/lines-2-1700000000/7a4e-6701"
    for host, second in zip(HOSTS, (1000, 2000), strict=True):
        with StormClient(release, port, host) as writer:
            assert writer.ask(f"write {BEAT} {second}") == "ok"
            if host == HOSTS[0]:
                assert writer.ask(f"write {neighbour} 1000") == "ok"
    with StormClient(release, port, *HOSTS) as nimbus:
        nimbus.ask_until(f"read {BEAT}", "2000")
        both = "lines-2-1700000000 words-1-1700000000"
        nimbus.ask_until("children /workerbeats", both)
        nimbus.ask_until(f"delete {BEAT}", "ok")
    left = sum(_stored(daemon, BEAT) for daemon in pair.values())
    # 1.x means to delete at every server, but ends at the first that answers: it
    # looks for one answer that is no error in a sequence that is lazy.
    assert left == (1 if release.startswith("1.") else 0)


def _stored(daemon: Daemon, path: str) -> bool:
    with wire.Wire(daemon.address) as connection:
        reply = connection.ask(wire.path_request(wire.Type.EXISTS, path, 1))
    return reply == wire.exists_reply(True, 1)
