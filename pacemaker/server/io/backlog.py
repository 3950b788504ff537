"""The backlog of an I/O thread: connections that have work and wait to be served.

The account that has used the least time lately comes first, and of its connections the
one that has waited longest.  Each step takes time logarithmic in the number of
accounts, however many connections wait.

Pure.
"""

from __future__ import annotations

import heapq
from typing import Generic, Protocol, TypeVar

from pacemaker.core.accounts import Account


class Waiting(Protocol):
    """Anything that can wait in a backlog."""

    account: Account


_T = TypeVar("_T", bound=Waiting)


class Backlog(Generic[_T]):
    """Waiting connections.  Only one thread may call its methods.

    Attributes:
        size: the number of waiting connections.
    """

    def __init__(self) -> None:
        # Dicts keep the order, and remove any one of thousands in constant time.
        self._waiting: dict[Account, dict[_T, None]] = {}
        # Ordered by what each account had spent when it was pushed; `pop` checks again.
        self._heap: list[tuple[float, int, Account]] = []
        self._puts = 0
        self.size = 0

    def __len__(self) -> int:
        return self.size

    def __contains__(self, item: _T) -> bool:
        return item in self._waiting.get(item.account, ())

    def put(self, item: _T) -> None:
        """Append an item to its account's queue, unless it already waits there."""
        account = item.account
        waiting = self._waiting.get(account)
        if waiting is None:
            waiting = self._waiting[account] = {}
            self._puts += 1
            heapq.heappush(self._heap, (account.spent_s, self._puts, account))
        if item not in waiting:
            waiting[item] = None
            self.size += 1

    def discard(self, item: _T) -> None:
        """Remove an item, if it waits."""
        waiting = self._waiting.get(item.account)
        if waiting is None or item not in waiting:
            return
        del waiting[item]
        self.size -= 1
        if not waiting:
            del self._waiting[item.account]

    def pop(self) -> _T | None:
        """Remove and return the next item; None if nothing waits."""
        while self._heap:
            spent_s, number, account = self._heap[0]
            waiting = self._waiting.get(account)
            if waiting is None:
                heapq.heappop(self._heap)
            elif spent_s < account.spent_s:
                # The account has used more time since, so others may come first.
                heapq.heapreplace(self._heap, (account.spent_s, number, account))
            else:
                item = next(iter(waiting))
                self.discard(item)
                return item
        return None

    def reorder(self) -> None:
        """Rebuild the order after the time that accounts have spent was reduced."""
        self._heap = [
            (account.spent_s, number, account)
            for number, account in enumerate(self._waiting)
        ]
        heapq.heapify(self._heap)
        self._puts = len(self._heap)
