"""The watchdog: the daemon is healthy while every one of its threads makes progress."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from pacemaker.call_soon import CallSoon


class Watchdog:
    """Feeds once every thread has made a turn since the last feeding.

    Args:
        calls: the `call` of each thread that must make progress.
        feed: called once all of them have.
    """

    def __init__(self, calls: Sequence[CallSoon], feed: Callable[[], None]) -> None:
        self._calls = calls
        self._feed = feed
        # Each thread appends to it once per round; `check` clears it.  It begins full,
        # so that the first check feeds.  Appending is atomic, so there is no lock.
        self._turned: deque[int] = deque(range(len(calls)))

    def check(self) -> None:
        """If every thread has made a turn, feed, and ask all of them again."""
        if len(self._turned) < len(self._calls):
            return
        self._feed()
        # Clear before the calls are queued: a thread may run its call at once, and its
        # entry must not be removed.
        self._turned.clear()
        for number, call in enumerate(self._calls):
            call(partial(self._turned.append, number))
