"""The connections that hold bytes or have a deadline, and the sweep that checks them.

This module does no I/O; times are passed in.
"""

from __future__ import annotations

import math
from typing import Generic, TypeVar

from pacemaker.server.io import limits

_T = TypeVar("_T")


class Watchlist(Generic[_T]):
    """Watched connections of one thread.  Only that thread may call the methods.

    Attributes:
        next_s: the time of the next check: 0 in a sweep, infinite if nothing is
            watched.
        late_s: how late the current sweep is: it began late, or was interrupted.
    """

    def __init__(self) -> None:
        self._watched: set[_T] = set()
        # The connections that the current sweep has not checked yet.
        self._left: list[_T] = []
        self._next_sweep_s = 0.0
        # When `next` was last called.
        self._looked_s = 0.0
        # No property: each turn of the loop reads it.
        self.next_s = math.inf
        self.late_s = 0.0

    def __contains__(self, connection: object) -> bool:
        return connection in self._watched

    def add(self, connection: _T, now_s: float) -> None:
        """Watch a connection."""
        if not self._watched:
            # Nothing was watched until now, so no sweep has been scheduled.
            self._next_sweep_s = now_s + limits.SWEEP_S
        self._watched.add(connection)
        self._update_next()

    def discard(self, connection: _T) -> bool:
        """Stop watching a connection; return False if it was not watched."""
        if connection not in self._watched:
            return False
        self._watched.remove(connection)
        self._update_next()
        return True

    def next(self, now_s: float) -> _T | None:
        """Return the next connection to check; None if there is nothing to check now.

        It begins a sweep if the time for one has come.  The returned connection may
        have been closed, or may no longer be watched.
        """
        if self._left:
            # A sweep may take many turns, and the process may be paused between two.
            self.late_s = max(self.late_s, now_s - self._looked_s)
        elif now_s >= self._next_sweep_s:
            self.late_s = now_s - self._next_sweep_s
            self._next_sweep_s = now_s + limits.SWEEP_S
            self._left.extend(self._watched)
        self._looked_s = now_s
        connection = self._left.pop() if self._left else None
        self._update_next()
        return connection

    def _update_next(self) -> None:
        if self._left:
            self.next_s = 0.0
        else:
            self.next_s = self._next_sweep_s if self._watched else math.inf
