"""Tests of pacemaker.client.network."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pacemaker.client.address import ServerAddress
from pacemaker.client.network import (
    TcpNetwork,
    Waiter,
    alternate_families,
    connect,
    reason_of,
)

LONG_S = 30.0


@pytest.fixture
def waiter() -> Iterator[Waiter]:
    """Give a waiter of this thread."""
    waiter = Waiter()
    yield waiter
    waiter.close()


def test_wait_ends_by_itself(waiter: Waiter) -> None:
    """Where nothing happens a wait ends at its timeout, and none is below zero."""
    assert waiter.wait(0) == 0
    assert waiter.wait(-1.0) == 0


def test_wake_ends_the_wait_that_is_on(waiter: Waiter) -> None:
    """A thread is woken by another, however long it would have waited."""
    other = threading.Thread(target=waiter.wake)
    other.start()
    assert waiter.wait(None) == 0
    other.join()


def test_wake_counts_once(waiter: Waiter) -> None:
    """Words that came together end one wait, and not the one after it."""
    waiter.wake()
    waiter.wake()
    assert waiter.wait(LONG_S) == 0
    assert waiter.wait(0) == 0


@pytest.mark.io
def test_wait_sees_events_of_a_socket(waiter: Waiter) -> None:
    """Events of the socket are told, a wake at the same time or not."""
    near, far = socket.socketpair()
    with near, far:
        assert waiter.wait(LONG_S, near, select.POLLOUT) == select.POLLOUT
        assert waiter.wait(0, near, select.POLLIN) == 0
        far.send(b"x")
        waiter.wake()
        assert waiter.wait(LONG_S, near, select.POLLIN) == select.POLLIN


def test_stop_stays(waiter: Waiter) -> None:
    """A stop ends the wait and can be seen from then on."""
    assert not waiter.is_stopped
    waiter.stop()
    assert waiter.wait(LONG_S) == 0
    assert waiter.is_stopped


def test_wake_of_a_closed_waiter_is_nothing() -> None:
    """A word that comes too late touches no descriptor, which may be another's."""
    waiter = Waiter()
    waiter.close()
    waiter.wake()
    waiter.stop()


class SeveralPlaces(TcpNetwork):
    """A host with an address where nothing listens before the right one."""

    def __init__(self, *addresses: ServerAddress) -> None:
        self._addresses = addresses

    def resolve(self, address: ServerAddress) -> list[Any]:
        """Give the places of all addresses."""
        plain = TcpNetwork()
        return [place for each in self._addresses for place in plain.resolve(each)]


@pytest.mark.io
def test_connect_takes_the_first_place_that_listens(waiter: Waiter) -> None:
    """An address that refuses is passed over."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        refused = ServerAddress(*closed.getsockname())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        right = ServerAddress(*listener.getsockname())
        network = SeveralPlaces(refused, right)
        with connect(network, right, waiter, LONG_S) as sock:
            assert sock.getpeername() == tuple(right)
            assert not sock.getblocking()
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.io
def test_connect_gives_the_last_reason(waiter: Waiter) -> None:
    """Where no place takes the connection the system's reason is raised."""
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

    def begin_to_connect(self, place: Any) -> socket.socket:
        """Open a socket and keep it."""
        self.opened.append(super().begin_to_connect(place))
        return self.opened[-1]


@pytest.mark.io
def test_connect_does_not_wait_for_a_dead_place(waiter: Waiter) -> None:
    """An address that swallows what it is sent leaves time for the next one."""
    with (
        swallowing_address() as dead,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        right = ServerAddress(*listener.getsockname())
        network = Recorder(dead, dead, right)
        with connect(network, right, waiter, LONG_S, 0.1) as sock:
            assert sock.getpeername() == tuple(right)
        assert [each.fileno() for each in network.opened] == [-1] * 3


@pytest.mark.io
def test_connect_begins_with_the_first_place_alone(waiter: Waiter) -> None:
    """Where the first address answers in its head start no other one is bothered."""
    with (
        socket.create_server(("127.0.0.1", 0)) as first,
        socket.create_server(("127.0.0.1", 0)) as second,
    ):
        addresses = [ServerAddress(*each.getsockname()) for each in (first, second)]
        network = Recorder(*addresses)
        with connect(network, addresses[0], waiter, LONG_S) as sock:
            assert sock.getpeername() == tuple(addresses[0])
        assert len(network.opened) == 1


@pytest.mark.io
def test_connect_gives_up_all_places_at_its_deadline(waiter: Waiter) -> None:
    """The deadline is one for all addresses, and every socket is closed."""
    with swallowing_address() as dead:
        network = Recorder(dead, dead)
        with pytest.raises(OSError, match="cannot be reached"):
            connect(network, dead, waiter, 0.1)
        assert {each.fileno() for each in network.opened} == {-1}


@pytest.mark.io
def test_connect_ends_with_a_stop(waiter: Waiter) -> None:
    """A connection that is closed does not wait for a dead address."""
    waiter.stop()
    with (
        swallowing_address() as dead,
        pytest.raises(OSError, match="cannot be reached"),
    ):
        connect(TcpNetwork(), dead, waiter, LONG_S)


def test_families_take_turns() -> None:
    """Several dead addresses of one family delay the other one only once."""
    ordered = alternate_families([(6, "a"), (6, "b"), (6, "c"), (4, "d"), (4, "e")])
    assert [name for _, name in ordered] == ["a", "d", "b", "e", "c"]


def test_name_that_cannot_be_asked_for_is_an_error_of_the_system() -> None:
    """What the look-up cannot even encode is told like a host that is not there."""
    with pytest.raises(OSError, match="not a host name"):
        TcpNetwork().resolve(ServerAddress("a..b", 1))


@pytest.mark.io
def test_connect_reports_a_place_that_fails_at_once(waiter: Waiter) -> None:
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
