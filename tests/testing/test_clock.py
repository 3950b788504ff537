"""Tests of pacemaker.testing.clock: events happen only when time moves, in order."""

from __future__ import annotations

import functools
import threading

import pytest

from pacemaker.client.network import Clock
from pacemaker.testing import MemoryClock
from pacemaker.testing import clock as module


def test_clock_is_what_a_connection_needs() -> None:
    """It begins at 0 and moves as far as it is told."""
    clock = MemoryClock()
    seam: Clock = clock
    clock.advance(2.5)
    clock.advance(0.0)
    assert seam.now_s() == 2.5


def test_scheduled_functions_are_called_at_their_moments() -> None:
    """In the order of time; those of one moment in the order of their scheduling."""
    clock = MemoryClock()
    called: list[tuple[str, float]] = []

    def note(name: str) -> None:
        called.append((name, clock.now_s()))

    for name, delay_s in (("c", 3.0), ("a", 1.0), ("b", 1.0), ("d", 3.5)):
        clock.call_later(delay_s, functools.partial(note, name))
    clock.advance(3.0)
    assert called == [("a", 1.0), ("b", 1.0), ("c", 3.0)]


def test_function_may_schedule_another() -> None:
    """One that falls into the same advance is called in it."""
    clock = MemoryClock()
    called: list[float] = []
    clock.call_later(
        1.0, lambda: clock.call_later(1.0, lambda: called.append(clock.now_s()))
    )
    clock.advance(5.0)
    assert called == [2.0]


def test_wait_moves_time_to_the_event() -> None:
    """And no further."""
    clock, event = MemoryClock(), threading.Event()
    clock.call_later(2.0, event.set)
    assert clock.wait_for(event, 10.0)
    assert clock.now_s() == 2.0


def test_wait_moves_time_to_its_timeout() -> None:
    """An event after it does not happen yet."""
    clock, event = MemoryClock(), threading.Event()
    clock.call_later(2.0, event.set)
    assert not clock.wait_for(event, 1.5)
    assert clock.now_s() == 1.5


class Busy:
    """A thread that never waits."""

    is_settled = False
    until_s = float("inf")


def test_thread_that_does_not_settle_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error says what the likely mistake is; without the thread time moves."""
    monkeypatch.setattr(module, "SETTLE_TIMEOUT_S", 0.01)
    clock, busy = MemoryClock(), Busy()
    clock.add(busy)
    with pytest.raises(TimeoutError, match=r"within 0\.01 s; does it wait for this"):
        clock.settle()
    clock.remove(busy)
    clock.advance(1.0)
    assert clock.now_s() == 1.0
