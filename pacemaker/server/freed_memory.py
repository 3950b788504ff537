"""What is done with the memory of deleted heartbeats and of emptied buffers."""

from __future__ import annotations

from typing import Any

from pacemaker.core.store.store import Store
from pacemaker.server import limits
from pacemaker.server.io.buffer_budget import BufferBudget
from pacemaker.server.process import memory
from pacemaker.server.process.threads import CallSoon


class FreedMemory:
    """Frees what was deleted, and returns free pages to the system.

    Args:
        store: the heartbeats.
        budget: the budget of the buffers.
        call: queues a call on an I/O thread.
    """

    def __init__(self, store: Store, budget: BufferBudget[Any], call: CallSoon) -> None:
        self._store = store
        self._budget = budget
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
        self._freed_bytes += self._budget.take_freed_bytes()
        self._deleted_bytes = deleted_bytes
        if self._freed_bytes >= limits.TIDY_BYTES:
            self._freed_bytes = 0
            memory.return_free_pages()

    def _reclaim(self) -> None:
        """Free a slice of the deleted data; the next turn frees the next slice.

        This runs on an I/O thread.  Any other thread would take the interpreter from
        the I/O thread for 5 ms at each of its system calls.
        """
        if self._store.reclaim():
            self._call(self._reclaim)
