"""Returns the pages of evicted buffers to the system, for a small part of the time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pacemaker.server.io.buffers.buffer_budget import BufferBudget
from pacemaker.server.process import memory

# After a thread has returned pages, it serves connections for this many times as long
# before it does so again.
PAUSE: Final = 9


class PageReturns:
    """What one I/O thread does with the memory of the connections that it evicts.

    Args:
        budget: the budget of all buffers.
        now: returns the monotonic time in seconds.
    """

    def __init__(self, budget: BufferBudget[Any], now: Callable[[], float]) -> None:
        self._budget = budget
        self._now = now
        self._next_s = 0.0

    def note_evicted(self, size_bytes: int) -> None:
        """Take note of an evicted connection, whose bytes are freed by now."""
        began_s = self._now()
        if self._budget.note_evicted(size_bytes) and began_s >= self._next_s:
            memory.return_free_pages()
            # This takes long if much is stored, so pause in proportion: most of the
            # time belongs to the peers.
            ended_s = self._now()
            self._next_s = ended_s + PAUSE * (ended_s - began_s)
