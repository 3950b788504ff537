"""The store of heartbeats: all keys behind one lock.

Only a repeated read of a key takes no lock (`Store.get_at`).

`core.store.trie` has the keys and their values, `core.store.budget` has the totals and
decides who may store how much, and `core.store.detached` frees deleted subtrees.  The
store guards all three with its lock.

What the store guarantees:

* The cost of a list depends on the length of its answer, the cost of a delete on the
  number of keys it removes, and the cost of a pulse on the number of segments in its
  path.  None of them depends on what else is stored.
* No call frees more than `FREED_PER_STEP` entries.  A larger subtree is detached at
  once and freed in steps by `Store.reclaim`.
* No wake-up is lost.  `await_key` checks for the key and registers the callback under
  one lock, so the key cannot be stored in between.

Directories follow one rule.  ``prefix(path)`` is the path, with a slash appended unless
it ends with one.  A delete removes every key that, with a slash appended, begins with
the prefix.  A list returns the first non-empty segment after the prefix of each key
that begins with it.  (Storm compares plain strings, and 2.x also treats the path as a
regular expression.  For every path that Storm itself uses, the answers are the same.)
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from pacemaker.core.accounts.account import UNKNOWN_PEER, Account
from pacemaker.core.store.budget import StoreBudget
from pacemaker.core.store.detached import Detached, free_some
from pacemaker.core.store.trie import (
    MAX_SEGMENT_BYTES,
    MAX_SEGMENTS,
    Leaf,
    Node,
    Trail,
    Trie,
    added_bytes,
    entry_bytes,
    overlong_segment,
    parts_of,
    path_bytes,
    split,
    split_directory,
    standalone_bytes,
)
from pacemaker.errors import LimitError
from pacemaker.wire.messages import quoted

# Called with a key that was awaited, on whatever thread stored the key.
KeyCallback: TypeAlias = Callable[[str], None]

_DELETED: Final = Leaf(None, b"")


class LeafHandle:
    """The leaf at which a store last found a key; it saves another lookup.

    It belongs to one key and one store, and only the store may use the attributes.  It
    does not keep the value of a deleted key alive: a delete empties the leaf.
    """

    __slots__ = ("epoch", "leaf")

    def __init__(self) -> None:
        self.leaf = _DELETED
        # The store's epoch when the leaf was found.
        self.epoch = 0


class KeyHandle(LeafHandle):
    """A key and its remembered leaf, for a writer that rewrites one key often.

    Args:
        key: the key.
        account: the account that writes it.
    """

    __slots__ = ("account", "key")

    def __init__(self, key: str, account: Account = UNKNOWN_PEER) -> None:
        super().__init__()
        self.key = key
        self.account = account


class Store:
    """The heartbeats, by key.  Any thread may call any method.

    Args:
        budget_bytes: the memory that the heartbeats may take, Python's overhead
            included (see `core.store.budget`); None for no limit.
        account_limit_bytes: an account with more than this counts as above its share,
            however little is stored.  None for no such limit: then an account is
            above its share only if three quarters of the budget are used and it has
            more than an equal share of the budget.

    Attributes:
        deleted_bytes: what all deletes so far have freed, as the budget counts it.
    """

    __slots__ = (
        "_awaited",
        "_budget",
        "_detached",
        "_epoch",
        "_keys",
        "_lock",
        "_trie",
        "deleted_bytes",
    )

    def __init__(
        self, budget_bytes: int | None = None, account_limit_bytes: int | None = None
    ) -> None:
        # Guards everything below.  It is held for a few dict operations only, and
        # never during I/O or while a callback is called.
        self._lock = threading.Lock()
        self._trie = Trie()
        self._budget = StoreBudget(budget_bytes, account_limit_bytes)
        self._keys = 0
        # Changes whenever a subtree is detached.  The leaves of the subtree still
        # look valid until they are freed, and a `LeafHandle` may refer to any of them.
        # Visiting all of them would take the time that detaching saves.
        self._epoch = 0
        self._detached: list[Detached] = []
        self._awaited: dict[str, list[KeyCallback]] = {}
        self.deleted_bytes = 0

    def __len__(self) -> int:
        # Including the keys of deleted subtrees that `reclaim` has not freed yet.
        return self._keys

    def __repr__(self) -> str:
        return f"<Store keys={self._keys} used_bytes={self.used_bytes}>"

    @property
    def budget_bytes(self) -> int:
        """The memory that the heartbeats may take."""
        return self._budget.size_bytes

    @budget_bytes.setter
    def budget_bytes(self, budget_bytes: int) -> None:
        self._budget.size_bytes = budget_bytes

    @property
    def used_bytes(self) -> int:
        """The memory that the heartbeats take, as the budget counts it.

        It includes the heartbeats that are detached and not freed yet.
        """
        return self._budget.used_bytes

    @property
    def refused(self) -> int:
        """How many heartbeats were refused for lack of room."""
        return self._budget.refused

    def put(
        self,
        key: str,
        value: bytes,
        handle: KeyHandle | None = None,
        account: Account = UNKNOWN_PEER,
    ) -> None:
        """Store a value, replacing the previous one.

        Args:
            key: the key.
            value: its new value.
            handle: set to the key's leaf, for later calls of `put_at`.
            account: the account that writes it.

        Raises:
            LimitError: the key has too many segments or too long a segment, or the
                budget does not allow the account a new key or a value of this size.
        """
        segments = key.split("/", MAX_SEGMENTS)
        if len(segments) > MAX_SEGMENTS:
            raise LimitError(
                "path too deep", f"{quoted(key)}: at most {MAX_SEGMENTS} segments"
            )
        with self._lock:
            leaf = self._trie.childless_leaf(segments)
            if leaf is None or leaf.account is not account:
                leaf = self._add_or_rewrite(segments, value, account)
            else:
                # The same as in `put_at`, repeated here because one more call would
                # take a tenth of the time.
                growth_bytes = len(value) - len(leaf.value)
                if growth_bytes:
                    budget = self._budget
                    used_bytes = budget.used_bytes + growth_bytes
                    if used_bytes > budget.unchecked_bytes:
                        budget.check_growth(
                            account, growth_bytes, growth_bytes, len(value)
                        )
                    budget.used_bytes = used_bytes
                    account.stored_bytes += growth_bytes
                leaf.value = value
            if handle is not None:
                handle.leaf, handle.epoch = leaf, self._epoch
            if not self._awaited:
                return
            callbacks = self._awaited.pop(key, ())
        # Only after the lock is released: a callback that called the store would
        # otherwise deadlock.
        for call in callbacks:
            call(key)

    def put_at(self, handle: KeyHandle, value: bytes) -> None:
        """Do what `put` does, but look the key up only the first time.

        Args:
            handle: the key's handle; only one thread at a time may use it.
            value: as for `put`.

        Raises:
            LimitError: as for `put`.
        """
        account = handle.account
        with self._lock:
            leaf = handle.leaf
            # The account differs if the key was deleted alone (then it is None) or if
            # another account has rewritten it.  The epoch differs if any subtree was
            # detached since: its leaves keep their account until they are freed, so
            # the account alone would let this write into a deleted leaf.
            if leaf.account is account and handle.epoch == self._epoch:
                # The key exists, so nobody awaits it.
                growth_bytes = len(value) - len(leaf.value)
                if growth_bytes:
                    budget = self._budget
                    used_bytes = budget.used_bytes + growth_bytes
                    if used_bytes > budget.unchecked_bytes:
                        budget.check_growth(
                            account, growth_bytes, growth_bytes, len(value)
                        )
                    budget.used_bytes = used_bytes
                    account.stored_bytes += growth_bytes
                leaf.value = value
                return
        self.put(handle.key, value, handle, account)

    def _add_or_rewrite(
        self, segments: list[str], value: bytes, account: Account
    ) -> Leaf:
        """Add a key, or rewrite one that has keys below it or another owner."""
        point = self._trie.insertion_point(segments)
        leaf = point.leaf
        if leaf is not None and point.depth >= len(segments) - 1:
            standalone = standalone_bytes(segments, leaf)
            self._budget.rewrite(leaf, value, account, standalone)
            return leaf
        overlong = overlong_segment(segments)
        if overlong is not None:
            detail = f"{quoted(overlong)}: at most {MAX_SEGMENT_BYTES} bytes"
            raise LimitError("name too long", detail)
        leaf = Leaf(account, value)
        # Before anything is added: a refused request leaves nothing in memory.
        added = added_bytes(point, segments, leaf)
        self._budget.add_key(account, added, standalone_bytes(segments, leaf))
        self._trie.add(point, segments, leaf)
        self._keys += 1
        return leaf

    def count_other_bytes(self, more_bytes: int) -> None:
        """Count memory of something else, such as the history, as used."""
        with self._lock:
            self._budget.used_bytes += more_bytes

    def get(self, key: str) -> bytes | None:
        """Return the value of exactly this key, or None."""
        segments = split(key)
        if segments is None:
            return None
        with self._lock:
            leaf = self._trie.leaf_at(segments)
            return None if leaf is None else leaf.value

    def get_at(self, key: str, handle: LeafHandle) -> bytes | None:
        """Do what `get` does, but look the key up only if it may have moved.

        Args:
            key: the key.
            handle: the key's handle.  Any number of threads may pass the same one: it
                is changed under the store's lock only, the leaf before the epoch.
        """
        # Without the lock, which would take 0.13 of the 0.9 us that Nimbus's reads take
        # here and in `ReadFastPath`.  So the order matters.  The leaf is read after the
        # epoch, so it was found in that epoch or in a later one.  If the store is still
        # in that epoch afterwards, no subtree was detached in between.  A delete of the
        # key alone clears the account before the value.  So if both checks succeed, the
        # value was the key's when it was read.
        epoch = handle.epoch
        leaf = handle.leaf
        value = leaf.value
        # As in `put_at`, but here it does not matter who has written the key.
        if leaf.account is not None and epoch == self._epoch:
            return value
        with self._lock:
            segments = split(key)
            found = None if segments is None else self._trie.leaf_at(segments)
            if found is None:
                return None
            handle.leaf, handle.epoch = found, self._epoch
            return found.value

    def items(self) -> Iterator[tuple[str, bytes]]:
        """Yield each key and its value.

        This takes no lock.  If another thread stores or deletes something meanwhile,
        the iteration may skip keys or raise RuntimeError.  So to get all items, pause
        the threads that use the store.
        """
        return self._trie.items()

    def transfer_charges(self, account: Account, heir: Account) -> None:
        """Charge what an account has stored to another one, for good.

        Args:
            account: an account that will not write any more.
            heir: the other account.
        """
        with self._lock:
            self._budget.transfer_charges(account, heir)

    # Keys that are awaited.

    def await_key(self, key: str, callback: KeyCallback) -> bool:
        """Have a callback called once when an absent key is stored.

        The thread that stores the key calls it, without holding the lock.  A callback
        that is registered for the key already is still called only once.

        Returns:
            Whether the key is awaited; False if it exists already or can never exist.
        """
        segments = split(key)
        if segments is None:
            return False
        with self._lock:
            # Under the same lock as the registration: if the key were stored between
            # the two, the callback would never be called.
            if self._trie.leaf_at(segments) is not None:
                return False
            callbacks = self._awaited.setdefault(key, [])
            if callback not in callbacks:
                callbacks.append(callback)
            return True

    def stop_awaiting(self, key: str, callback: KeyCallback) -> None:
        """Stop awaiting a key.

        The callback may still be called: `put` may have collected its callbacks just
        before, and it calls them after it has released the lock.
        """
        with self._lock:
            callbacks = self._awaited.get(key, [])
            if callback in callbacks:
                callbacks.remove(callback)
                if not callbacks:
                    del self._awaited[key]

    def stop_awaiting_all(self) -> None:
        """Stop awaiting all keys, for all callbacks."""
        with self._lock:
            self._awaited = {}

    # Lists.

    def list_nodes(self, path: str) -> list[str]:
        """Return the names directly below a path, in no particular order.

        Each key that begins with the prefix contributes the first non-empty segment
        after the prefix.  Each name is given once.
        """
        return [name for names in self.name_slices(path, set()) for name in names]

    def count_names(self, path: str) -> int:
        """Return how many names are directly below a path, or slightly more.

        Entries for the node's own key and for empty segments are counted as well.
        """
        with self._lock:
            return sum(map(len, self._trie.directory_nodes(path)))

    def name_slices(self, path: str, seen: set[str]) -> Iterator[list[str]]:
        """Yield the names directly below a path in batches, each name once.

        The lock is held for the copy of one batch at a time.  A name that is added or
        removed meanwhile may or may not be included.

        Args:
            path: the path.
            seen: an empty set, for the names given so far.  It stays empty if none can
                come twice.
        """
        with self._lock:
            levels = self._trie.directory_nodes(path)
            parts = [part for level in levels for part in parts_of(level)]
        return self._slices_of(parts, seen if len(levels) > 1 else None)

    def _slices_of(
        self, parts: list[Node], seen: set[str] | None
    ) -> Iterator[list[str]]:
        # If a node is rebuilt or widened meanwhile, the list goes on with the old node.
        # That still holds the names of its time, so no name is given twice.  If it is
        # detached, its entries are removed under the lock, too (`detached`).
        for part in parts:
            with self._lock:
                names = list(part)
            slice_ = [name for name in names if name]
            if seen is not None:
                slice_ = [name for name in slice_ if name not in seen]
                seen.update(slice_)
            yield slice_

    # Deletes.

    def delete(self, key: str) -> None:
        """Remove exactly this key, if it exists."""
        segments = split(key)
        if segments is None:
            return
        with self._lock:
            trail, leaf = self._trie.walk_to_leaf(segments)
            if leaf is not None:
                self._delete_leaf(trail, leaf, segments)

    def delete_all(self, path: str) -> None:
        """Remove the key of a path and all keys below it.

        No reader sees the keys any more once this returns.  If the subtree is large,
        most of its memory is freed later by `reclaim`, and counts as used until then.
        """
        segments = split_directory(path)
        if segments is None:
            return
        with self._lock:
            trail, entry = self._trie.walk(segments)
            if entry is None:
                return
            if isinstance(entry, Leaf):
                self._delete_leaf(trail, entry, segments)
                return
            segment, nodes_bytes = self._trie.remove(trail)
            self._count_out(nodes_bytes)
            # This invalidates every handle, and must happen before the lock is
            # released.  The leaves of the subtree still have their accounts, so a
            # `put_at` in between would write its heartbeat into a leaf that is no
            # longer in the trie, acknowledge it, and lose it.
            self._epoch += 1
        # Outside the lock: other threads can use the store while entries are freed.
        self._free_some([({segment: entry}, path_bytes(segments[:-1]))])

    def reclaim(self) -> bool:
        """Free some of the detached entries.

        Returns:
            Whether there are more.
        """
        if not self._detached:
            return False
        with self._lock:
            detached = self._detached.pop() if self._detached else []
        self._free_some(detached)
        return bool(self._detached)

    def _delete_leaf(self, trail: Trail, leaf: Leaf, segments: list[str]) -> None:
        """Remove the key at the end of a trail."""
        standalone = standalone_bytes(segments, leaf)
        segment, nodes_bytes = self._trie.remove(trail)
        self._count_out(entry_bytes(segment, leaf) + nodes_bytes)
        self._keys -= 1
        self._budget.release(leaf.owner, standalone)
        # Invalidates the handles of this leaf alone.  A new epoch would invalidate the
        # handles of all keys, and a worker deletes its key whenever it stops.
        leaf.account, leaf.value = None, b""

    def _free_some(self, detached: Detached) -> None:
        """Free some entries of a detached subtree, and keep the rest for `reclaim`."""
        freed = free_some(detached, self._lock)
        with self._lock:
            self._keys -= freed.keys
            self._count_out(freed.size_bytes)
            for account, charged_bytes in freed.charges.items():
                self._budget.release(account, charged_bytes)
            if detached:
                self._detached.append(detached)

    def _count_out(self, size_bytes: int) -> None:
        self._budget.used_bytes -= size_bytes
        self.deleted_bytes += size_bytes
