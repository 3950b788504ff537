"""A barrier that parks threads, each of them between two requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from pacemaker.call_soon import CallSoon


class Barrier:
    """Parks threads from `gather` until `release`.  Use each instance only once."""

    def __init__(self) -> None:
        self._arrived = threading.Semaphore(0)
        self._released = threading.Event()

    def gather(self, calls: Sequence[CallSoon], deadline_s: float) -> bool:
        """Park threads, and wait until all of them are parked.

        Args:
            calls: the `call` of each thread.
            deadline_s: when to give up, by the monotonic clock.

        Returns:
            Whether all are parked.  If not, those that are stay parked until `release`.
        """
        # Queue all calls before waiting for any: the threads finish their turns side by
        # side, so parking takes as long as the slowest turn and not the sum of all.
        for call in calls:
            call(self._wait)
        return all(
            self._arrived.acquire(timeout=max(0.0, deadline_s - time.monotonic()))
            for _ in calls
        )

    def release(self) -> None:
        """Let all threads continue, including those that have yet to arrive.

        A thread that missed the deadline still has the call in its queue.  It finds the
        event set and passes through, so a barrier that failed leaves nothing behind.
        """
        self._released.set()

    def _wait(self) -> None:
        self._arrived.release()
        self._released.wait()
