"""A barrier: where threads stand still, each between two requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from pacemaker.server.process.threads import CallSoon


class Barrier:
    """Holds threads from `gather` until `release`; made for one use."""

    def __init__(self) -> None:
        self._arrived = threading.Semaphore(0)
        self._released = threading.Event()

    def gather(self, calls: Sequence[CallSoon], deadline_s: float) -> bool:
        """Have threads stand still, and wait until they do.

        Args:
            calls: `call` of each thread.
            deadline_s: when to give up, on the monotonic clock.

        Returns:
            Whether all stand; those that do stand in any case.
        """
        for call in calls:
            call(self._stand)
        return all(
            self._arrived.acquire(timeout=max(0.0, deadline_s - time.monotonic()))
            for _ in calls
        )

    def release(self) -> None:
        """Let all go on, also those that have yet to arrive."""
        self._released.set()

    def _stand(self) -> None:
        self._arrived.release()
        self._released.wait()
