"""Find the item whose size times age is the largest, without a walk over all items.

The order of two items by size times age changes with time, so no single sorted
structure holds it.  But among items of about the same size the oldest is about the
heaviest, whatever the time.  So items are kept in one heap for each power of two of
their size, the oldest at the top, and the heaviest is looked for among the tops: some
thirty heaps, however many items there are.

What is found weighs more than half of what the heaviest item weighs.  An item that is
ten times as heavy as another is never passed over in its favour.

The heaps know each item's position, so an item that changes moves within its heap
and leaves nothing stale behind.  (`heapq` with outdated entries needs to be cleaned
from time to time, which is a walk over all items; the caller holds a lock.)
"""

from __future__ import annotations

from typing import Generic, TypeVar


class Item:
    """Something that has a size, and has had it since some time.

    Attributes:
        size_bytes: how much it is; 0 for an item that is in no `Heaviest`.
        since_us: since when, in microseconds.
    """

    __slots__ = ("_index", "since_us", "size_bytes")

    def __init__(self) -> None:
        self.size_bytes = 0
        self.since_us = 0
        # Its position in the heap that it is in.
        self._index = 0

    def weight_at(self, now_us: int) -> int:
        """Return its size times its age.

        A microsecond more: of items that have no age yet, the largest is the
        heaviest.  Time may be behind, as threads read their clocks before they
        wait for the lock.
        """
        return self.size_bytes * (max(0, now_us - self.since_us) + 1)


_Item = TypeVar("_Item", bound=Item)


class Heaviest(Generic[_Item]):
    """Items of which the heaviest may be asked for at any time.  Not thread-safe."""

    __slots__ = ("_heaps",)

    def __init__(self) -> None:
        # By the number of bits in the size; no heap is empty.
        self._heaps: dict[int, list[_Item]] = {}

    def __bool__(self) -> bool:
        """Whether there is any item."""
        return bool(self._heaps)

    def put(self, item: _Item, size_bytes: int, since_us: int) -> None:
        """Add an item, change it, or, with a size of 0, remove it."""
        bits = size_bytes.bit_length()
        if item.size_bytes.bit_length() != bits:
            self._remove(item)
            item.size_bytes, item.since_us = size_bytes, since_us
            if size_bytes:
                heap = self._heaps.setdefault(bits, [])
                heap.append(item)
                _rise(heap, item, len(heap) - 1)
        elif size_bytes:
            item.size_bytes = size_bytes
            if item.since_us != since_us:
                item.since_us = since_us
                _move(self._heaps[bits], item, item._index)

    def heaviest_at(self, now_us: int) -> _Item:
        """Return an item that weighs more than half of what the heaviest does.

        Raises:
            ValueError: there are no items.
        """
        tops = (heap[0] for heap in self._heaps.values())
        return max(tops, key=lambda item: item.weight_at(now_us))

    def _remove(self, item: _Item) -> None:
        if not item.size_bytes:
            return
        heap = self._heaps[item.size_bytes.bit_length()]
        last = heap.pop()
        if last is not item:
            _move(heap, last, item._index)
        elif not heap:
            del self._heaps[item.size_bytes.bit_length()]


def _move(heap: list[_Item], item: _Item, index: int) -> None:
    """Put an item into a place of the heap that is free, or its own, and restore it."""
    _sink(heap, item, index)
    _rise(heap, item, item._index)


def _rise(heap: list[_Item], item: _Item, index: int) -> None:
    """Move an item from a free place up until what is above it is not younger."""
    while index:
        above = heap[(index - 1) // 2]
        if above.since_us <= item.since_us:
            break
        heap[index] = above
        above._index, index = index, (index - 1) // 2
    heap[index] = item
    item._index = index


def _sink(heap: list[_Item], item: _Item, index: int) -> None:
    """Move an item from a free place down until what is below it is not older."""
    while (child := 2 * index + 1) < len(heap):
        if child + 1 < len(heap) and heap[child + 1].since_us < heap[child].since_us:
            child += 1
        below = heap[child]
        if below.since_us >= item.since_us:
            break
        heap[index] = below
        below._index, index = index, child
    heap[index] = item
    item._index = index
