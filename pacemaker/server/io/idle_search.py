"""The search for connections that have been idle for long, when descriptors run out.

A peer may send one request on each of thousands of connections, and then nothing more.
They are not expendable then, and have no deadline, because a peer may be silent between
two requests.  But no worker is silent for as long as `limits.IDLE_S`.  So when a new
connection finds no room, the search makes the idle ones expendable, and the next try of
its peer finds room.

The kernel knows when a peer has last sent something.  Nothing has to be noted about a
connection while there is room.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

from pacemaker.server.io import limits


class Searched(Protocol):
    """A connection that may be idle."""

    @property
    def is_idle(self) -> bool:
        """Whether its peer has been silent long enough for it to be closed."""


_T = TypeVar("_T", bound=Searched)


class IdleSearch(Generic[_T]):
    """Looks at the connections of one I/O thread, some at a time.

    Args:
        connections: all connections of the thread, by descriptor.
        on_idle: called with each one that is idle.
    """

    def __init__(
        self, connections: Mapping[int, _T], on_idle: Callable[[_T], None]
    ) -> None:
        self._connections = connections
        self._on_idle = on_idle
        # The descriptors of those that were not looked at yet.  Some may have ended.
        self._left: list[int] = []
        self._next_s = 0.0

    def look(self, now_s: float) -> None:
        """Look at some, unless the last look was just now.

        Many peers may find no room at the same time.
        """
        if now_s < self._next_s:
            return
        self._next_s = now_s + limits.IDLE_SEARCH_PAUSE_S
        if not self._left:
            self._left.extend(self._connections)
        for fd in self._left[-limits.IDLE_SEARCH_STEP :]:
            connection = self._connections.get(fd)
            if connection is not None and connection.is_idle:
                self._on_idle(connection)
        del self._left[-limits.IDLE_SEARCH_STEP :]
