"""The trie of keys: nodes, leaves, paths, and the memory that each of them takes.

A key is split at its slashes: ``"/a/b"`` becomes ``"", "a", "b"``.  Different strings
are therefore different keys: ``"/a"`` is not ``"/a/"``.  A node is a dict from segment
to entry.  The entry is a leaf if the key has a value and no keys below it, and another
node if there are keys below it.  A node keeps the leaf of its own key, if it has one,
at `OWN_LEAF`.

Between two calls, these invariants hold:

* no node except the root is empty, and none has only the leaf of its own key;
* no dict is sparse: a dict that has shrunk a lot is rebuilt, so memory does not build
  up as topologies come and go;
* no dict is large: a node with many entries is a `WideNode`.

A key has at most `MAX_SEGMENTS` segments, so that a path with many slashes does not
become many nodes, and each has at most `MAX_SEGMENT_BYTES`.

Nothing here takes a lock or counts totals.  The store does both, with the sizes that
these functions return.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain
from typing import Any, Final, NamedTuple, TypeAlias

from pacemaker.core.accounts.account import Account

# Storm's keys have four segments.  A path of ten million slashes would
# otherwise become ten million nodes of more than 200 bytes each.
MAX_SEGMENTS: Final = 256

# Storm names a folder after each topology, and no file system on its hosts allows
# longer names.  (A worker's name is a UUID, an address and a port.)  A list of the
# topologies contains all names, so some thousand very long ones made it take 50 ms.
MAX_SEGMENT_BYTES: Final = 255

# A node with at least this many entries becomes a `WideNode` with this many parts.
WIDE_ENTRIES: Final = 16_384
_WIDE_PARTS: Final = 256
_WIDE_SHIFT: Final = 40

# Where a node keeps the leaf of its own key.  No segment can be None.
OWN_LEAF: Final = None
Segment: TypeAlias = "str | None"
Node: TypeAlias = dict["str | None", "Leaf | Node"]
# The nodes from the root down to some node, each with the segment followed there.
Trail: TypeAlias = list[tuple[Node, "str | None"]]

# What the budget counts in addition to the bytes of segments and values.
# An entry: one slot of a dict that is half full.  A node: an empty dict with its first
# table.  A value: its leaf (48 bytes with the garbage collector's header), the header
# of a bytes object, and what the allocator rounds up.
ENTRY_BYTES: Final = 80
NODE_BYTES: Final = 232
VALUE_BYTES: Final = 88
# The header of a str.  One that is not ASCII takes at most four bytes a character.
# (sys.getsizeof would not do: its answer grows once C code has asked for the str's
# UTF-8, so a key could count for more when it is deleted than when it was added.)
SEGMENT_BYTES: Final = 76
_WIDE_CHARACTER_BYTES: Final = 4

# A dict never shrinks by itself, and iterating over it costs its allocated size.  It is
# rebuilt once it takes this many bytes for each remaining entry (a dict that has only
# grown takes up to 150), unless it is too small to be worth it.
SPARSE_BYTES_PER_ENTRY: Final = 300
SPARSE_MIN_BYTES: Final = 1024


class Leaf:
    """The value of one key, and the account that pays for it.

    A key keeps the same leaf until it is deleted, so whoever remembers the leaf finds
    the value without a look-up.  The leaf of a deleted key has no account.
    """

    __slots__ = ("account", "value")

    def __init__(self, account: Account | None, value: bytes) -> None:
        self.account = account
        self.value = value

    @property
    def owner(self) -> Account:
        """The account of a leaf that is not deleted."""
        assert self.account is not None  # noqa: S101  (the trie holds no other leaf)
        return self.account


class WideNode(dict["str | None", "Leaf | Node"]):
    """A node with very many entries, which are spread over many small dicts.

    A dict of a million entries takes 50 ms to grow, and 30 ms to copy for a list, and
    no other thread runs in that time.  The dict that this class inherits stays empty,
    so iterating over the node itself finds nothing: iterate over `parts_of` it.
    """

    __slots__ = ("_count", "parts")

    def __init__(self, node: Node) -> None:
        super().__init__()
        self.parts: list[Node] = [{} for _ in range(_WIDE_PARTS)]
        self._count = 0
        for segment, entry in node.items():
            self[segment] = entry

    def _number(self, segment: object) -> int:
        # Not the lowest bits: a dict chooses its slots by them, so all entries of
        # one part would agree in them and collide.
        return (hash(segment) >> _WIDE_SHIFT) % _WIDE_PARTS

    def get(self, segment: Segment, default: Any = None) -> Any:
        """Return the entry of a segment, or the default."""
        return self.parts[self._number(segment)].get(segment, default)

    def __getitem__(self, segment: Segment) -> Leaf | Node:
        return self.parts[self._number(segment)][segment]

    def __setitem__(self, segment: Segment, entry: Leaf | Node) -> None:
        part = self.parts[self._number(segment)]
        before = len(part)
        part[segment] = entry
        self._count += len(part) - before

    def __delitem__(self, segment: Segment) -> None:
        number = self._number(segment)
        part = self.parts[number]
        del part[segment]
        self._count -= 1
        if is_sparse(part):
            self.parts[number] = dict(part)

    def __contains__(self, segment: object) -> bool:
        return segment in self.parts[self._number(segment)]

    def __len__(self) -> int:
        return self._count

    def popitem(self) -> tuple[Segment, Leaf | Node]:
        """Remove some entry of a detached node.

        Empty parts are dropped on the way, so the node cannot be used for anything
        else afterwards.
        """
        while not self.parts[-1]:
            self.parts.pop()
        self._count -= 1
        return self.parts[-1].popitem()


class InsertionPoint(NamedTuple):
    """How far the path of a key exists, for a key that may have to be added.

    Attributes:
        node: the last node on the path.
        depth: how many of the key's segments lead to it.
        leaf: the leaf after that node, if there is one: of this key, or of a key that
            is the beginning of this one.
    """

    node: Node
    depth: int
    leaf: Leaf | None


class Trie:
    """All keys.

    Attributes:
        root: the node of the empty path.
    """

    __slots__ = ("root",)

    def __init__(self) -> None:
        self.root: Node = {}

    def childless_leaf(self, segments: list[str]) -> Leaf | None:
        """Return the leaf of a key, if the key exists and has no keys below it."""
        entry: Any = self.root
        try:
            for segment in segments:
                entry = entry[segment]
        except (KeyError, TypeError):  # nothing is there, or a leaf higher up
            return None
        return entry if type(entry) is Leaf else None

    def walk(self, segments: list[str]) -> tuple[Trail, Leaf | Node | None]:
        """Follow segments as far as they lead.

        Returns:
            The trail, and the leaf or node at its end, or None if there is neither.
        """
        trail: Trail = []
        entry: Leaf | Node | None = self.root
        for segment in segments:
            if not isinstance(entry, dict):
                return trail, None
            trail.append((entry, segment))
            entry = entry.get(segment)
        return trail, entry

    def walk_to_leaf(self, segments: list[str]) -> tuple[Trail, Leaf | None]:
        """Follow segments to the leaf of exactly this key, or to None."""
        trail, entry = self.walk(segments)
        if isinstance(entry, dict):
            trail.append((entry, OWN_LEAF))
            entry = entry.get(OWN_LEAF)
        return trail, entry if isinstance(entry, Leaf) else None

    def leaf_at(self, segments: list[str]) -> Leaf | None:
        """Return the leaf of exactly this key, or None."""
        entry: Leaf | Node | None = self.root
        for segment in segments:
            if not isinstance(entry, dict):
                return None
            entry = entry.get(segment)
        if isinstance(entry, dict):
            entry = entry.get(OWN_LEAF)
        return entry if isinstance(entry, Leaf) else None

    def insertion_point(self, segments: list[str]) -> InsertionPoint:
        """Return how far the path of a key exists."""
        node = self.root
        depth = 0
        for segment in segments:
            entry = node.get(segment)
            if not isinstance(entry, dict):
                return InsertionPoint(node, depth, entry)
            node = entry
            depth += 1
        own = node.get(OWN_LEAF)
        return InsertionPoint(node, depth, own if isinstance(own, Leaf) else None)

    def add(self, point: InsertionPoint, segments: list[str], leaf: Leaf) -> None:
        """Add the leaf of a key that does not exist, and the nodes above it."""
        node, depth, shorter = point
        if depth == len(segments):
            node[OWN_LEAF] = leaf
        else:
            for segment in segments[depth:-1]:
                below: Node = {} if shorter is None else {OWN_LEAF: shorter}
                node[segment] = below
                node, shorter = below, None
            node[segments[-1]] = leaf
        # Only this node may have become crowded; those below it are new.
        if is_crowded(point.node):
            trail, _ = self.walk(segments[:depth])
            self._replace(trail, WideNode(point.node))

    def remove(self, trail: Trail) -> tuple[Segment, int]:
        """Remove the entry at the end of a trail, and the nodes that it leaves empty.

        Returns:
            The segment of the entry, and what the budget counts for the nodes that
            were removed.  (The entry itself is not included.)
        """
        node, segment = trail.pop()
        del node[segment]
        return segment, self._tidy(trail, node)

    def _tidy(self, trail: Trail, node: Node) -> int:
        """Restore the invariants after a node has lost an entry; see the module.

        The repair starts at the node and moves up the trail until a node stays.
        """
        freed_bytes = 0
        while trail:
            parent, segment = trail[-1]
            if not node:
                del parent[segment]
                freed_bytes += segment_bytes(segment) + NODE_BYTES
            elif len(node) == 1 and OWN_LEAF in node:
                # Not handed to `_replace`: a leaf takes the place of the node.
                parent[segment] = node[OWN_LEAF]
                return freed_bytes + NODE_BYTES + ENTRY_BYTES
            else:
                break
            trail.pop()
            node = parent
        self._replace(trail, compacted(node))
        return freed_bytes

    def _replace(self, trail: Trail, node: Node) -> None:
        """Put a node in the place at the end of a trail."""
        if trail:
            parent, segment = trail[-1]
            parent[segment] = node
        else:
            self.root = node

    def directory_nodes(self, path: str) -> list[Node]:
        """Return the nodes that hold the names of a directory.

        There may be several: "/a//b" lies below "/a" too, so the node at each empty
        segment belongs to the directory as well.
        """
        segments = split_directory(path)
        levels: list[Node] = []
        if segments is not None:
            _, node = self.walk(segments)
            while isinstance(node, dict):
                levels.append(node)
                node = node.get("")
        return levels

    def items(self) -> Iterator[tuple[str, bytes]]:
        """Yield each key and its value; nothing may be changed meanwhile."""
        below: list[tuple[str, Leaf | Node]] = [("", self.root)]
        while below:
            path, entry = below.pop()
            if isinstance(entry, Leaf):
                yield path, entry.value
                continue
            for segment, child in chain.from_iterable(map(dict.items, parts_of(entry))):
                if segment is OWN_LEAF:
                    below.append((path[:-1], child))
                else:
                    end = "/" if isinstance(child, dict) else ""
                    below.append((f"{path}{segment}{end}", child))


def overlong_segment(segments: list[str]) -> str | None:
    """Return a segment of more than `MAX_SEGMENT_BYTES`, or None if there is none."""
    for segment in segments:
        size = len(segment) if segment.isascii() else len(segment.encode())
        if size > MAX_SEGMENT_BYTES:
            return segment
    return None


def split(key: str) -> list[str] | None:
    """Split a key into its segments, or return None if it has too many."""
    segments = key.split("/", MAX_SEGMENTS)
    return None if len(segments) > MAX_SEGMENTS else segments


def split_directory(path: str) -> list[str] | None:
    """Split the path of a directory; one slash at its end makes no difference."""
    return split(path[:-1] if path.endswith("/") else path)


def characters_bytes(text: str) -> int:
    """Return the most that the characters of a str take, without its header."""
    return len(text) * (1 if text.isascii() else _WIDE_CHARACTER_BYTES)


def segment_bytes(segment: Segment) -> int:
    """Return what the budget counts for an entry, without its leaf or node."""
    if segment is None:
        return ENTRY_BYTES
    return ENTRY_BYTES + SEGMENT_BYTES + characters_bytes(segment)


def entry_bytes(segment: Segment, entry: Leaf | Node) -> int:
    """Return what the budget counts for an entry, without the entries below it."""
    if isinstance(entry, dict):
        return segment_bytes(segment) + NODE_BYTES
    return segment_bytes(segment) + VALUE_BYTES + len(entry.value)


def path_bytes(segments: list[str]) -> int:
    """Return what the budget counts for the nodes of a path that has no other keys."""
    size_bytes = NODE_BYTES * len(segments)
    for segment in segments:
        size_bytes += segment_bytes(segment)
    return size_bytes


def standalone_bytes(segments: list[str], leaf: Leaf) -> int:
    """Return what a key would take if it were the only one."""
    # A leaf in the place of the last node.
    return path_bytes(segments) - NODE_BYTES + VALUE_BYTES + len(leaf.value)


def added_bytes(point: InsertionPoint, segments: list[str], leaf: Leaf) -> int:
    """Return by how much the totals grow if a key is added."""
    _, depth, shorter = point
    if depth == len(segments):
        return entry_bytes(OWN_LEAF, leaf)
    if depth == len(segments) - 1:
        return entry_bytes(segments[-1], leaf)
    missing = segments[depth:]
    size_bytes = standalone_bytes(missing, leaf)
    if shorter is not None:
        # Its entry is there already: a new node takes its place, and it moves to
        # `OWN_LEAF`.
        size_bytes += ENTRY_BYTES - segment_bytes(missing[0])
    return size_bytes


def is_crowded(node: Node) -> bool:
    """Return whether a node has so many entries that it must become wide."""
    return len(node) >= WIDE_ENTRIES and not isinstance(node, WideNode)


def parts_of(node: Node) -> list[Node]:
    """Return the dicts that hold a node's entries."""
    return node.parts if isinstance(node, WideNode) else [node]


def compacted(node: Node) -> Node:
    """Return the node itself, or a smaller copy if it has shrunk a lot."""
    if isinstance(node, WideNode):
        # Far below the threshold for widening: a node whose size stays near one
        # threshold must not be converted again and again.
        if len(node) > WIDE_ENTRIES // 4:
            return node
        return dict(chain.from_iterable(map(dict.items, node.parts)))
    return dict(node) if is_sparse(node) else node


def is_sparse(node: Node) -> bool:
    """Return whether a dict takes far more memory than its entries need."""
    size_bytes = sys.getsizeof(node)
    return size_bytes > max(SPARSE_MIN_BYTES, len(node) * SPARSE_BYTES_PER_ENTRY)
