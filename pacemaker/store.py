"""The store of heartbeats: a trie of path segments behind one lock.

A key is split at its slashes, ``"/a/b"`` into ``"", "a", "b"``, so that each
string has its own place: ``"/a"`` is not ``"/a/"``.  A node of the trie is a
dict from segment to what is there: bytes where there is just a value, a dict
where keys lie below, with the value of the node's own key, if any, at `_OWN`.

What it promises:

* A list costs what it answers, a delete what it removes, a pulse the segments
  of its path; none of them depends on what else is stored.
* A node that becomes empty is gone, and one that has become much smaller than
  it was is laid anew, so that topologies may come and go for ever.  A node that
  is taken out is emptied: a `Place` in it holds no heartbeats.
* No key is longer than `MAX_SEGMENTS`, so nothing costs more than its bytes.
* Who awaits a key is told of it: none comes between the look that finds it
  absent and its being awaited.

Directories follow one rule.  ``prefix(path)`` is the path with one slash at
its end.  A delete takes each key that begins with the prefix once a slash is
put behind it; a list gives the first non-empty segments behind the prefix.
(Storm compares plain strings, and 2.x takes the path as a regular expression;
for every path that Storm itself uses the answers are the same.)
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from pacemaker.errors import LimitError

# Storm's keys have four segments.  A path of ten million slashes would
# otherwise become ten million nodes of more than 200 bytes each.
MAX_SEGMENTS: Final = 256

# Where a node keeps the value of its own key; no segment is None.
_OWN: Final = None
_Node: TypeAlias = dict["str | None", "bytes | _Node"]
# Is told of a key that it awaited; any thread may do so.
Waiter: TypeAlias = Callable[[str], None]
# The nodes from the root to one of them, each with the segment taken there.
_Trail: TypeAlias = list[tuple[_Node, "str | None"]]

# What the budget counts besides the bytes of segments and values: a place in
# a dict that is half full, an empty dict with its first table, the head of a
# bytes object and what an allocator rounds up.
_ENTRY_BYTES: Final = 80
_NODE_BYTES: Final = 232
_VALUE_BYTES: Final = 40
# The head of a str, and of one that is not ASCII at most four bytes a character.
# (sys.getsizeof grows once C code has asked for a str's UTF-8, so that a key
# could weigh more when it goes than when it came.)
_SEGMENT_BYTES: Final = 76
_WIDE_CHARACTER_BYTES: Final = 4

# A dict never shrinks by itself, and walking it costs its size: it is laid
# anew when it takes this much for each entry that is left (one that has only
# grown takes up to 150), if it is worth the trouble at all.
_SPARSE_BYTES_PER_ENTRY: Final = 300
_SPARSE_MIN_BYTES: Final = 1024


class Place:
    """Where a key's value lies, for who writes it again and again (`Store.put_at`).

    Args:
        key: which.
    """

    __slots__ = ("key", "layout", "node", "segment")

    def __init__(self, key: str) -> None:
        self.key = key
        self.node: _Node = {}
        self.segment: str | None = None
        # That of the store for which the two above hold; none to begin with.
        self.layout = -1


class Store:
    """The heartbeats, by key.  Any thread may call any method.

    Args:
        budget_bytes: a new key is refused where it would take the heartbeats,
            with what Python needs to hold them, past this; None for no limit.

    Attributes:
        budget_bytes: the same.
        deleted_bytes: what all deletes so far have freed, as the budget counts.
    """

    def __init__(self, budget_bytes: int | None = None) -> None:
        # Guards all below; held for a few dictionary steps, never around I/O.
        self._lock = threading.Lock()
        self._root: _Node = {}
        self._keys = 0
        self._used_bytes = 0
        # Another number each time that anything is taken out of a node (so also
        # when a key is refused for which nodes were made).
        self._layout = 0
        self._awaited: dict[str, list[Waiter]] = {}
        self.deleted_bytes = 0
        self.budget_bytes = sys.maxsize if budget_bytes is None else budget_bytes

    def __len__(self) -> int:
        return self._keys

    def __repr__(self) -> str:
        return f"<Store keys={self._keys} used_bytes={self._used_bytes}>"

    @property
    def used_bytes(self) -> int:
        """The memory that the heartbeats take, as the budget counts it."""
        return self._used_bytes

    def put(self, key: str, value: bytes, place: Place | None = None) -> None:
        """Store a value, instead of the one that was there.

        Args:
            key: where.
            value: what.
            place: is made that of the key, for `put_at`.

        Raises:
            LimitError: the key has too many segments, or is new and the budget
                is used up; a key that is known is always rewritten.
        """
        segments = key.split("/", MAX_SEGMENTS)
        if len(segments) > MAX_SEGMENTS:
            raise LimitError("path too deep", f"more than {MAX_SEGMENTS} segments")
        last: str | None = segments.pop()
        with self._lock:
            node = self._root
            for segment in segments:
                below = node.get(segment)
                if not isinstance(below, dict):
                    below = self._grow(node, segment)
                node = below
            held = node.get(last)
            if isinstance(held, dict):
                node, last = held, _OWN
                held = node.get(_OWN)
            if isinstance(held, bytes):
                self._used_bytes += len(value) - len(held)
            else:
                self._add_key(_entry_bytes(last, value), segments)
            node[last] = value
            if place is not None:
                place.node, place.segment, place.layout = node, last, self._layout
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
        with self._lock:
            if place.layout == self._layout:
                # The key is there, so nobody awaits it.
                node, segment = place.node, place.segment
                self._used_bytes += len(value) - len(node[segment])
                node[segment] = value
                return
        self.put(place.key, value, place)

    def _grow(self, node: _Node, segment: str) -> _Node:
        """Make a node where none is, above the value that may be there."""
        value = node.get(segment)
        below: _Node = {}
        if value is None:
            self._used_bytes += _entry_bytes(segment, below)
        else:
            below[_OWN] = value
            self._used_bytes += _NODE_BYTES + _ENTRY_BYTES
            self._layout += 1
        node[segment] = below
        return below

    def _add_key(self, size_bytes: int, segments: list[str]) -> None:
        if self._used_bytes + size_bytes > self.budget_bytes:
            # The nodes that were made for the key go again.
            trail, node = self._walk(segments)
            if isinstance(node, dict):
                self._tidy(trail, node)
            raise LimitError("store is full", repr(self))
        self._used_bytes += size_bytes
        self._keys += 1

    def get(self, key: str) -> bytes | None:
        """Return the value of exactly this key, or None."""
        segments = _split(key)
        if segments is None:
            return None
        with self._lock:
            return self._walk_to_value(segments)[1]

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
            if self._walk_to_value(segments)[1] is not None:
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
        below: list[tuple[str, bytes | _Node]] = [("", self._root)]
        while below:
            path, held = below.pop()
            if isinstance(held, bytes):
                yield path, held
                continue
            for segment, entry in held.items():
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
        segments = _split_directory(path)
        if segments is None:
            return []
        names: set[str | None] = set()
        with self._lock:
            _, node = self._walk(segments)
            # "/a//b" lies below "/a" as well: an empty segment is looked through.
            while isinstance(node, dict):
                names.update(node)
                node = node.get("")
        return [name for name in names if name]

    def delete(self, key: str) -> None:
        """Remove exactly this key, if it is there."""
        segments = _split(key)
        if segments is None:
            return
        with self._lock:
            trail, held = self._walk_to_value(segments)
            if held is None:
                return
            segment = self._take_out(trail)
        self._forget(segment, held)

    def delete_all(self, path: str) -> None:
        """Remove the key of a path and all keys below it."""
        segments = _split_directory(path)
        if segments is None:
            return
        with self._lock:
            trail, held = self._walk(segments)
            if held is None:
                return
            segment = self._take_out(trail)
        self._forget(segment, held)

    def _walk(self, segments: list[str]) -> tuple[_Trail, bytes | _Node | None]:
        """Go down as far as the trie does.

        Returns:
            The trail, and what lies at its end: None where nothing is there.
        """
        trail: _Trail = []
        held: bytes | _Node | None = self._root
        for segment in segments:
            if not isinstance(held, dict):
                return trail, None
            trail.append((held, segment))
            held = held.get(segment)
        return trail, held

    def _walk_to_value(self, segments: list[str]) -> tuple[_Trail, bytes | None]:
        """Go down to the value of just this key; None where it has none."""
        trail, held = self._walk(segments)
        if isinstance(held, dict):
            trail.append((held, _OWN))
            held = held.get(_OWN)
        return trail, held if isinstance(held, bytes) else None

    def _take_out(self, trail: _Trail) -> str | None:
        """Take the end of a trail out of the trie; return the segment it had."""
        node, segment = trail.pop()
        del node[segment]
        self._tidy(trail, node)
        return segment

    def _forget(self, segment: str | None, held: bytes | _Node) -> None:
        """Count out what was taken out, with all below it.

        That may be a million keys: only the sums need the lock, nobody else
        comes to the rest any more.  Until then they count as there, as the memory
        that they take is not free yet.
        """
        keys, size_bytes = _empty(segment, held)
        with self._lock:
            self._keys -= keys
            self._used_bytes -= size_bytes
            self.deleted_bytes += size_bytes

    def _tidy(self, trail: _Trail, node: _Node) -> None:
        """Restore what holds of every node, from one that lost an entry upwards.

        None but the root is empty, none has only its own value, none is sparse.
        """
        self._layout += 1
        while trail:
            parent, segment = trail.pop()
            if not node:
                del parent[segment]
                self._used_bytes -= _entry_bytes(segment, node)
            elif len(node) == 1 and _OWN in node:
                parent[segment] = node[_OWN]
                node.clear()
                self._used_bytes -= _NODE_BYTES + _ENTRY_BYTES
                return
            else:
                if _is_sparse(node):
                    parent[segment] = _laid_anew(node)
                return
            node = parent
        if _is_sparse(self._root):
            self._root = _laid_anew(self._root)


def _split(key: str) -> list[str] | None:
    """Split a key into its segments; None where it has more than any key has."""
    segments = key.split("/", MAX_SEGMENTS)
    return None if len(segments) > MAX_SEGMENTS else segments


def _split_directory(path: str) -> list[str] | None:
    """Split a path so that with and without a slash at its end are the same."""
    return _split(path[:-1] if path.endswith("/") else path)


def _entry_bytes(segment: str | None, held: bytes | _Node) -> int:
    """Count one entry of a node for the budget, without what lies below it."""
    size_bytes = _ENTRY_BYTES
    if segment is not None:
        character_bytes = 1 if segment.isascii() else _WIDE_CHARACTER_BYTES
        size_bytes += _SEGMENT_BYTES + character_bytes * len(segment)
    if isinstance(held, bytes):
        return size_bytes + _VALUE_BYTES + len(held)
    return size_bytes + _NODE_BYTES


def _empty(segment: str | None, held: bytes | _Node) -> tuple[int, int]:
    """Count the keys and the bytes of an entry and of all below it; empty its nodes."""
    keys = size_bytes = 0
    entries = [(segment, held)]
    while entries:
        segment, held = entries.pop()
        size_bytes += _entry_bytes(segment, held)
        if isinstance(held, dict):
            entries.extend(held.items())
            held.clear()
        else:
            keys += 1
    return keys, size_bytes


def _laid_anew(node: _Node) -> _Node:
    """Make a node as small as its entries need; the old one is emptied."""
    smaller = dict(node)
    node.clear()
    return smaller


def _is_sparse(node: _Node) -> bool:
    size_bytes = sys.getsizeof(node)
    return size_bytes > max(_SPARSE_MIN_BYTES, len(node) * _SPARSE_BYTES_PER_ENTRY)
