"""Tests of pacemaker.client.network, over real sockets."""

from __future__ import annotations

import contextlib
import gc
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from pacemaker.client.address import ServerAddress
from pacemaker.client.network import Socket, connect, reason_of
from pacemaker.client.tcp import PollWaiter, TcpNetwork

LONG_S = 30.0


@pytest.fixture
def waiter() -> Iterator[PollWaiter]:
    """Give a waiter of this thread."""
    waiter = PollWaiter()
    yield waiter
    waiter.close()


def real(sock: Socket) -> socket.socket:
    """Return the socket as what it is."""
    assert isinstance(sock, socket.socket)
    return sock


class SeveralPlaces(TcpNetwork):
    """A host with an address where nothing listens before the right one."""

    def __init__(self, *addresses: ServerAddress) -> None:
        self._addresses = addresses

    def resolve(self, address: ServerAddress) -> list[Any]:
        """Give the endpoints of all addresses."""
        plain = TcpNetwork()
        return [
            endpoint for each in self._addresses for endpoint in plain.resolve(each)
        ]


@pytest.mark.io
def test_connect_takes_the_first_place_that_listens(waiter: PollWaiter) -> None:
    """An address that refuses is passed over."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        refused = ServerAddress(*closed.getsockname())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        right = ServerAddress(*listener.getsockname())
        network = SeveralPlaces(refused, right)
        with real(connect(network, right, waiter, LONG_S)) as sock:
            assert sock.getpeername() == tuple(right)
            assert not sock.getblocking()
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.io
def test_connect_gives_the_last_reason(waiter: PollWaiter) -> None:
    """Where no endpoint takes the connection the system's reason is raised."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        refused = ServerAddress(*closed.getsockname())
    with pytest.raises(OSError, match="refused"):
        connect(SeveralPlaces(refused, refused), refused, waiter, LONG_S)


@contextlib.contextmanager
def swallowing_address() -> Iterator[ServerAddress]:
    """Give an address that answers nothing: its backlog is full, so the SYN is lost."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield ServerAddress(*listener.getsockname())


class Recorder(SeveralPlaces):
    """Keeps the sockets that were opened."""

    def __init__(self, *addresses: ServerAddress) -> None:
        super().__init__(*addresses)
        self.opened: list[socket.socket] = []

    def begin_to_connect(self, endpoint: Any) -> socket.socket:
        """Open a socket and keep it."""
        self.opened.append(super().begin_to_connect(endpoint))
        return self.opened[-1]


@pytest.mark.io
def test_failure_leaves_no_cycle(waiter: PollWaiter) -> None:
    """A relay tries again for as long as a Pacemaker is away, and collects nothing."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = ServerAddress(*unused.getsockname())
        while gc.collect():
            pass
        gc.disable()
        try:
            with contextlib.suppress(ConnectionRefusedError):
                connect(TcpNetwork(), address, waiter, 5.0)
            assert gc.collect() == 0
        finally:
            gc.enable()


@pytest.mark.io
def test_connect_does_not_wait_for_a_dead_endpoint(waiter: PollWaiter) -> None:
    """An address that swallows what it is sent leaves time for the next one."""
    with (
        swallowing_address() as dead,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        right = ServerAddress(*listener.getsockname())
        network = Recorder(dead, dead, right)
        with real(connect(network, right, waiter, LONG_S, 0.1)) as sock:
            assert sock.getpeername() == tuple(right)
        assert [each.fileno() for each in network.opened] == [-1] * 3


@pytest.mark.io
def test_connect_begins_with_the_first_place_alone(waiter: PollWaiter) -> None:
    """Where the first address answers in its head start no other one is bothered."""
    with (
        socket.create_server(("127.0.0.1", 0)) as first,
        socket.create_server(("127.0.0.1", 0)) as second,
    ):
        addresses = [ServerAddress(*each.getsockname()) for each in (first, second)]
        network = Recorder(*addresses)
        with real(connect(network, addresses[0], waiter, LONG_S)) as sock:
            assert sock.getpeername() == tuple(addresses[0])
        assert len(network.opened) == 1


@pytest.mark.io
def test_connect_gives_up_all_places_at_its_deadline(waiter: PollWaiter) -> None:
    """The deadline is one for all addresses, and every socket is closed."""
    with swallowing_address() as dead:
        network = Recorder(dead, dead)
        with pytest.raises(OSError, match="cannot be reached"):
            connect(network, dead, waiter, 0.1)
        assert {each.fileno() for each in network.opened} == {-1}


@pytest.mark.io
def test_connect_ends_with_a_stop(waiter: PollWaiter) -> None:
    """A connection that is closed does not wait for a dead address."""
    waiter.stop()
    with (
        swallowing_address() as dead,
        pytest.raises(OSError, match="cannot be reached"),
    ):
        connect(TcpNetwork(), dead, waiter, LONG_S)


@pytest.mark.io
def test_connect_reports_a_place_that_fails_at_once(waiter: PollWaiter) -> None:
    """A socket that cannot even begin is closed, and its reason raised."""
    broadcast = ServerAddress("255.255.255.255", 9)
    with pytest.raises(OSError, match=r"unreachable|Permission"):
        connect(TcpNetwork(), broadcast, waiter, LONG_S)


@pytest.mark.parametrize(
    ("error", "reason"), [(OSError(111, "Refused"), "Refused"), (OSError("x"), "x")]
)
def test_reason_is_the_systems(error: OSError, reason: str) -> None:
    """The reason is the system's word, or the text where there is none."""
    assert reason_of(error) == reason
