"""The store of heartbeats: a trie of path segments behind one lock.

A key is split at its slashes, ``"/a/b"`` into ``"", "a", "b"``, so that each
string has its own place: ``"/a"`` is not ``"/a/"``.  A node of the trie is a
dict from segment to what is there: a leaf if there is just a value, a dict
if keys lie below, with the leaf of the node's own key, if any, at `_OWN`.

What it promises:

* A list costs what it answers, a delete what it removes, a pulse the segments
  of its path; none of them depends on what else is stored.
* A node that becomes empty is gone, and one that has shrunk a lot is rebuilt, so
  that topologies may come and go for ever.  A leaf that is deleted is emptied: a
  `Place` of it holds no heartbeat.
* No key is longer than `MAX_SEGMENTS`, so nothing costs more than its bytes.
* No call frees more than `RECLAIMED_PER_STEP` entries: a larger subtree is
  detached at once, and freed little by little by `Store.reclaim`.
* Who awaits a key is told of it: none comes between the look that finds it
  absent and its being awaited.

Directories follow one rule.  ``prefix(path)`` is the path with one slash at
its end.  A delete takes each key that begins with the prefix once a slash is
put behind it; a list gives the first non-empty segments behind the prefix.
(Storm compares plain strings, and 2.x takes the path as a regular expression;
for every path that Storm itself uses the answers are the same.)

The budget.  Up to three quarters of it, everybody may store (`accounts.PRESSURE`).
Above them an account that has more than an equal share may neither add keys nor
let a value grow past `SMALL_VALUE_BYTES`.  No new key passes the budget.  A known
key is still rewritten past it, or living workers would be called dead, but such
growth is bounded: all of it together by `SLACK_BYTES`.  The growth of accounts
above their share counts against the slack from three quarters on, so they cannot
use up, by values that grow a little each, what is left for new keys of the others.
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

# A value up to this size may grow whoever writes it: most heartbeats of Storm are
# smaller, and their sizes change all the time, as they are compressed.
SMALL_VALUE_BYTES: Final = 64 * 1024
# By how much known values may grow once the budget is used up.
SLACK_BYTES: Final = 32 * 1024 * 1024
# What accounts above their share may take of it is no more than this part of the
# budget: a quarter of the last quarter, so that of a small budget, too, most is left
# for new keys of the others.
_SLACK_PART: Final = 16

# The most entries that one call frees: about a millisecond.
RECLAIMED_PER_STEP: Final = 1_000

# From this many entries on a node is a `_WideNode`, of this many parts.
_WIDE_ENTRIES: Final = 16_384
_WIDE_PARTS: Final = 256
_WIDE_SHIFT: Final = 40

# Where a node keeps the leaf of its own key; no segment is None.
_OWN: Final = None
_Node: TypeAlias = dict["str | None", "_Leaf | _Node"]
# Is told of a key that it awaited; any thread may do so.
Waiter: TypeAlias = Callable[[str], None]
# The nodes from the root to one of them, each with the segment taken there.
_Trail: TypeAlias = list[tuple[_Node, "str | None"]]
# A detached subtree that is not yet freed: a stack of nodes, the one that is being
# emptied on top, each with the bytes that the nodes of its path are counted with.
_Detached: TypeAlias = list[tuple[_Node, int]]

# What the budget counts besides the bytes of segments and values: a place in
# a dict that is half full, an empty dict with its first table, and with a value
# its leaf (48 bytes with the garbage collector's head), the head of a bytes object
# and what an allocator rounds up.
_ENTRY_BYTES: Final = 80
_NODE_BYTES: Final = 232
_VALUE_BYTES: Final = 88
# The head of a str, and of one that is not ASCII at most four bytes a character.
# (sys.getsizeof grows once C code has asked for a str's UTF-8, so that a key
# could weigh more when it goes than when it came.)
_SEGMENT_BYTES: Final = 76
_WIDE_CHARACTER_BYTES: Final = 4

# A dict never shrinks by itself, and walking it costs its size: it is rebuilt
# when it takes this much for each entry that is left (one that has only
# grown takes up to 150), if it is worth the trouble at all.
_SPARSE_BYTES_PER_ENTRY: Final = 300
_SPARSE_MIN_BYTES: Final = 1024


class _Leaf:
    """The value of one key, and who wrote it.

    A key has the same leaf until it is deleted, so that a `Place` finds the value
    without a look-up.  The leaf of a deleted key has no account.
    """

    __slots__ = ("account", "value")

    def __init__(self, account: Account | None, value: bytes) -> None:
        self.account = account
        self.value = value


_DELETED: Final = _Leaf(None, b"")


class _WideNode(dict["str | None", "_Leaf | _Node"]):
    """A node of very many entries, which lie in many small dicts.

    A dict of a million entries takes 50 ms to grow, and 30 ms to copy for a list;
    no other thread runs meanwhile.  As a dict it is empty: `_parts` gives its parts.
    """

    __slots__ = ("_count", "parts")

    def __init__(self, node: _Node) -> None:
        super().__init__()
        self.parts: list[_Node] = [{} for _ in range(_WIDE_PARTS)]
        self._count = 0
        for segment, held in node.items():
            self[segment] = held

    def _number(self, segment: object) -> int:
        # Not the lowest bits: a dict chooses its slots by them.
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
        """Take an entry out of a node that is no longer used otherwise."""
        while not self.parts[-1]:
            self.parts.pop()
        self._count -= 1
        return self.parts[-1].popitem()


class Place:
    """Where a key's value lies, for who writes it again and again (`Store.put_at`).

    Args:
        key: which.
        account: who writes it.
    """

    __slots__ = ("account", "epoch", "key", "leaf")

    def __init__(self, key: str, account: Account = NOBODY) -> None:
        self.key = key
        self.account = account
        self.leaf = _DELETED
        # The store's when the leaf was found.
        self.epoch = 0


class Store:
    """The heartbeats, by key.  Any thread may call any method.

    Args:
        budget_bytes: what the heartbeats may take, with what Python needs to hold
            them (see the module); None for no limit.
        most_of_one_bytes: from where on an account counts as above its share,
            however little is stored; None for three quarters of the budget used, and
            an equal share of it.

    Attributes:
        refused: how many heartbeats were refused for want of room.
        deleted_bytes: what all deletes so far have freed, as the budget counts.
    """

    def __init__(
        self, budget_bytes: int | None = None, most_of_one_bytes: int | None = None
    ) -> None:
        self._most_of_one_bytes = most_of_one_bytes
        # Guards all below; held for a few dictionary steps, never around I/O.
        self._lock = threading.Lock()
        self._root: _Node = {}
        self._keys = 0
        self._used_bytes = 0
        # How many accounts have stored anything, `NOBODY` apart.
        self._accounts = 0
        # How much of the slack each account has used since the store was last below
        # three quarters of its budget.
        self._slack: dict[Account, int] = {}
        self._slack_bytes = 0
        # Changes whenever a subtree is detached, as places of its leaves must not be
        # used any more.
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
        """What the heartbeats may take."""
        return self._budget_bytes

    @budget_bytes.setter
    def budget_bytes(self, budget_bytes: int) -> None:
        self._budget_bytes = budget_bytes
        # Up to this many bytes nobody is refused anything.
        has_limit = self._most_of_one_bytes is not None
        self._free_bytes = 0 if has_limit else int(budget_bytes * PRESSURE)

    @property
    def used_bytes(self) -> int:
        """The memory that the heartbeats take, as the budget counts it.

        Those that are detached and not yet freed are among them.
        """
        return self._used_bytes

    def put(
        self,
        key: str,
        value: bytes,
        place: Place | None = None,
        account: Account = NOBODY,
    ) -> None:
        """Store a value, instead of the one that was there.

        Args:
            key: where.
            value: what.
            place: is made that of the key, for `put_at`.
            account: who writes it.

        Raises:
            LimitError: the key has too many segments, or the budget does not allow
                the account a new key or so large a value.
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
                # As in `put_at`; a call more takes a tenth of the time.
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
        for tell in waiters:
            tell(key)

    def put_at(self, place: Place, value: bytes) -> None:
        """Do what `put` does, and find the way to the key but once.

        Args:
            place: the key's; only one thread at a time may use it.
            value: as for `put`.

        Raises:
            LimitError: as `put`.
        """
        account = place.account
        with self._lock:
            leaf = place.leaf
            if leaf.account is account and place.epoch == self._epoch:
                # The key is there, so nobody awaits it.
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
        """Return the leaf of a key, if it is there and no keys lie below it."""
        held: Any = self._root
        try:
            for segment in segments:
                held = held[segment]
        except (KeyError, TypeError):  # nothing is there, or a leaf higher up
            return None
        return held if type(held) is _Leaf else None

    def _put_leaf(self, segments: list[str], value: bytes, account: Account) -> _Leaf:
        """Put a value into the leaf of a key, which may have to be made."""
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
            if is_crowded or _is_crowded(node):
                self._widen([*segments, name])
            return leaf
        alone_bytes = _path_bytes(segments) + _entry_bytes(name, held)
        self._rewrite(held, value, account, alone_bytes)
        return held

    def _grow(self, node: _Node, segment: str) -> _Node:
        """Make a node where none is, above the leaf that may be there."""
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
        """Count a new key in, or raise.

        Args:
            size_bytes: what it takes besides the nodes above it.
            alone_bytes: what it would take if nothing else were stored.
            account: who writes it.
            segments: the path of its node.
        """
        try:
            self._check_new(size_bytes, alone_bytes, account)
        except LimitError:
            # The nodes that were made for the key go again.
            trail, node = self._walk(segments)
            if isinstance(node, dict):
                self._tidy(trail, node)
            raise
        self._used_bytes += size_bytes
        self._keys += 1
        self._charge(account, alone_bytes)
        account.new_keys += 1

    def _widen(self, segments: list[str]) -> None:
        """Make wide nodes of the crowded ones on a path."""
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
        """Rewrite a leaf, perhaps another account's.

        Args:
            leaf: which.
            value: its new value.
            account: who writes it.
            alone_bytes: what its account is charged with.
        """
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
        """Add to what an account has stored."""
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
            account: which.
            own_bytes: by how much its own total would grow.
            more_bytes: by how much that of the store would.
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
        """Check that a value may become larger, and count the slack that it takes.

        Args:
            account: who writes it.
            own_bytes: by how much the account's total grows.
            growth_bytes: by how much the value does.
            size_bytes: its new size.
        """
        after_bytes = self._used_bytes + growth_bytes
        if after_bytes <= self._free_bytes:
            return
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
        """Let a value grow out of the slack, or raise."""
        own_bytes = self._slack.get(account, 0) + growth_bytes
        total_bytes = self._slack_bytes + growth_bytes
        most_bytes = SLACK_BYTES
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
        """Give back what an account's value took of the slack, as it shrinks."""
        own_bytes = self._slack.get(account)
        if own_bytes is not None:
            given_bytes = min(own_bytes, size_bytes)
            self._slack_bytes -= given_bytes
            if given_bytes == own_bytes:
                del self._slack[account]
            else:
                self._slack[account] = own_bytes - given_bytes

    def _refill_slack(self) -> None:
        """Forget what was taken of the slack, once there is room again."""
        if self._used_bytes <= self._free_bytes:
            self._slack.clear()
            self._slack_bytes = 0

    def _describe_use(self, account: Account) -> str:
        return (
            f"{self._used_bytes} of {self._budget_bytes} bytes are used"
            f" (--store-budget), {account.stored_bytes} of them by {account.name}"
        )

    def get(self, key: str) -> bytes | None:
        """Return the value of exactly this key, or None."""
        segments = _split(key)
        if segments is None:
            return None
        with self._lock:
            leaf = self._walk_to_leaf(segments)[1]
            return None if leaf is None else leaf.value

    def await_key(self, key: str, waiter: Waiter) -> bool:
        """Have a waiter told, once, when a key that is absent is stored.

        It is called by the thread that stores the key, without the lock.  One
        that awaits the key already is told of it once.

        Returns:
            Whether the key is awaited; False where it is there, or never can be.
        """
        segments = _split(key)
        if segments is None:
            return False
        with self._lock:
            if self._walk_to_leaf(segments)[1] is not None:
                return False
            waiters = self._awaited.setdefault(key, [])
            if waiter not in waiters:
                waiters.append(waiter)
            return True

    def stop_awaiting(self, key: str, waiter: Waiter) -> None:
        """Forget that a waiter awaits a key; it may be told of it all the same."""
        with self._lock:
            waiters = self._awaited.get(key, [])
            if waiter in waiters:
                waiters.remove(waiter)
                if not waiters:
                    del self._awaited[key]

    def await_nothing(self) -> None:
        """Forget all that is awaited, by any waiter."""
        with self._lock:
            self._awaited = {}

    def items(self) -> Iterator[tuple[str, bytes]]:
        """Give each key and its value; nothing may be stored meanwhile.

        Where several threads use the store, they stand still.
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
        """Return the names directly below a path, in no order.

        They are the distinct first non-empty segments of what follows the
        prefix, over the keys that begin with it.
        """
        return [name for names in self.name_slices(path) for name in names]

    def count_names(self, path: str) -> int:
        """Return how many names are directly below a path, or a few more."""
        with self._lock:
            return sum(map(len, self._levels(path)))

    def name_slices(self, path: str) -> Iterator[list[str]]:
        """Give the names directly below a path, some at a time, each of them once.

        The lock is held for one copy at a time: a name that comes or goes meanwhile
        may be given or not.
        """
        with self._lock:
            levels = self._levels(path)
        return self._slices_of(levels)

    def _slices_of(self, levels: list[_Node]) -> Iterator[list[str]]:
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
        """Return the nodes whose names are those of a directory.

        They are several, as "/a//b" lies below "/a" as well: an empty segment is
        looked through.
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
        """Remove exactly this key, if it is there."""
        segments = _split(key)
        if segments is None:
            return
        with self._lock:
            trail, leaf = self._walk_to_leaf(segments)
            if leaf is not None:
                self._delete_leaf(trail, leaf, segments)

    def delete_all(self, path: str) -> None:
        """Remove the key of a path and all keys below it.

        They are gone at once.  Of a large subtree, the rest of the memory is freed
        by `reclaim`, and counts as used until then.
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
            # Invalidates every place, before the lock is released: the leaves below
            # are still full, and a heartbeat written to one would be lost.
            self._epoch += 1
        self._free_some([({segment: held}, _path_bytes(segments[:-1]))])

    def reclaim(self) -> bool:
        """Free some of what was deleted.

        Returns:
            Whether there is more.
        """
        if not self._detached:
            return False
        with self._lock:
            detached = self._detached.pop() if self._detached else []
        self._free_some(detached)
        return bool(self._detached)

    def _walk(self, segments: list[str]) -> tuple[_Trail, _Leaf | _Node | None]:
        """Go down as far as the trie does.

        Returns:
            The trail, and what lies at its end: None where nothing is there.
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
        """Go down to the leaf of just this key; None where it has none."""
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
        leaf.account, leaf.value = None, b""

    def _take_out(self, trail: _Trail) -> str | None:
        """Take the end of a trail out of the trie; return the segment it had."""
        node, segment = trail.pop()
        del node[segment]
        self._tidy(trail, node)
        return segment

    def _free_some(self, detached: _Detached) -> None:
        """Free some of a detached subtree, and keep the rest for `reclaim`.

        No other thread can reach the subtree, so only the totals need the lock.
        """
        keys, size_bytes, charges = _empty(detached)
        with self._lock:
            self._count_out(keys, size_bytes)
            for account, charged_bytes in charges.items():
                self._charge(account, -charged_bytes)
            if detached:
                self._detached.append(detached)

    def _count_out(self, keys: int, size_bytes: int) -> None:
        """Subtract keys that were deleted from the sums."""
        self._keys -= keys
        self._used_bytes -= size_bytes
        self.deleted_bytes += size_bytes

    def _tidy(self, trail: _Trail, node: _Node) -> None:
        """Restore what holds of every node, from one that lost an entry upwards.

        None but the root is empty, none has only its own value, none is sparse.
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
    """Split a key into its segments; None where it has more than any key has."""
    segments = key.split("/", MAX_SEGMENTS)
    return None if len(segments) > MAX_SEGMENTS else segments


def _split_directory(path: str) -> list[str] | None:
    """Split a path so that with and without a slash at its end are the same."""
    return _split(path[:-1] if path.endswith("/") else path)


def _segment_bytes(segment: str | None) -> int:
    """Count an entry of a node for the budget, without what the entry holds."""
    if segment is None:
        return _ENTRY_BYTES
    character_bytes = 1 if segment.isascii() else _WIDE_CHARACTER_BYTES
    return _ENTRY_BYTES + _SEGMENT_BYTES + character_bytes * len(segment)


def _entry_bytes(segment: str | None, held: _Leaf | _Node) -> int:
    """Count one entry of a node for the budget, without what lies below it."""
    if isinstance(held, dict):
        return _segment_bytes(segment) + _NODE_BYTES
    return _segment_bytes(segment) + _VALUE_BYTES + len(held.value)


def _path_bytes(segments: list[str]) -> int:
    """Count the nodes of a path, with nothing else in them."""
    return sum(map(_segment_bytes, segments)) + _NODE_BYTES * len(segments)


def _empty(detached: _Detached) -> tuple[int, int, dict[Account, int]]:
    """Empty `RECLAIMED_PER_STEP` entries of a detached subtree.

    Entries are removed one by one.  Clearing a dict of a million entries with one
    call would stop all threads for a tenth of a second.

    Returns:
        How many keys they were, what they took, and that by account as it was
        charged.
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
            # If its key were the only one, a leaf would take the node's place.
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
    """Return the dicts in which a node's entries lie."""
    return node.parts if isinstance(node, _WideNode) else [node]


def _fitting(node: _Node) -> _Node:
    """Return a node, or one that is as small as its entries need."""
    if isinstance(node, _WideNode):
        # Far below the threshold, so that a node is not converted again and again.
        if len(node) > _WIDE_ENTRIES // 4:
            return node
        return dict(chain.from_iterable(map(dict.items, node.parts)))
    return dict(node) if _is_sparse(node) else node


def _is_sparse(node: _Node) -> bool:
    size_bytes = sys.getsizeof(node)
    return size_bytes > max(_SPARSE_MIN_BYTES, len(node) * _SPARSE_BYTES_PER_ENTRY)
