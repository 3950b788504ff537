"""What is done with the memory of deleted heartbeats and of emptied buffers."""

from __future__ import annotations

from typing import Final, Protocol

from pacemaker.call_soon import CallSoon
from pacemaker.server.process import memory

# How many freed bytes of buffers and heartbeats are worth returning pages to the
# system.  (A frame is counted once, but takes three times its size while it is
# decoded.)
TIDY_BYTES: Final = 4 * 1024 * 1024


class DeletedData(Protocol):
    """What is deleted at once and freed later; the store."""

    @property
    def deleted_bytes(self) -> int:
        """The total of bytes deleted so far."""

    def reclaim(self) -> bool:
        """Free a slice of what was deleted; return whether more is left."""


class Buffers(Protocol):
    """What grows and shrinks; the budget of all buffers."""

    def take_freed_bytes(self) -> int:
        """Return how far the total has fallen from its peak, and reset the peak."""


class FreedMemory:
    """Frees what was deleted, and returns free pages to the system.

    Args:
        store: the heartbeats.
        buffers: the budget of the buffers.
        call: queues a call on an I/O thread.
    """

    def __init__(self, store: DeletedData, buffers: Buffers, call: CallSoon) -> None:
        self._store = store
        self._buffers = buffers
        self._call = call
        # The total of bytes freed by deletes at the last `tidy`, and the bytes freed by
        # anything since pages were last returned.
        self._deleted_bytes = 0
        self._freed_bytes = 0

    def tidy(self) -> None:
        """Free deleted data; return pages to the system if much has been freed."""
        self._call(self._reclaim)
        deleted_bytes = self._store.deleted_bytes
        self._freed_bytes += deleted_bytes - self._deleted_bytes
        self._freed_bytes += self._buffers.take_freed_bytes()
        self._deleted_bytes = deleted_bytes
        if self._freed_bytes >= TIDY_BYTES:
            self._freed_bytes = 0
            memory.return_free_pages()

    def _reclaim(self) -> None:
        """Free a slice of the deleted data; the next turn frees the next slice.

        This runs on an I/O thread.  Any other thread would take the interpreter from
        the I/O thread for 5 ms at each of its system calls.
        """
        if self._store.reclaim():
            self._call(self._reclaim)
