"""Time that stands still until a test moves it.

The threads of the connections are real, but each spends its life in the `wait` of its
waiter.  So the clock can tell when all of them have settled: each waits for something
that has not happened.  Only then does time move, straight to the next moment at which
anything is scheduled.  A timeout of an hour takes no real time, and what happens within
it happens in the same order each time.

Time moves by `advance`, and by the call of a client that waits for its answer: as long
as there is none, time moves on, up to the call's deadline.  So only one thread of a
test may call the client at a time; `submit` sends several requests.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from typing import Final, Protocol

# How long, in real seconds, the threads may take to settle.  A thread that needs longer
# hangs, for example because it waits for the test.
SETTLE_TIMEOUT_S: Final = 30.0


class Sleeper(Protocol):
    """A thread that waits, as the clock sees it; called with the lock held."""

    @property
    def is_settled(self) -> bool:
        """Whether the thread waits for something that has not happened."""

    @property
    def until_s(self) -> float:
        """When its wait is over even if nothing happens."""


class MemoryClock:
    """The time of a `MemoryNetwork`, in seconds from 0.

    Attributes:
        changed: guards everything that belongs to the network, and tells of changes.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._now_s = 0.0
        self._sleepers: list[Sleeper] = []
        # The number keeps those of the same moment in the order of their scheduling.
        self._scheduled: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def now_s(self) -> float:
        """Return the time."""
        return self._now_s

    def advance(self, seconds: float) -> None:
        """Move time on, one scheduled moment after the other.

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
        """Wait until nothing more happens unless time moves.

        Raises:
            TimeoutError: a thread does not settle.
        """
        with self.changed:
            self._settle()

    def wait_for(self, event: threading.Event, timeout_s: float) -> bool:
        """Move time on until an event is set, but no further than the timeout.

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
        """Call a function when time has moved on; it must not block."""
        with self.changed:
            entry = (self._now_s + delay_s, next(self._numbers), function)
            heapq.heappush(self._scheduled, entry)

    def add(self, sleeper: Sleeper) -> None:
        """Let time wait for one more thread."""
        with self.changed:
            self._sleepers.append(sleeper)

    def remove(self, sleeper: Sleeper) -> None:
        """Let time wait no more for a thread that ends."""
        with self.changed:
            self._sleepers.remove(sleeper)
            self.changed.notify_all()

    def _settle(self) -> None:
        is_settled = self.changed.wait_for(
            lambda: all(each.is_settled for each in self._sleepers), SETTLE_TIMEOUT_S
        )
        if not is_settled:
            raise TimeoutError(
                f"a thread of the client still runs after {SETTLE_TIMEOUT_S:g} s; does"
                " it wait for this test?"
            )

    def _next_s(self) -> float:
        """Return the next moment at which anything is scheduled."""
        moments = [each.until_s for each in self._sleepers]
        moments += [moment for moment, _, _ in self._scheduled[:1]]
        return min(moments, default=float("inf"))

    def _move_to(self, now_s: float) -> None:
        self._now_s = max(now_s, self._now_s)
        while self._scheduled and self._scheduled[0][0] <= self._now_s:
            _, _, function = heapq.heappop(self._scheduled)
            function()
        self.changed.notify_all()
