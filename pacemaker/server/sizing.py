"""How much of the machine a daemon uses: memory, threads and descriptors."""

from __future__ import annotations

import resource
import time
from operator import attrgetter
from typing import Final

from pacemaker.config import Settings
from pacemaker.core.history.history import History
from pacemaker.core.store.store import Store
from pacemaker.server import limits
from pacemaker.server.io.buffers.buffer_budget import BufferBudget
from pacemaker.server.io.connection import Connection
from pacemaker.server.io.limits import (
    ACCEPTED_AHEAD,
    MAX_RESERVED_SHARE,
    RESERVED_DESCRIPTORS,
)
from pacemaker.server.options import ServerOptions

# Descriptors that the daemon itself needs: the standard streams, the listening sockets,
# files, and those that each I/O thread waits with.
_OWN_DESCRIPTORS: Final = 16
_DESCRIPTORS_PER_THREAD: Final = 2


def new_store(options: ServerOptions, available_bytes: int) -> Store:
    """Return an empty store with its budget.

    Args:
        options: may name the budget.
        available_bytes: the memory that the process may use; the store gets a share.
    """
    budget_bytes = options.store_budget_bytes or int(
        available_bytes * limits.STORE_BUDGET_SHARE
    )
    return Store(budget_bytes, options.address_limits.stored_bytes)


def new_buffer_budget(
    options: ServerOptions, available_bytes: int
) -> BufferBudget[Connection]:
    """Return the budget of all buffers.

    Args:
        options: may name the budget.
        available_bytes: the memory that the process may use; the buffers get a share.
    """
    budget_bytes = options.buffer_budget_bytes or int(
        available_bytes * limits.BUFFER_BUDGET_SHARE
    )
    return BufferBudget(
        budget_bytes,
        options.address_limits.buffered_bytes,
        has_more=attrgetter("is_deferred"),
    )


def new_history(options: ServerOptions, store: Store) -> History | None:
    """Return an empty history, which the store counts; None if it is off."""
    if not options.history:
        return None
    share_bytes = int(store.budget_bytes * limits.HISTORY_SHARE)
    most_bytes = min(share_bytes, limits.HISTORY_MOST_BYTES)
    history = History(most_bytes, store.count_other_bytes)
    history.began_s = time.monotonic()
    return history


def io_threads(settings: Settings, options: ServerOptions) -> int:
    """Decide how many I/O threads to start.

    By default one.  With the GIL, a second thread mostly waits for the first: a pulse
    takes 13 us of CPU time with one thread, 18 with two and 23 with four, and no more
    pulses are served per second.  Without the GIL, two threads serve less than half as
    many reads as one (docs/performance.md).
    """
    wanted = 1 if options.io_threads is None else options.io_threads
    return max(1, min(wanted, settings.max_threads))


def reserved_descriptors(options: ServerOptions) -> int:
    """Return how many descriptors connections must leave free."""
    if options.admin is None:
        return RESERVED_DESCRIPTORS
    return RESERVED_DESCRIPTORS + limits.ADMIN_DESCRIPTORS


def connection_capacity(threads: int, reserved: int) -> int:
    """Return how many connections the limit of descriptors leaves room for.

    They are fewer than the kernel allows.  Connections are accepted before those that
    make room for them are closed, and a reserve is left for reloads.

    Args:
        threads: the number of I/O threads.
        reserved: the descriptors that connections must leave free.
    """
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = min(reserved + ACCEPTED_AHEAD, int(descriptors * MAX_RESERVED_SHARE))
    own = _OWN_DESCRIPTORS + _DESCRIPTORS_PER_THREAD * threads
    return max(1, descriptors - own - spare)
