"""The store of heartbeats: a trie of path segments behind one lock.

A key is split at its slashes: ``"/a/b"`` becomes ``"", "a", "b"``.  Different
strings are therefore different keys: ``"/a"`` is not ``"/a/"``.  A node of the trie
is a dict from segment to entry.  The entry is a leaf if the key has a value and no
keys below it, and another node if there are keys below it.  A node keeps the leaf of
its own key, if it has one, at `_OWN`.

What the store guarantees:

* The cost of a list depends on the length of its answer, the cost of a delete on the
  number of keys it removes, and the cost of a pulse on the segments of its path.  None
  of them depends on what else is stored.
* An empty node is removed, and a node that has shrunk a lot is rebuilt, so memory
  does not build up as topologies come and go.  A deleted leaf is emptied, so a
  `Place` that still refers to it does not keep a heartbeat alive.
* No key has more than `MAX_SEGMENTS` segments, so a path of many slashes does not
  become many nodes.
* No call frees more than `RECLAIMED_PER_STEP` entries.  A larger subtree is detached
  at once and freed in steps by `Store.reclaim`.
* No wake-up is lost.  `await_key` checks for the key and registers the waiter under
  one lock, so the key cannot be stored in between.

Directories follow one rule.  ``prefix(path)`` is the path, with a slash appended unless
it ends with one.  A delete removes every key that, with a slash appended, begins with
the prefix.  A list returns the first non-empty segment after the prefix of each key
that begins with it.
(Storm compares plain strings, and 2.x treats the path as a regular expression.  For
every path that Storm itself uses, the answers are the same.)

The budget has these rules:

* While up to three quarters of the budget are used (`accounts.PRESSURE`), everybody
  may store anything.
* Above that, an account that has more than an equal share may not add keys, and may
  not let a value grow past `SMALL_VALUE_BYTES`.
* No new key may exceed the budget.
* A known key may still grow when the budget is used up, because Nimbus would
  otherwise declare live workers dead.  All such growth together is limited to
  `SLACK_BYTES`.
* The growth of accounts above their share is charged to the slack as soon as three
  quarters are used.  Otherwise many values that each grow a little could use up the
  room that is left for the new keys of other accounts.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, Final, TypeAlias

from pacemaker.core.accounts import NOBODY, PRESSURE, Account, exceeds_share
from pacemaker.errors import LimitError

# Storm's keys have four segments.  A path of ten million slashes would
# otherwise become ten million nodes of more than 200 bytes each.
MAX_SEGMENTS: Final = 256

# A value may grow to this size even if its account is above its share.  Most of
# Storm's heartbeats are smaller, and because they are compressed, their sizes change
# all the time.
SMALL_VALUE_BYTES: Final = 64 * 1024
# By how much known values may grow once the budget is used up.
SLACK_BYTES: Final = 32 * 1024 * 1024
# Accounts above their share may use no more of the slack than this fraction of the
# budget: a quarter of the last quarter.  Even with a small budget, most of the last
# quarter is then left for the new keys of other accounts.
_SLACK_PART: Final = 16

# The most entries that one call frees: about a millisecond.
RECLAIMED_PER_STEP: Final = 1_000

# A node with at least this many entries becomes a `_WideNode` with this many parts.
_WIDE_ENTRIES: Final = 16_384
_WIDE_PARTS: Final = 256
_WIDE_SHIFT: Final = 40

# Where a node keeps the leaf of its own key.  No segment can be None.
_OWN: Final = None
_Node: TypeAlias = dict["str | None", "_Leaf | _Node"]
# Called with a key that it awaited, on whatever thread stored the key.
Waiter: TypeAlias = Callable[[str], None]
# The nodes from the root down to some node, each with the segment followed there.
_Trail: TypeAlias = list[tuple[_Node, "str | None"]]
# A detached subtree that is not freed yet, as a stack of nodes.  The node that is being
# emptied is on top.  Each node comes with the bytes counted for the nodes of its path.
_Detached: TypeAlias = list[tuple[_Node, int]]

# What the budget counts in addition to the bytes of segments and values.
# An entry: one slot of a dict that is half full.  A node: an empty dict with its first
# table.  A value: its leaf (48 bytes with the garbage collector's header), the header
# of a bytes object, and what the allocator rounds up.
_ENTRY_BYTES: Final = 80
_NODE_BYTES: Final = 232
_VALUE_BYTES: Final = 88
# The header of a str.  One that is not ASCII takes at most four bytes a character.
# (sys.getsizeof would not do: its answer grows once C code has asked for the str's
# UTF-8, so a key could count for more when it is deleted than when it was added.)
_SEGMENT_BYTES: Final = 76
_WIDE_CHARACTER_BYTES: Final = 4

# A dict never shrinks by itself, and iterating over it costs its allocated size.  It is
# rebuilt once it takes this many bytes for each remaining entry (a dict that has only
# grown takes up to 150), unless it is too small to be worth it.
_SPARSE_BYTES_PER_ENTRY: Final = 300
_SPARSE_MIN_BYTES: Final = 1024


class _Leaf:
    """The value of one key, and the account that wrote it.

    A key keeps the same leaf until it is deleted, so a `Place` finds the value
    without a look-up.  The leaf of a deleted key has no account.
    """

    __slots__ = ("account", "value")

    def __init__(self, account: Account | None, value: bytes) -> None:
        self.account = account
        self.value = value


_DELETED: Final = _Leaf(None, b"")


class _WideNode(dict["str | None", "_Leaf | _Node"]):
    """A node with very many entries, which are spread over many small dicts.

    A dict of a million entries takes 50 ms to grow, and 30 ms to copy for a list, and
    no other thread runs in that time.  The dict that this class inherits stays empty,
    so iterating over the node itself finds nothing: iterate over `_parts` of it.
    """

    __slots__ = ("_count", "parts")

    def __init__(self, node: _Node) -> None:
        super().__init__()
        self.parts: list[_Node] = [{} for _ in range(_WIDE_PARTS)]
        self._count = 0
        for segment, held in node.items():
            self[segment] = held

    def _number(self, segment: object) -> int:
        # Not the lowest bits: a dict chooses its slots by them, so all entries of
        # one part would agree in them and collide.
        return (hash(segment) >> _WIDE_SHIFT) % _WIDE_PARTS

    def get(self, segment: str | None, default: Any = None) -> Any:
        return self.parts[self._number(segment)].get(segment, default)

    def __getitem__(self, segment: str | None) -> _Leaf | _Node:
        return self.parts[self._number(segment)][segment]

    def __setitem__(self, segment: str | None, held: _Leaf | _Node) -> None:
        part = self.parts[self._number(segment)]
        before = len(part)
        part[segment] = held
        self._count += len(part) - before

    def __delitem__(self, segment: str | None) -> None:
        number = self._number(segment)
        part = self.parts[number]
        del part[segment]
        self._count -= 1
        if _is_sparse(part):
            self.parts[number] = dict(part)

    def __contains__(self, segment: object) -> bool:
        return segment in self.parts[self._number(segment)]

    def __len__(self) -> int:
        return self._count

    def popitem(self) -> tuple[str | None, _Leaf | _Node]:
        """Remove some entry of a detached node.

        Empty parts are dropped on the way, so the node cannot be used for anything
        else afterwards.
        """
        while not self.parts[-1]:
            self.parts.pop()
        self._count -= 1
        return self.parts[-1].popitem()


class Place:
    """A remembered leaf, for a writer that rewrites one key often (`Store.put_at`).

    Args:
        key: the key.
        account: the account that writes it.
    """

    __slots__ = ("account", "epoch", "key", "leaf")

    def __init__(self, key: str, account: Account = NOBODY) -> None:
        self.key = key
        self.account = account
        self.leaf = _DELETED
        # The store's epoch when the leaf was found.
        self.epoch = 0


class Store:
    """The heartbeats, by key.  Any thread may call any method.

    Args:
        budget_bytes: the memory that the heartbeats may take, Python's overhead
            included (see the module); None for no limit.
        most_of_one_bytes: an account with more than this counts as above its share,
            however little is stored.  None for no such limit: then an account is
            above its share only if three quarters of the budget are used and it has
            more than an equal share of the budget.

    Attributes:
        refused: how many heartbeats were refused for lack of room.
        deleted_bytes: what all deletes so far have freed, as the budget counts it.
    """

    def __init__(
        self, budget_bytes: int | None = None, most_of_one_bytes: int | None = None
    ) -> None:
        self._most_of_one_bytes = most_of_one_bytes
        # Guards everything below.  It is held for a few dict operations only, and
        # never during I/O or while a waiter is called.
        self._lock = threading.Lock()
        self._root: _Node = {}
        self._keys = 0
        self._used_bytes = 0
        # How many accounts have stored anything, not counting `NOBODY`.
        self._accounts = 0
        # How much of the slack each account has used since the store was last below
        # three quarters of its budget.
        self._slack: dict[Account, int] = {}
        self._slack_bytes = 0
        # Changes whenever a subtree is detached.  The leaves of the subtree still
        # look valid until `_empty` reaches them, and a `Place` may refer to any of
        # them.  Visiting all of them at once would cost what detaching is to avoid.
        self._epoch = 0
        self._detached: list[_Detached] = []
        self._awaited: dict[str, list[Waiter]] = {}
        self.deleted_bytes = 0
        self.refused = 0
        self.budget_bytes = sys.maxsize if budget_bytes is None else budget_bytes

    def __len__(self) -> int:
        return self._keys

    def __repr__(self) -> str:
        return f"<Store keys={self._keys} used_bytes={self._used_bytes}>"

    @property
    def budget_bytes(self) -> int:
        """The memory that the heartbeats may take."""
        return self._budget_bytes

    @budget_bytes.setter
    def budget_bytes(self, budget_bytes: int) -> None:
        self._budget_bytes = budget_bytes
        # The shortcut of `_check_growth`: up to this many bytes, no growth is refused.
        has_limit = self._most_of_one_bytes is not None
        self._free_bytes = 0 if has_limit else int(budget_bytes * PRESSURE)

    @property
    def used_bytes(self) -> int:
        """The memory that the heartbeats take, as the budget counts it.

        It includes the heartbeats that are detached and not freed yet.
        """
        return self._used_bytes

    def put(
        self,
        key: str,
        value: bytes,
        place: Place | None = None,
        account: Account = NOBODY,
    ) -> None:
        """Store a value, replacing the previous one.

        Args:
            key: the key.
            value: its new value.
            place: set to the key's leaf, for later calls of `put_at`.
            account: the account that writes it.

        Raises:
            LimitError: the key has too many segments, or the budget does not allow
                the account a new key or a value of this size.
        """
        segments = key.split("/", MAX_SEGMENTS)
        if len(segments) > MAX_SEGMENTS:
            raise LimitError("path too deep", f"more than {MAX_SEGMENTS} segments")
        with self._lock:
            if self._slack:
                self._refill_slack()
            leaf = self._known_leaf(segments)
            if leaf is None or leaf.account is not account:
                leaf = self._put_leaf(segments, value, account)
            else:
                # The same as in `put_at`, repeated here because one more call would
                # take a tenth of the time.
                growth_bytes = len(value) - len(leaf.value)
                used_bytes = self._used_bytes + growth_bytes
                if used_bytes > self._free_bytes:
                    self._check_growth(account, growth_bytes, growth_bytes, len(value))
                leaf.value = value
                self._used_bytes = used_bytes
                account.stored_bytes += growth_bytes
            if place is not None:
                place.leaf, place.epoch = leaf, self._epoch
            if not self._awaited:
                return
            waiters = self._awaited.pop(key, ())
        # Only after the lock is released: a waiter that called the store would
        # otherwise deadlock.
        for tell in waiters:
            tell(key)

    def put_at(self, place: Place, value: bytes) -> None:
        """Do what `put` does, but look the key up only the first time.

        Args:
            place: the key's place; only one thread at a time may use it.
            value: as for `put`.

        Raises:
            LimitError: as for `put`.
        """
        account = place.account
        with self._lock:
            leaf = place.leaf
            # The account differs if the key was deleted alone (then it is None) or if
            # another account has rewritten it.  The epoch differs if any subtree was
            # detached since: its leaves keep their account until they are reclaimed,
            # so the account alone would let this write into a deleted leaf.
            if leaf.account is account and place.epoch == self._epoch:
                # The key exists, so nobody awaits it.
                growth_bytes = len(value) - len(leaf.value)
                if growth_bytes:
                    used_bytes = self._used_bytes + growth_bytes
                    if used_bytes > self._free_bytes:
                        self._refill_slack()
                        self._check_growth(
                            account, growth_bytes, growth_bytes, len(value)
                        )
                    self._used_bytes = used_bytes
                    account.stored_bytes += growth_bytes
                leaf.value = value
                return
        self.put(place.key, value, place, account)

    def _known_leaf(self, segments: list[str]) -> _Leaf | None:
        """Return the leaf of a key, if the key exists and has no keys below it."""
        held: Any = self._root
        try:
            for segment in segments:
                held = held[segment]
        except (KeyError, TypeError):  # nothing is there, or a leaf higher up
            return None
        return held if type(held) is _Leaf else None

    def _put_leaf(self, segments: list[str], value: bytes, account: Account) -> _Leaf:
        """Put a value into the leaf of a key; create the leaf if there is none."""
        name = segments.pop()
        node = self._root
        is_crowded = False
        for segment in segments:
            below = node.get(segment)
            if not isinstance(below, dict):
                below = self._grow(node, segment)
                is_crowded |= _is_crowded(node)
            node = below
        at: str | None = name
        held = node.get(at)
        if isinstance(held, dict):
            node, at = held, _OWN
            held = node.get(at)
        if not isinstance(held, _Leaf):
            leaf = _Leaf(account, value)
            alone_bytes = _path_bytes(segments) + _entry_bytes(name, leaf)
            self._add_key(_entry_bytes(at, leaf), alone_bytes, account, segments)
            node[at] = leaf
            # Only now: converting a node replaces it, and this function has its
            # nodes in hand until the leaf is in place.
            if is_crowded or _is_crowded(node):
                self._widen([*segments, name])
            return leaf
        alone_bytes = _path_bytes(segments) + _entry_bytes(name, held)
        self._rewrite(held, value, account, alone_bytes)
        return held

    def _grow(self, node: _Node, segment: str) -> _Node:
        """Add a node at a segment; a leaf that was there becomes the node's own."""
        leaf = node.get(segment)
        below: _Node = {}
        if leaf is None:
            self._used_bytes += _segment_bytes(segment) + _NODE_BYTES
        else:
            below[_OWN] = leaf
            self._used_bytes += _NODE_BYTES + _ENTRY_BYTES
        node[segment] = below
        return below

    def _add_key(
        self, size_bytes: int, alone_bytes: int, account: Account, segments: list[str]
    ) -> None:
        """Add a new key to the totals, or raise.

        Args:
            size_bytes: what it takes, without the nodes above it.
            alone_bytes: what it would take if nothing else were stored.
            account: the account that writes it.
            segments: the path of its node.
        """
        try:
            self._check_new(size_bytes, alone_bytes, account)
        except LimitError:
            # Remove the nodes that were created for the key: a refused request must
            # not leave anything in memory.
            trail, node = self._walk(segments)
            if isinstance(node, dict):
                self._tidy(trail, node)
            raise
        self._used_bytes += size_bytes
        self._keys += 1
        self._charge(account, alone_bytes)
        account.new_keys += 1

    def _widen(self, segments: list[str]) -> None:
        """Convert the crowded nodes on a path to wide nodes."""
        trail, _ = self._walk(segments)
        # From the bottom up, so that the copy of a node has its new children.
        for node, segment in reversed(trail):
            below = node.get(segment)
            if isinstance(below, dict) and _is_crowded(below):
                node[segment] = _WideNode(below)
        if _is_crowded(self._root):
            self._root = _WideNode(self._root)

    def _rewrite(
        self, leaf: _Leaf, value: bytes, account: Account, alone_bytes: int
    ) -> None:
        """Rewrite a leaf, which may belong to another account so far.

        Args:
            leaf: the leaf.
            value: its new value.
            account: the account that writes it.
            alone_bytes: what the leaf's present account is charged for it.
        """
        # The store grows by the difference only, but a new owner takes over the whole
        # key.  If the value grows, its share is therefore judged with the whole key.
        growth_bytes = len(value) - len(leaf.value)
        charged_bytes = alone_bytes + growth_bytes
        own_bytes = growth_bytes if leaf.account is account else charged_bytes
        self._check_growth(account, own_bytes, growth_bytes, len(value))
        assert leaf.account is not None  # noqa: S101  (it lies in the trie)
        self._charge(leaf.account, -alone_bytes)
        self._charge(account, charged_bytes)
        leaf.account, leaf.value = account, value
        self._used_bytes += growth_bytes

    def _charge(self, account: Account, size_bytes: int) -> None:
        """Add to an account's total, and keep count of the accounts that store."""
        if account is NOBODY:
            return
        before_bytes = account.stored_bytes
        account.stored_bytes = before_bytes + size_bytes
        if before_bytes == 0:
            self._accounts += 1
        elif account.stored_bytes == 0:
            self._accounts -= 1

    def _exceeds_share(self, account: Account, own_bytes: int, more_bytes: int) -> bool:
        """Return whether an account would have more than its share.

        Args:
            account: the account.
            own_bytes: by how much the account's total would grow.
            more_bytes: by how much the store's total would grow.
        """
        if account is NOBODY:
            return False
        used_bytes = account.stored_bytes + own_bytes
        if self._most_of_one_bytes is not None and used_bytes > self._most_of_one_bytes:
            return True
        return exceeds_share(
            used_bytes,
            self._used_bytes + more_bytes,
            self._budget_bytes,
            self._accounts + (account.stored_bytes == 0),
        )

    def _refusal(self, reason: str, account: Account) -> LimitError:
        self.refused += 1
        return LimitError(reason, self._describe_use(account))

    def _check_new(self, size_bytes: int, alone_bytes: int, account: Account) -> None:
        if self._used_bytes + size_bytes > self._budget_bytes:
            raise self._refusal("store is full", account)
        if self._exceeds_share(account, alone_bytes, size_bytes):
            raise self._refusal(
                "no new key: store is nearly full, and the address above its share",
                account,
            )

    def _check_growth(
        self, account: Account, own_bytes: int, growth_bytes: int, size_bytes: int
    ) -> None:
        """Check that a value may grow, and charge the growth to the slack if needed.

        Args:
            account: the account that writes it.
            own_bytes: by how much the account's total grows.
            growth_bytes: by how much the value grows.
            size_bytes: the value's new size.
        """
        after_bytes = self._used_bytes + growth_bytes
        if after_bytes <= self._free_bytes:
            return
        # A value that does not grow is never refused, not even above the share: the
        # heartbeat of a live worker must not become stale because the store is full.
        if growth_bytes <= 0:
            self._give_slack_back(account, -growth_bytes)
            return
        is_above_share = self._exceeds_share(account, own_bytes, growth_bytes)
        if is_above_share and size_bytes > SMALL_VALUE_BYTES:
            raise self._refusal(
                f"no growth past {SMALL_VALUE_BYTES // 1024} KiB: store is nearly"
                " full, and the address above its share",
                account,
            )
        if is_above_share or after_bytes > self._budget_bytes:
            self._take_slack(account, growth_bytes, is_above_share)

    def _take_slack(
        self, account: Account, growth_bytes: int, is_above_share: bool
    ) -> None:
        """Charge the growth of a value to the slack, or raise."""
        own_bytes = self._slack.get(account, 0) + growth_bytes
        total_bytes = self._slack_bytes + growth_bytes
        most_bytes = SLACK_BYTES
        # Below the budget, only accounts above their share are charged at all.  The
        # smaller limit keeps them from using up the last quarter of a small budget.
        if is_above_share:
            most_bytes = min(most_bytes, self._budget_bytes // _SLACK_PART)
        if total_bytes > most_bytes or exceeds_share(
            own_bytes, total_bytes, SLACK_BYTES, max(1, self._accounts)
        ):
            raise self._refusal(
                "store is full, and its known keys have grown as far as they may",
                account,
            )
        self._slack[account] = own_bytes
        self._slack_bytes = total_bytes

    def _give_slack_back(self, account: Account, size_bytes: int) -> None:
        """Return slack to the pool when a value of an account shrinks."""
        own_bytes = self._slack.get(account)
        if own_bytes is not None:
            # At most what the account has taken, because the value that shrinks may
            # have grown while there was room, and then took no slack.
            given_bytes = min(own_bytes, size_bytes)
            self._slack_bytes -= given_bytes
            if given_bytes == own_bytes:
                del self._slack[account]
            else:
                self._slack[account] = own_bytes - given_bytes

    def _refill_slack(self) -> None:
        """Reset the slack once there is room again (`_free_bytes`)."""
        if self._used_bytes <= self._free_bytes:
            self._slack.clear()
            self._slack_bytes = 0

    def _describe_use(self, account: Account) -> str:
        return (
            f"{self._used_bytes} of {self._budget_bytes} bytes are used"
            f" (--store-budget), {account.stored_bytes} of them by {account.name}"
        )

    def count_other(self, more_bytes: int) -> None:
        """Count memory of something else, such as the history, as used."""
        with self._lock:
            self._used_bytes += more_bytes

    def get(self, key: str) -> bytes | None:
        """Return the value of exactly this key, or None."""
        segments = _split(key)
        if segments is None:
            return None
        with self._lock:
            leaf = self._walk_to_leaf(segments)[1]
            return None if leaf is None else leaf.value

    def await_key(self, key: str, waiter: Waiter) -> bool:
        """Call a waiter once when an absent key is stored.

        The thread that stores the key calls the waiter, without holding the lock.  A
        waiter that is registered for the key already is still called only once.

        Returns:
            Whether the key is awaited; False if it exists already or can never exist.
        """
        segments = _split(key)
        if segments is None:
            return False
        with self._lock:
            # Under the same lock as the registration: if the key were stored between
            # the two, the waiter would never be called.
            if self._walk_to_leaf(segments)[1] is not None:
                return False
            waiters = self._awaited.setdefault(key, [])
            if waiter not in waiters:
                waiters.append(waiter)
            return True

    def stop_awaiting(self, key: str, waiter: Waiter) -> None:
        """Stop awaiting a key.

        The waiter may still be called: `put` may have collected its waiters just
        before, and it calls them after it has released the lock.
        """
        with self._lock:
            waiters = self._awaited.get(key, [])
            if waiter in waiters:
                waiters.remove(waiter)
                if not waiters:
                    del self._awaited[key]

    def await_nothing(self) -> None:
        """Stop awaiting all keys, for all waiters."""
        with self._lock:
            self._awaited = {}

    def items(self) -> Iterator[tuple[str, bytes]]:
        """Yield each key and its value.

        This takes no lock.  Nothing may be stored meanwhile: if several threads use
        the store, they must be paused.
        """
        below: list[tuple[str, _Leaf | _Node]] = [("", self._root)]
        while below:
            path, held = below.pop()
            if isinstance(held, _Leaf):
                yield path, held.value
                continue
            for segment, entry in chain.from_iterable(map(dict.items, _parts(held))):
                if segment is _OWN:
                    below.append((path[:-1], entry))
                else:
                    end = "/" if isinstance(entry, dict) else ""
                    below.append((f"{path}{segment}{end}", entry))

    def list_nodes(self, path: str) -> list[str]:
        """Return the names directly below a path, in no particular order.

        Each key that begins with the prefix contributes the first non-empty segment
        after the prefix.  Each name is given once.
        """
        return [name for names in self.name_slices(path) for name in names]

    def count_names(self, path: str) -> int:
        """Return how many names are directly below a path, or slightly more.

        Entries for the node's own key and for empty segments are counted as well.
        """
        with self._lock:
            return sum(map(len, self._levels(path)))

    def name_slices(self, path: str) -> Iterator[list[str]]:
        """Yield the names directly below a path in batches, each name once.

        The lock is held for the copy of one batch at a time.  A name that is added or
        removed meanwhile may or may not be included.
        """
        with self._lock:
            levels = self._levels(path)
        return self._slices_of(levels)

    def _slices_of(self, levels: list[_Node]) -> Iterator[list[str]]:
        # If a node is rebuilt or widened meanwhile, the list goes on with the old node.
        # That still holds the names of its time, so no name is given twice.
        seen: set[str] = set()
        for part in chain.from_iterable(map(_parts, levels)):
            with self._lock:
                names = list(part)
            slice_ = [name for name in names if name]
            if len(levels) > 1:
                slice_ = [name for name in slice_ if name not in seen]
                seen.update(slice_)
            yield slice_

    def _levels(self, path: str) -> list[_Node]:
        """Return the nodes that hold the names of a directory.

        There may be several: "/a//b" lies below "/a" too, so the node at each empty
        segment belongs to the directory as well.
        """
        segments = _split_directory(path)
        levels: list[_Node] = []
        if segments is not None:
            _, node = self._walk(segments)
            while isinstance(node, dict):
                levels.append(node)
                node = node.get("")
        return levels

    def delete(self, key: str) -> None:
        """Remove exactly this key, if it exists."""
        segments = _split(key)
        if segments is None:
            return
        with self._lock:
            trail, leaf = self._walk_to_leaf(segments)
            if leaf is not None:
                self._delete_leaf(trail, leaf, segments)

    def delete_all(self, path: str) -> None:
        """Remove the key of a path and all keys below it.

        No reader sees the keys any more once this returns.  If the subtree is large,
        most of its memory is freed later by `reclaim`, and counts as used until then.
        """
        segments = _split_directory(path)
        if segments is None:
            return
        with self._lock:
            trail, held = self._walk(segments)
            if held is None:
                return
            if isinstance(held, _Leaf):
                self._delete_leaf(trail, held, segments)
                return
            segment = self._take_out(trail)
            # This invalidates every place, and must happen before the lock is
            # released.  The leaves of the subtree still have their accounts, so a
            # `put_at` in between would write its heartbeat into a leaf that is no
            # longer in the trie, acknowledge it, and lose it.
            self._epoch += 1
        # Outside the lock: other threads can use the store while entries are freed.
        self._free_some([({segment: held}, _path_bytes(segments[:-1]))])

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

    def _walk(self, segments: list[str]) -> tuple[_Trail, _Leaf | _Node | None]:
        """Follow segments down the trie as far as it goes.

        Returns:
            The trail, and the leaf or node at its end, or None if there is neither.
        """
        trail: _Trail = []
        held: _Leaf | _Node | None = self._root
        for segment in segments:
            if not isinstance(held, dict):
                return trail, None
            trail.append((held, segment))
            held = held.get(segment)
        return trail, held

    def _walk_to_leaf(self, segments: list[str]) -> tuple[_Trail, _Leaf | None]:
        """Follow segments to the leaf of exactly this key, or to None."""
        trail, held = self._walk(segments)
        if isinstance(held, dict):
            trail.append((held, _OWN))
            held = held.get(_OWN)
        return trail, held if isinstance(held, _Leaf) else None

    def _delete_leaf(self, trail: _Trail, leaf: _Leaf, segments: list[str]) -> None:
        """Remove the key at the end of a trail."""
        alone_bytes = _path_bytes(segments[:-1]) + _entry_bytes(segments[-1], leaf)
        size_bytes = _entry_bytes(self._take_out(trail), leaf)
        self._count_out(1, size_bytes)
        assert leaf.account is not None  # noqa: S101  (it lay in the trie)
        self._charge(leaf.account, -alone_bytes)
        # Invalidates the places of this leaf alone.  A new epoch would invalidate the
        # places of all keys, and a worker deletes its key whenever it stops.
        leaf.account, leaf.value = None, b""

    def _take_out(self, trail: _Trail) -> str | None:
        """Remove the entry at the end of a trail; return its segment."""
        node, segment = trail.pop()
        del node[segment]
        self._tidy(trail, node)
        return segment

    def _free_some(self, detached: _Detached) -> None:
        """Free some entries of a detached subtree, and keep the rest for `reclaim`.

        Only the totals need the lock: no other thread changes the subtree any more.  A
        list that began before the delete may still read its nodes, and then finds
        fewer names.
        """
        keys, size_bytes, charges = _empty(detached)
        with self._lock:
            self._count_out(keys, size_bytes)
            for account, charged_bytes in charges.items():
                self._charge(account, -charged_bytes)
            if detached:
                self._detached.append(detached)

    def _count_out(self, keys: int, size_bytes: int) -> None:
        """Subtract deleted keys from the totals."""
        self._keys -= keys
        self._used_bytes -= size_bytes
        self.deleted_bytes += size_bytes

    def _tidy(self, trail: _Trail, node: _Node) -> None:
        """Restore the invariants of the nodes after one of them has lost an entry.

        No node except the root is empty, no node has only the leaf of its own key, and
        no node is sparse.  The repair starts at the given node and moves up the trail
        until a node keeps its place.
        """
        while trail:
            parent, segment = trail.pop()
            if not node:
                del parent[segment]
                self._used_bytes -= _segment_bytes(segment) + _NODE_BYTES
            elif len(node) == 1 and _OWN in node:
                parent[segment] = node[_OWN]
                self._used_bytes -= _NODE_BYTES + _ENTRY_BYTES
                return
            else:
                parent[segment] = _fitting(node)
                return
            node = parent
        self._root = _fitting(self._root)


def _split(key: str) -> list[str] | None:
    """Split a key into its segments, or return None if it has too many."""
    segments = key.split("/", MAX_SEGMENTS)
    return None if len(segments) > MAX_SEGMENTS else segments


def _split_directory(path: str) -> list[str] | None:
    """Split the path of a directory; one slash at its end makes no difference."""
    return _split(path[:-1] if path.endswith("/") else path)


def _segment_bytes(segment: str | None) -> int:
    """Return what the budget counts for an entry, without its leaf or node."""
    if segment is None:
        return _ENTRY_BYTES
    character_bytes = 1 if segment.isascii() else _WIDE_CHARACTER_BYTES
    return _ENTRY_BYTES + _SEGMENT_BYTES + character_bytes * len(segment)


def _entry_bytes(segment: str | None, held: _Leaf | _Node) -> int:
    """Return what the budget counts for an entry, without the entries below it."""
    if isinstance(held, dict):
        return _segment_bytes(segment) + _NODE_BYTES
    return _segment_bytes(segment) + _VALUE_BYTES + len(held.value)


def _path_bytes(segments: list[str]) -> int:
    """Return what the budget counts for the nodes of a path that has no other keys."""
    return sum(map(_segment_bytes, segments)) + _NODE_BYTES * len(segments)


def _empty(detached: _Detached) -> tuple[int, int, dict[Account, int]]:
    """Empty `RECLAIMED_PER_STEP` entries of a detached subtree.

    Entries are removed one by one.  Clearing a dict of a million entries with one
    call would stop all threads for a tenth of a second.

    Returns:
        The number of keys, the bytes they took, and the bytes that each account was
        charged for them.
    """
    keys = size_bytes = 0
    charges: dict[Account, int] = {}
    for _ in range(RECLAIMED_PER_STEP):
        node, path_bytes = detached[-1]
        segment, held = node.popitem()
        entry_bytes = _entry_bytes(segment, held)
        size_bytes += entry_bytes
        if isinstance(held, dict):
            detached.append((held, path_bytes + entry_bytes))
        else:
            keys += 1
            account = held.account
            assert account is not None  # noqa: S101  (`delete` cannot reach it)
            # `alone_bytes` is what the key would take if it were the only one.  For
            # an own leaf, the node would not exist then: the leaf would be in the
            # node's place.
            alone_bytes = path_bytes + entry_bytes
            if segment is _OWN:
                alone_bytes -= _NODE_BYTES + _ENTRY_BYTES
            charges[account] = charges.get(account, 0) + alone_bytes
            held.account, held.value = None, b""
        while detached and not detached[-1][0]:
            detached.pop()
        if not detached:
            break
    return keys, size_bytes, charges


def _is_crowded(node: _Node) -> bool:
    return len(node) >= _WIDE_ENTRIES and not isinstance(node, _WideNode)


def _parts(node: _Node) -> list[_Node]:
    """Return the dicts that hold a node's entries."""
    return node.parts if isinstance(node, _WideNode) else [node]


def _fitting(node: _Node) -> _Node:
    """Return the node itself, or a smaller copy if it has shrunk a lot."""
    if isinstance(node, _WideNode):
        # Far below the threshold for widening: a node whose size stays near one
        # threshold must not be converted again and again.
        if len(node) > _WIDE_ENTRIES // 4:
            return node
        return dict(chain.from_iterable(map(dict.items, node.parts)))
    return dict(node) if _is_sparse(node) else node


def _is_sparse(node: _Node) -> bool:
    size_bytes = sys.getsizeof(node)
    return size_bytes > max(_SPARSE_MIN_BYTES, len(node) * _SPARSE_BYTES_PER_ENTRY)
