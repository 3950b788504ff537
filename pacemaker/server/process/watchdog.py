"""The watchdog: the daemon is well when every one of its threads gets on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from pacemaker.server.process.threads import CallSoon


class Watchdog:
    """Feeds when each thread has made a turn since it was last fed.

    Args:
        calls: `call` of each thread that has to get on.
        feed: is called when all have.
    """

    def __init__(self, calls: Sequence[CallSoon], feed: Callable[[], None]) -> None:
        self._calls = calls
        self._feed = feed
        # Filled by the threads, each once a round; emptied by who asks.
        self._turned: deque[int] = deque(range(len(calls)))

    def turn(self) -> None:
        """Feed where every thread has turned, and ask all of them again."""
        if len(self._turned) < len(self._calls):
            return
        self._feed()
        self._turned.clear()
        for number, call in enumerate(self._calls):
            call(partial(self._turned.append, number))
