"""Functions to call later, in the order of their times.

This module does no I/O; times are passed in.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable


class Timers:
    """Timers of one thread.  Only that thread may call the methods."""

    def __init__(self) -> None:
        # The number orders timers of the same time, because functions do not compare.
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    @property
    def next_s(self) -> float:
        """The time of the next timer; infinite if there is none."""
        return self._heap[0][0] if self._heap else math.inf

    def add(self, due_s: float, function: Callable[[], None]) -> None:
        """Schedule a call for a given time."""
        heapq.heappush(self._heap, (due_s, next(self._numbers), function))

    def pop_due(self, now_s: float) -> Callable[[], None] | None:
        """Remove and return the next function whose time has come, if there is one."""
        if not self._heap or self._heap[0][0] > now_s:
            return None
        return heapq.heappop(self._heap)[2]
