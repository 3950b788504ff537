"""Tests of pacemaker.testing.network, as the client sees it."""

from __future__ import annotations

import select
import threading
from collections.abc import Generator

import pytest

from pacemaker.client import PacemakerConnection, ServerAddress, requests
from pacemaker.client.network import Network, Waiter
from pacemaker.errors import CannotConnectError
from pacemaker.testing import MemoryNetwork, MemoryPeer
from pacemaker.wire.messages import Message

PING = requests.create_path("/")


def test_network_is_what_a_connection_needs() -> None:
    """Its sockets and waiters are those of the seam."""
    with MemoryNetwork() as network:
        seam: Network = network
        server = network.server()
        with seam.begin_to_connect(server.address) as sock:
            sock.send(memoryview(PING.frame(7)))
            assert sock.getsockopt(1, 4) == 0
            assert server.requests[0].message_id == 7
            assert sock.recv(4096)
        assert server.peers[0].is_closed


def test_sockets_have_numbers_of_their_own() -> None:
    """As many as are open at the same time."""
    with MemoryNetwork() as network:
        server = network.server()
        socks = [network.begin_to_connect(server.address) for _ in range(3)]
        assert len({sock.fileno() for sock in socks}) == 3


def test_socket_has_the_events_of_poll() -> None:
    """It can always be written to; it can be read if there are bytes or the end."""
    with MemoryNetwork() as network:
        server = network.server()
        sock = network.begin_to_connect(server.address)
        both = select.POLLIN | select.POLLOUT
        assert sock.events(both) == select.POLLOUT
        with pytest.raises(BlockingIOError):
            sock.recv(1)
        server.peers[0].send(b"ab")
        assert sock.events(both) == both
        assert sock.recv(1) == b"a"
        server.peers[0].close()
        assert (sock.recv(9), sock.recv(9)) == (b"b", b"")
        with pytest.raises(BrokenPipeError):
            sock.send(memoryview(b"x"))


def test_reset_is_an_error_of_the_socket() -> None:
    """Unread bytes are lost with it."""
    with MemoryNetwork() as network:
        server = network.server()
        sock = network.begin_to_connect(server.address)
        server.peers[0].send(b"ab")
        server.reset_connections()
        with pytest.raises(ConnectionResetError):
            sock.recv(1)


def test_server_that_cannot_be_reached_never_connects() -> None:
    """The socket is neither readable nor writable."""
    with MemoryNetwork() as network:
        server = network.server()
        server.is_unreachable = True
        with network.begin_to_connect(server.address) as sock:
            assert sock.events(select.POLLIN | select.POLLOUT) == 0
            with pytest.raises(BlockingIOError):
                sock.recv(1)
            with pytest.raises(BlockingIOError):
                sock.send(memoryview(b"x"))


def test_address_without_a_server_refuses() -> None:
    """The error is the system's."""
    address = ServerAddress("nobody", 1)
    with (
        MemoryNetwork() as network,
        PacemakerConnection(address, network=network) as connection,
        pytest.raises(CannotConnectError, match="nobody:1: Connection refused"),
    ):
        connection.request(PING)


def test_error_of_a_script_is_raised_at_the_end() -> None:
    """The connection ends, and the test learns why."""

    def wrong(peer: MemoryPeer) -> Generator[None, Message, None]:
        yield
        raise ZeroDivisionError

    network = MemoryNetwork()
    server = network.server().script(wrong)
    with (
        pytest.raises(ZeroDivisionError),
        network,
        network.begin_to_connect(server.address) as sock,
    ):
        sock.send(memoryview(PING.frame(7)))
    assert server.peers[0].is_closed


def test_wake_ends_one_wait() -> None:
    """The current one, or the next; a stop can be seen from then on."""
    network = MemoryNetwork()
    waiter: Waiter = network.new_waiter()
    waiter.wake()
    assert waiter.wait(None) == 0
    stopper = threading.Thread(target=waiter.stop)
    stopper.start()
    assert waiter.wait(None) == 0
    stopper.join()
    assert waiter.is_stopped
    waiter.close()


def test_wait_ends_with_time() -> None:
    """A thread that waits is woken at its timeout, and not before."""
    network = MemoryNetwork()
    waiter = network.new_waiter()
    thread = threading.Thread(target=waiter.wait, args=(2.0,))
    thread.start()
    network.clock.advance(1.5)
    assert waiter.is_settled
    with network.clock.changed:
        assert waiter.until_s == 2.0

    def close() -> None:
        thread.join()
        waiter.close()

    closer = threading.Thread(target=close)
    closer.start()
    network.clock.advance(0.5)
    closer.join()
