"""One budget for the unread and unsent bytes of all connections.

A frame may take 10 MiB and thousands of peers may each begin one.  Where all
buffers together pass the budget, the connection that holds most of it goes:
the least harm for the most memory, since a worker holds a few KiB and mostly
nothing at all.
"""

from __future__ import annotations

import threading
from typing import Final, Generic, TypeVar

_Holder = TypeVar("_Holder")

# Buffers that are given up leave holes in the heap, among those that stay.  With
# no such share, 64 MiB of them took 115 to 195 MiB; with an eighth, 95 to 110.
_HOLES_SHARE: Final = 0.125


class BufferBudget(Generic[_Holder]):
    """Who holds how many bytes.  Any thread may call any method.

    Args:
        budget_bytes: what all may hold together.
    """

    def __init__(self, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        # Guards all below.
        self._lock = threading.Lock()
        self._held: dict[_Holder, int] = {}
        self._total_bytes = 0
        self._peak_bytes = 0
        self._holes_bytes = 0

    @property
    def total_bytes(self) -> int:
        """What all hold together."""
        return self._total_bytes

    def take_ebb_bytes(self) -> int:
        """Return how far all together have fallen from their highest.

        Where that is asked for again, the highest since then counts.
        """
        with self._lock:
            ebb_bytes = self._peak_bytes - self._total_bytes
            self._peak_bytes = self._total_bytes
            return ebb_bytes

    def note_evicted(self, size_bytes: int) -> bool:
        """Count what one held that had to go, now that it is freed.

        Returns:
            Whether so much of that has come together that the pages are worth
            giving back to the system at once.
        """
        with self._lock:
            self._holes_bytes += size_bytes
            if self._holes_bytes < _HOLES_SHARE * self.budget_bytes:
                return False
            self._holes_bytes = 0
            return True

    def hold(self, holder: _Holder, size_bytes: int) -> _Holder | None:
        """Say how much one holds now.

        Returns:
            The one that has to go, or None where all fit.  It is forgotten
            here; to end it is the caller's business.
        """
        with self._lock:
            self._total_bytes += size_bytes - self._held.pop(holder, 0)
            self._peak_bytes = max(self._peak_bytes, self._total_bytes)
            if size_bytes:
                self._held[holder] = size_bytes
            if self._total_bytes <= self.budget_bytes:
                return None
            largest = max(self._held, key=self._held.__getitem__)
            self._total_bytes -= self._held.pop(largest)
            return largest
