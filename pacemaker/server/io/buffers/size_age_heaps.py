"""Find the item with the largest size times age, without looking at all items.

The order of two items by size times age changes with time, so no single sorted
structure can maintain it.  But among items of about the same size, the oldest is always
roughly the heaviest.  So there is one heap for each power of two of the size, with the
oldest item at the top.  The search compares only the tops of about thirty heaps,
however many items there are.

The item found weighs more than half as much as the heaviest item.  So an item is never
found if another is twice as heavy.

The heaps know each item's position, so a changed item moves within its heap and leaves
no stale entry.  (`heapq` would leave outdated entries, which need a cleanup from time
to time: a walk over all items, while the caller holds a lock.)
"""

from __future__ import annotations

from typing import Generic, TypeVar


class SizedItem:
    """Something that has a size and an age.

    Attributes:
        size_bytes: its size; 0 for an item that is in no `SizeAgeHeaps`.
        since_us: the time from which it ages, in microseconds.
    """

    __slots__ = ("_index", "since_us", "size_bytes")

    def __init__(self) -> None:
        self.size_bytes = 0
        self.since_us = 0
        # Its position in its heap.
        self._index = 0

    def weight_at(self, now_us: int) -> int:
        """Return its size times its age.

        The age counts one microsecond more than it is, so that among items without any
        age the largest is the heaviest.  `now_us` may be earlier than `since_us`,
        because threads read the clock before they wait for the lock.
        """
        return self.size_bytes * (max(0, now_us - self.since_us) + 1)


_SizedItem = TypeVar("_SizedItem", bound=SizedItem)


class SizeAgeHeaps(Generic[_SizedItem]):
    """A set of items that finds a heaviest one at any time.  Not thread-safe."""

    __slots__ = ("_heaps",)

    def __init__(self) -> None:
        # Keyed by the number of bits in the size.  No heap is empty.
        self._heaps: dict[int, list[_SizedItem]] = {}

    def __bool__(self) -> bool:
        """Whether there is any item."""
        return bool(self._heaps)

    def put(self, item: _SizedItem, size_bytes: int, since_us: int) -> None:
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

    def heaviest_at(self, now_us: int) -> _SizedItem:
        """Return an item that weighs more than half as much as the heaviest.

        Raises:
            ValueError: there are no items.
        """
        tops = (heap[0] for heap in self._heaps.values())
        return max(tops, key=lambda item: item.weight_at(now_us))

    def _remove(self, item: _SizedItem) -> None:
        if not item.size_bytes:
            return
        heap = self._heaps[item.size_bytes.bit_length()]
        last = heap.pop()
        if last is not item:
            _move(heap, last, item._index)
        elif not heap:
            del self._heaps[item.size_bytes.bit_length()]


def _move(heap: list[_SizedItem], item: _SizedItem, index: int) -> None:
    """Put an item into a free place, or its own, and restore the heap order."""
    _sink(heap, item, index)
    _rise(heap, item, item._index)


def _rise(heap: list[_SizedItem], item: _SizedItem, index: int) -> None:
    """Move an item up from a free place until its parent is not younger."""
    while index:
        above = heap[(index - 1) // 2]
        if above.since_us <= item.since_us:
            break
        heap[index] = above
        above._index, index = index, (index - 1) // 2
    heap[index] = item
    item._index = index


def _sink(heap: list[_SizedItem], item: _SizedItem, index: int) -> None:
    """Move an item down from a free place until its children are not older."""
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
