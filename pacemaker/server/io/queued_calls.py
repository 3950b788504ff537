"""Functions that other threads ask one thread to run, and the wake-up for them."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from pacemaker.wakeup import WakeUp

_logger: Final = logging.getLogger(__name__)


class QueuedCalls:
    """The queue of one thread.  Any thread may call `put` and `wake`.

    Args:
        thread_name: the thread's name, for the log.

    Attributes:
        fd: readable when the thread should call `run_pending`.
    """

    def __init__(self, thread_name: str) -> None:
        self._thread_name = thread_name
        self._calls: deque[Callable[[], None]] = deque()
        self._wake_up = WakeUp()
        self.fd = self._wake_up.fd

    def put(self, function: Callable[[], None]) -> None:
        """Queue a call and wake the thread.  Once it has ended, the call is dropped."""
        self._calls.append(function)
        self._wake_up.wake()

    def wake(self) -> None:
        """Wake the thread without a call."""
        self._wake_up.wake()

    def run_pending(self, now: Callable[[], float], most_s: float) -> None:
        """Run the queued calls for some time; the thread is woken again for the rest.

        Thousands of connections may have to make room at once, each with a call.

        Args:
            now: returns the time in seconds.
            most_s: after how many seconds to leave the rest to the next turn.
        """
        self._wake_up.clear()
        # Run only the calls that are there now; those that they queue are for the next
        # turn.
        end_s = now() + most_s
        for _ in range(len(self._calls)):
            self.run(self._calls.popleft())
            if now() > end_s:
                break
        if self._calls:
            self._wake_up.wake()

    def run(self, function: Callable[[], None]) -> None:
        """Run one call; log an exception, so that the calls after it still run."""
        try:
            function()
        except Exception:
            _logger.exception("%s: a call failed", self._thread_name)

    def close(self) -> None:
        """Close the descriptor."""
        self._wake_up.close()
