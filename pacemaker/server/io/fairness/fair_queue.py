"""A queue that takes addresses in turn, with one item of an address at a time.

This module does no I/O.  Call the queue only while holding its owner's lock.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Waiting items, by address.

    An address with a thousand items gets no more turns than one with a single item,
    and never two at the same time.

    Args:
        max_of_address: how many items of one address may wait.
        max_items: how many items of all addresses together may wait.
    """

    def __init__(self, max_of_address: int, max_items: int) -> None:
        self._max_of_address = max_of_address
        self._max_items = max_items
        self._size = 0
        self._waiting: dict[str, deque[T]] = {}
        # Addresses that have waiting items and none in progress, in order of turns.
        self._ready: deque[str] = deque()
        self._busy: set[str] = set()

    def __len__(self) -> int:
        return self._size

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another item of any address."""
        return self._size >= self._max_items

    def put(self, address: str, item: T) -> bool:
        """Append an item; return False if there is no room for it."""
        waiting = self._waiting.get(address)
        of_address = len(waiting) if waiting else 0
        if of_address >= self._max_of_address or self.is_full:
            return False
        if waiting is None:
            waiting = self._waiting[address] = deque()
            if address not in self._busy:
                self._ready.append(address)
        waiting.append(item)
        self._size += 1
        return True

    def begin(self) -> tuple[str, T] | None:
        """Return the next item and its address; call `done` before its address's next.

        Returns:
            None if nothing waits, or if every waiting item belongs to an address that
            already has one in progress.
        """
        if not self._ready:
            return None
        address = self._ready.popleft()
        waiting = self._waiting[address]
        item = waiting.popleft()
        if not waiting:
            del self._waiting[address]
        self._size -= 1
        self._busy.add(address)
        return address, item

    def done(self, address: str) -> None:
        """Record that the item of an address is done, so that its next may begin."""
        self._busy.discard(address)
        if address in self._waiting:
            self._ready.append(address)
