"""Free a detached subtree of the trie, a little at a time.

A delete detaches a whole subtree with one operation.  Freeing a million entries with
one call, or clearing one huge dict, would stop all threads for a tenth of a second.  So
entries are removed in steps.

A list that began before the delete may still be reading the same nodes.  It copies the
names of a node under the store's lock, and entries are removed under the same lock, so
neither sees half-done work of the other.  (Copying a dict is atomic under the GIL, but
in a free-threaded build that is only an implementation detail.)
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple, TypeAlias

from pacemaker.core.accounts.account import Account
from pacemaker.core.store.trie import (
    ENTRY_BYTES,
    NODE_BYTES,
    OWN_LEAF,
    Node,
    entry_bytes,
)

# The most entries that one step frees: about a millisecond.
FREED_PER_STEP: Final = 1_000
# How many of them are removed while the lock is held: a few microseconds.
_REMOVED_PER_LOCK: Final = 64

# A detached subtree that is not freed yet, as a stack of nodes.  Each node comes with
# the bytes counted for the nodes of its path.
Detached: TypeAlias = list[tuple[Node, int]]


class Freed(NamedTuple):
    """What one step has freed.

    Attributes:
        keys: the number of keys.
        size_bytes: what they and their nodes took.
        charges: what each account was charged for them.
    """

    keys: int
    size_bytes: int
    charges: dict[Account, int]


def free_some(detached: Detached, lock: AbstractContextManager[Any]) -> Freed:
    """Free up to `FREED_PER_STEP` entries of a subtree.

    Args:
        detached: the subtree, which is empty once all of it is freed.
        lock: the store's lock, which the caller does not hold.
    """
    keys = size_bytes = 0
    charges: dict[Account, int] = {}
    left = FREED_PER_STEP
    while detached and left:
        node, path_bytes = detached[-1]
        with lock:
            count = min(left, len(node), _REMOVED_PER_LOCK)
            entries = [node.popitem() for _ in range(count)]
        left -= count
        if not node:
            detached.pop()
        for segment, entry in entries:
            bytes_here = entry_bytes(segment, entry)
            size_bytes += bytes_here
            if isinstance(entry, dict):
                detached.append((entry, path_bytes + bytes_here))
                continue
            keys += 1
            # What the key would take if it were the only one.  For an own leaf, the
            # node would not exist then: the leaf would be in the node's place.
            standalone_bytes = path_bytes + bytes_here
            if segment is OWN_LEAF:
                standalone_bytes -= NODE_BYTES + ENTRY_BYTES
            owner = entry.owner
            charges[owner] = charges.get(owner, 0) + standalone_bytes
            # A handle may still refer to the leaf; it must not keep the value alive.
            entry.account, entry.value = None, b""
    return Freed(keys, size_bytes, charges)
