"""Functions to call later, in the order of their times.

This module does no I/O; times are passed in.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable


class Timers:
    """Timers of one thread.  Only that thread may call the methods.

    Attributes:
        next_s: the time of the next timer; infinite if there is none.
    """

    def __init__(self) -> None:
        # The number orders timers of the same time, because functions do not compare.
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        # No property: each turn of the loop reads it.
        self.next_s = math.inf

    def add(self, due_s: float, function: Callable[[], None]) -> None:
        """Schedule a call for a given time."""
        heapq.heappush(self._heap, (due_s, next(self._numbers), function))
        self.next_s = self._heap[0][0]

    def pop_due(self, now_s: float) -> Callable[[], None] | None:
        """Remove and return the next function whose time has come, if there is one."""
        if self.next_s > now_s:
            return None
        _, _, function = heapq.heappop(self._heap)
        self.next_s = self._heap[0][0] if self._heap else math.inf
        return function
