"""The backlog of an I/O thread: connections that have something to do, and wait.

The next one is always of the account that has had the least time lately, and of that
account's the one that has waited for longest.  Each step takes time logarithmic in the
number of accounts, however many connections wait.

Pure.
"""

from __future__ import annotations

import heapq
from typing import Generic, Protocol, TypeVar

from pacemaker.core.accounts import Account


class Waiting(Protocol):
    """What waits."""

    account: Account


_T = TypeVar("_T", bound=Waiting)


class Backlog(Generic[_T]):
    """Connections that wait.  Only one thread may call it.

    Attributes:
        size: how many wait.
    """

    def __init__(self) -> None:
        # Dicts for their order, and so that any of thousands is removed at once.
        self._waiting: dict[Account, dict[_T, None]] = {}
        # What each account had spent when it was put here; `pop` looks again.
        self._heap: list[tuple[float, int, Account]] = []
        self._puts = 0
        self.size = 0

    def __len__(self) -> int:
        return self.size

    def __contains__(self, item: _T) -> bool:
        return item in self._waiting.get(item.account, ())

    def put(self, item: _T) -> None:
        """Append something to what its account waits with, unless it waits already."""
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
        """Remove something, if it waits."""
        waiting = self._waiting.get(item.account)
        if waiting is None or item not in waiting:
            return
        del waiting[item]
        self.size -= 1
        if not waiting:
            del self._waiting[item.account]

    def pop(self) -> _T | None:
        """Remove and return what is next; None if nothing waits."""
        while self._heap:
            spent_s, number, account = self._heap[0]
            waiting = self._waiting.get(account)
            if waiting is None:
                heapq.heappop(self._heap)
            elif spent_s < account.spent_s:
                # It has had more since: others may come before it.
                heapq.heapreplace(self._heap, (account.spent_s, number, account))
            else:
                item = next(iter(waiting))
                self.discard(item)
                return item
        return None

    def reorder(self) -> None:
        """Take note that what the accounts have spent has become less."""
        self._heap = [
            (account.spent_s, number, account)
            for number, account in enumerate(self._waiting)
        ]
        heapq.heapify(self._heap)
        self._puts = len(self._heap)
