"""The stop of an I/O thread: answer what has arrived, and then reset everything."""

from __future__ import annotations

from collections.abc import Callable

from pacemaker.core.figures import Figures
from pacemaker.server.io.connection import Connection
from pacemaker.server.io.endings import Ending


class Stop:
    """The stop of one I/O thread.  Only that thread calls it.

    Args:
        connections: the thread's connections, by descriptor.
        figures: the thread's counters.
        now: returns the monotonic time in seconds.
        reset_after_fault: resets a connection on which our own code raised.

    Attributes:
        has_begun: whether the thread stops.
    """

    def __init__(
        self,
        connections: dict[int, Connection],
        figures: Figures,
        now: Callable[[], float],
        reset_after_fault: Callable[[Connection], None],
    ) -> None:
        self._connections = connections
        self._figures = figures
        self._now = now
        self._reset_after_fault = reset_after_fault
        self._until_s = 0.0
        self.has_begun = False

    def begin(self, timeout_s: float) -> None:
        """Begin it, or shorten it, if it has begun."""
        until_s = self._now() + timeout_s
        self._until_s = min(until_s, self._until_s) if self.has_begun else until_s
        self.has_begun = True

    def end_delivered(self) -> None:
        """End each connection that has all its replies; all of them if time is up."""
        for connection in tuple(self._connections.values()):
            # Read the clock for each one: much work for one connection must not delay
            # the end of the stop.
            if self._now() >= self._until_s:
                self._reset_rest()
                break
            try:
                if connection.drain():
                    connection.end(Ending.STOPPED)
            except Exception:
                # Nothing is hidden: this logs the traceback and counts the fault.
                self._reset_after_fault(connection)

    def _reset_rest(self) -> None:
        """Reset every connection that is left when the time is over.

        Nothing is done for the end of a single one (`IoThread.forget`), as the thread
        ends with them.  That would take as long again: with 18,000 connections, 0.2 s.
        """
        left = tuple(self._connections.values())
        # First: whatever fails for one of them, the thread must end.
        self._connections.clear()
        figures = self._figures
        figures.connections -= len(left)
        figures.ended += len(left)
        figures.ended_by_stop += len(left)
        for connection in left:
            connection.abandon()
