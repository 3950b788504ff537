"""A clock that only moves when a test moves it.

The threads of the connections are real, but each of them blocks only in the `wait` of
its waiter.  So the clock knows when all threads have *settled*: each waits for
something that has not happened.  Only then does time move, directly to the next moment
at which something is scheduled.  A timeout of an hour takes no real time, and the
events within it have the same order in each run.

`advance` moves time.  So does a client's call while it waits for its answer, up to the
call's deadline.  Therefore only one thread of a test may call the client at a time;
`submit` sends several requests.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from typing import Final, Protocol

# How long, in real seconds, the threads may take to settle.  If one takes longer, it
# hangs, for example because it waits for the test.
SETTLE_TIMEOUT_S: Final = 30.0


class Sleeper(Protocol):
    """A thread whose waits the clock observes; called with the clock's lock held."""

    @property
    def is_settled(self) -> bool:
        """Whether the thread waits for something that has not happened."""

    @property
    def until_s(self) -> float:
        """The time at which its wait ends even if nothing happens."""


class MemoryClock:
    """The time of a `MemoryNetwork`, in seconds from 0.

    Attributes:
        changed: guards everything that belongs to the network, and signals changes.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._now_s = 0.0
        self._sleepers: list[Sleeper] = []
        # The number keeps calls for the same time in the order in which they were
        # added.
        self._scheduled: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def now_s(self) -> float:
        """Return the time."""
        return self._now_s

    def advance(self, seconds: float) -> None:
        """Move time forward, stopping at each scheduled moment.

        Raises:
            TimeoutError: a thread does not settle.
        """
        with self.changed:
            until_s = self._now_s + seconds
            self._settle()
            while (next_s := self._next_s()) <= until_s:
                self._move_to(next_s)
                self._settle()
            self._move_to(until_s)
            self._settle()

    def settle(self) -> None:
        """Wait until nothing can happen before time moves.

        Raises:
            TimeoutError: a thread does not settle.
        """
        with self.changed:
            self._settle()

    def wait_for(self, event: threading.Event, timeout_s: float) -> bool:
        """Move time forward until an event is set, at most by the timeout.

        Raises:
            TimeoutError: a thread does not settle.
        """
        with self.changed:
            until_s = self._now_s + timeout_s
            self._settle()
            while not event.is_set() and self._now_s < until_s:
                self._move_to(min(self._next_s(), until_s))
                self._settle()
            return event.is_set()

    def call_later(self, delay_s: float, function: Callable[[], None]) -> None:
        """Schedule a function, which must not block, to be called after a delay."""
        with self.changed:
            entry = (self._now_s + delay_s, next(self._numbers), function)
            heapq.heappush(self._scheduled, entry)

    def add(self, sleeper: Sleeper) -> None:
        """Add a thread that must have settled before time moves."""
        with self.changed:
            self._sleepers.append(sleeper)

    def remove(self, sleeper: Sleeper) -> None:
        """Remove a thread that ends."""
        with self.changed:
            self._sleepers.remove(sleeper)
            self.changed.notify_all()

    def _settle(self) -> None:
        is_settled = self.changed.wait_for(
            lambda: all(each.is_settled for each in self._sleepers), SETTLE_TIMEOUT_S
        )
        if not is_settled:
            raise TimeoutError(
                f"a thread of the client did not settle within {SETTLE_TIMEOUT_S:g} s;"
                " does it wait for this test?"
            )

    def _next_s(self) -> float:
        """Return the next moment at which something is scheduled."""
        moments = [each.until_s for each in self._sleepers]
        moments += [moment for moment, _, _ in self._scheduled[:1]]
        return min(moments, default=float("inf"))

    def _move_to(self, now_s: float) -> None:
        self._now_s = max(now_s, self._now_s)
        while self._scheduled and self._scheduled[0][0] <= self._now_s:
            _, _, function = heapq.heappop(self._scheduled)
            function()
        self.changed.notify_all()
