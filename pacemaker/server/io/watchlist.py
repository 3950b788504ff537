"""The connections that hold bytes or have a deadline, and the sweep that checks them.

Pure: the caller passes the time in.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from pacemaker.core import limits

_T = TypeVar("_T")


class Watchlist(Generic[_T]):
    """Watched connections of one thread.  Only that thread may call the methods.

    Attributes:
        late_s: how late the current sweep began.
    """

    def __init__(self) -> None:
        self._watched: set[_T] = set()
        # The connections that the current sweep has not checked yet.
        self._left: list[_T] = []
        self._next_sweep_s = 0.0
        self.late_s = 0.0

    def __contains__(self, connection: object) -> bool:
        return connection in self._watched

    def __bool__(self) -> bool:
        return bool(self._watched or self._left)

    @property
    def is_sweeping(self) -> bool:
        """Whether a sweep has begun and is not finished."""
        return bool(self._left)

    @property
    def next_s(self) -> float | None:
        """The time of the next sweep; None if nothing is watched."""
        return self._next_sweep_s if self._watched else None

    def add(self, connection: _T, now_s: float) -> None:
        """Watch a connection."""
        if not self._watched:
            # Nothing was watched until now, so no sweep has been scheduled.
            self._next_sweep_s = now_s + limits.SWEEP_S
        self._watched.add(connection)

    def discard(self, connection: _T) -> bool:
        """Stop watching a connection; return False if it was not watched."""
        if connection not in self._watched:
            return False
        self._watched.remove(connection)
        return True

    def next(self, now_s: float) -> _T | None:
        """Return the next connection to check; None if there is nothing to check now.

        It begins a sweep if the time for one has come.  The returned connection may
        have been closed, or may no longer be watched.
        """
        if not self._left and now_s >= self._next_sweep_s:
            self.late_s = now_s - self._next_sweep_s
            self._next_sweep_s = now_s + limits.SWEEP_S
            self._left.extend(self._watched)
        return self._left.pop() if self._left else None
