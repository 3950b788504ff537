"""Tests of pacemaker.client.tcp."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator

import pytest

from pacemaker.client.address import ServerAddress
from pacemaker.client.network import Clock, Network, Waiter
from pacemaker.client.tcp import (
    PollWaiter,
    SystemClock,
    TcpNetwork,
    alternate_families,
)

LONG_S = 30.0


@pytest.fixture
def waiter() -> Iterator[PollWaiter]:
    """Give a waiter of this thread."""
    waiter = PollWaiter()
    yield waiter
    waiter.close()


def test_wait_ends_by_itself(waiter: PollWaiter) -> None:
    """Where nothing happens a wait ends at its timeout, and none is below zero."""
    assert waiter.wait(0) == 0
    assert waiter.wait(-1.0) == 0


def test_wake_ends_the_wait_that_is_on(waiter: PollWaiter) -> None:
    """A thread is woken by another, however long it would have waited."""
    other = threading.Thread(target=waiter.wake)
    other.start()
    assert waiter.wait(None) == 0
    other.join()


def test_wake_counts_once(waiter: PollWaiter) -> None:
    """Words that came together end one wait, and not the one after it."""
    waiter.wake()
    waiter.wake()
    assert waiter.wait(LONG_S) == 0
    assert waiter.wait(0) == 0


@pytest.mark.io
def test_wait_sees_events_of_a_socket(waiter: PollWaiter) -> None:
    """Events of the socket are told, a wake at the same time or not."""
    near, far = socket.socketpair()
    with near, far:
        assert waiter.wait(LONG_S, near, select.POLLOUT) == select.POLLOUT
        assert waiter.wait(0, near, select.POLLIN) == 0
        far.send(b"x")
        waiter.wake()
        assert waiter.wait(LONG_S, near, select.POLLIN) == select.POLLIN


def test_stop_stays(waiter: PollWaiter) -> None:
    """A stop ends the wait and can be seen from then on."""
    assert not waiter.is_stopped
    waiter.stop()
    assert waiter.wait(LONG_S) == 0
    assert waiter.is_stopped


def test_wake_of_a_closed_waiter_is_nothing() -> None:
    """A word that comes too late touches no descriptor, which may be another's."""
    waiter = PollWaiter()
    waiter.close()
    waiter.wake()
    waiter.stop()


def test_families_take_turns() -> None:
    """Several dead addresses of one family delay the other one only once."""
    ordered = alternate_families([(6, "a"), (6, "b"), (6, "c"), (4, "d"), (4, "e")])
    assert [name for _, name in ordered] == ["a", "d", "b", "e", "c"]


def test_name_that_cannot_be_asked_for_is_an_error_of_the_system() -> None:
    """What the look-up cannot even encode is told like a host that is not there."""
    with pytest.raises(OSError, match="not a host name"):
        TcpNetwork().resolve(ServerAddress("a..b", 1))


def test_system_is_what_a_connection_needs() -> None:
    """Its clock and its waiters are those of the seam."""
    network: Network = TcpNetwork()
    clock: Clock = network.clock
    waiter: Waiter = network.new_waiter()
    waiter.close()
    assert clock.now_s() <= clock.now_s()


def test_clock_waits_for_an_event() -> None:
    """One that is set ends the wait, and the timeout does."""
    event = threading.Event()
    assert not SystemClock().wait_for(event, 0.0)
    event.set()
    assert SystemClock().wait_for(event, LONG_S)
