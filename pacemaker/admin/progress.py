"""Whether every thread of a daemon makes progress.

The main thread asks each serving thread once a second, by a queued call, and the
thread answers between two turns of its loop.  A thread that is stuck does not answer.
If the main thread itself is stuck, it asks nobody any more, and all threads look stuck.

This module reads no clock of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from pacemaker.admin.health import HealthCheck
from pacemaker.call_soon import CallSoon

# A thread that has not answered for this long is stuck.  Its longest turns take some
# milliseconds, and on an overloaded machine seconds.
STUCK_S: Final = 10.0


class Progress:
    """Asks threads for signs of life.

    Args:
        calls: by name, the `call` of each thread; only the caller of `ask` uses them.
        clock: returns monotonic seconds.
    """

    def __init__(
        self, calls: Mapping[str, CallSoon], clock: Callable[[], float]
    ) -> None:
        self._calls = calls
        self._clock = clock
        now_s = clock()
        self._answered_s = dict.fromkeys(calls, now_s)
        # At most one question is pending for each thread.  Otherwise a thread that is
        # stuck for an hour would have thousands of them in its queue.
        self._is_asked = dict.fromkeys(calls, False)

    def ask(self) -> None:
        """Ask each thread that has answered the last question."""
        for name, call in self._calls.items():
            if not self._is_asked[name]:
                self._is_asked[name] = True
                call(partial(self._answer, name))

    def _answer(self, name: str) -> None:
        """Record that a thread has made a turn; called on that thread."""
        self._answered_s[name] = self._clock()
        self._is_asked[name] = False

    def checks(self) -> list[HealthCheck]:
        """Return one check for each thread.  Any thread may call this."""
        now_s = self._clock()
        return [
            _check(name, max(0.0, now_s - answered_s))
            for name, answered_s in self._answered_s.items()
        ]


def _check(name: str, silent_s: float) -> HealthCheck:
    return HealthCheck(name, silent_s < STUCK_S, f"last turn {silent_s:.1f} s ago")
