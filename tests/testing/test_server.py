"""Tests of pacemaker.testing.server: it answers like a Pacemaker, or as scripted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pacemaker.client import PacemakerConnection, requests
from pacemaker.errors import ConnectionLostError, DeadlineError
from pacemaker.testing import MemoryNetwork, MemoryServer, silent
from pacemaker.wire import messages

PING = requests.create_path("/")


@pytest.fixture
def connection(
    network: MemoryNetwork, server: MemoryServer
) -> Iterator[PacemakerConnection]:
    """Give a connection to it, whose calls wait for a second."""
    with PacemakerConnection(
        server.address, timeout_s=1.0, network=network
    ) as connection:
        yield connection


def test_server_is_a_pacemaker(
    server: MemoryServer, connection: PacemakerConnection
) -> None:
    """It stores, reads, lists and deletes by the rules of the daemon."""
    connection.request(requests.send_pulse("/w/1", b"beat"))
    server.put("/w/2", b"put")
    assert server.get("/w/1") == b"beat"
    assert connection.request(requests.get_pulse("/w/2")) == b"put"
    assert sorted(connection.request(requests.list_nodes("/w"))) == ["1", "2"]
    connection.request(requests.delete_path("/w"))
    assert server.get("/w/1") is None
    assert [each.type for each in server.requests][-1] == messages.DELETE_PATH


def test_long_list_is_whole(
    server: MemoryServer, connection: PacemakerConnection
) -> None:
    """Also one that the daemon writes in slices."""
    for number in range(3_000):
        server.put(f"/w/{number}", b"")
    assert len(connection.request(requests.list_nodes("/w"))) == 3_000


def test_dead_server_has_lost_its_heartbeats(
    network: MemoryNetwork, server: MemoryServer, connection: PacemakerConnection
) -> None:
    """As a Pacemaker that was started again."""
    connection.request(requests.send_pulse("/w", b"beat"))
    server.stall()
    server.die()
    network.clock.settle()
    assert not connection.is_available
    server.come_back()
    assert connection.request(requests.get_pulse("/w")) is None


def test_stalled_server_answers_late(
    network: MemoryNetwork, server: MemoryServer, connection: PacemakerConnection
) -> None:
    """It takes requests, and carries them out when it goes on."""
    connection.request(PING)
    server.stall()
    with pytest.raises(DeadlineError):
        connection.request(requests.send_pulse("/w", b"beat"))
    assert server.get("/w") is None
    server.resume()
    assert server.get("/w") == b"beat"
    assert network.clock.now_s() == 1.0


def test_delayed_answer_takes_its_time(
    network: MemoryNetwork, server: MemoryServer, connection: PacemakerConnection
) -> None:
    """The request is carried out at once."""
    server.delay_s = 0.75
    connection.request(PING)
    assert network.clock.now_s() == 0.75


def test_garbage_is_one_answer(
    server: MemoryServer, connection: PacemakerConnection
) -> None:
    """The next one is right again."""
    connection.request(PING)
    server.garble(b"\0\0\0\1\0")
    with pytest.raises(ConnectionLostError, match="broke the protocol"):
        connection.request(PING)
    connection.request(PING)


def test_scripts_are_of_one_connection_each(
    network: MemoryNetwork, server: MemoryServer, connection: PacemakerConnection
) -> None:
    """After them the server serves."""
    server.script(silent)
    with pytest.raises(DeadlineError):
        connection.request(PING)
    server.reset_connections()
    network.clock.advance(1.0)
    connection.request(PING)
    assert repr(server) == "<MemoryServer pm1:6699 dead=False>"


def test_request_that_no_pacemaker_answers_is_an_error_of_the_test() -> None:
    """A reply that is sent as a request is a mistake of the test."""
    network = MemoryNetwork()
    server = network.server()
    reply = messages.Message(messages.CREATE_PATH_RESPONSE, None, 1)
    with (
        pytest.raises(ValueError, match="CREATE_PATH_RESPONSE is not a request"),
        network,
        network.begin_to_connect(server.address) as sock,
    ):
        sock.send(memoryview(messages.encode(reply)))
