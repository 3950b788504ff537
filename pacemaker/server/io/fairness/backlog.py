"""The backlog of an I/O thread: connections that have work and wait to be served.

The next connection is chosen in three steps:

1. the host that has lately used the least time, so that no address can take the time of
   others;
2. among the cost classes of its connections, one that has had no more than its part of
   the host's time, so that many connections with costly requests do not delay one with
   small requests, or vice versa;
3. in that class, the connection that has waited the longest, but of new connections,
   whose cost nobody knows yet, the newest.  If they come faster than they can be
   served, each would otherwise wait for all that came before it: a new worker at the
   address of an attacker, for seconds.

Each step takes time logarithmic in the number of hosts, however many connections wait.

This module does no I/O.
"""

from __future__ import annotations

import heapq
from typing import Final, Generic, Protocol, TypeVar

from pacemaker.core.accounts.account import Account


class Waiting(Protocol):
    """Anything that can wait in a backlog.

    Attributes:
        account: the account of its address.
        cost_class: what serving it costs: about 2 ** `cost_class` units of time.
        newness: less than 0 until the cost is known.
    """

    account: Account
    cost_class: int
    newness: int


_T = TypeVar("_T", bound=Waiting)

# The class of connections of which the cost is not known.  Serving one takes about one
# unit: usually it has sent little yet.
_NEW: Final = -1


class Backlog(Generic[_T]):
    """Waiting connections.  Only one thread may call its methods.

    Attributes:
        size: the number of waiting connections.
    """

    def __init__(self) -> None:
        self._lines: dict[Account, _Line[_T]] = {}
        # Ordered by what each host had spent when it was pushed; `pop` checks again.
        self._heap: list[tuple[float, int, Account]] = []
        self._puts = 0
        self.size = 0

    def __len__(self) -> int:
        return self.size

    def __contains__(self, item: _T) -> bool:
        line = self._lines.get(item.account.address_account)
        return line is not None and item in line

    def put(self, item: _T) -> None:
        """Append an item to its host's line, unless it already waits there."""
        host = item.account.address_account
        line = self._lines.get(host)
        if line is None:
            line = self._lines[host] = _Line()
            self._puts += 1
            heapq.heappush(self._heap, (host.spent_s, self._puts, host))
        self.size += line.put(item)

    def discard(self, item: _T) -> None:
        """Remove an item, if it waits."""
        host = item.account.address_account
        line = self._lines.get(host)
        if line is None:
            return
        self.size -= line.discard(item)
        if not line:
            del self._lines[host]

    def pop(self) -> _T | None:
        """Remove and return the next item; None if nothing waits."""
        while self._heap:
            spent_s, number, host = self._heap[0]
            line = self._lines.get(host)
            if line is None:
                heapq.heappop(self._heap)
            elif spent_s < host.spent_s:
                # The host has used more time since, so others may come first.
                heapq.heapreplace(self._heap, (host.spent_s, number, host))
            else:
                item = line.pop()
                self.size -= 1
                if not line:
                    del self._lines[host]
                return item
        return None

    def reorder(self) -> None:
        """Rebuild the order after the time that hosts have spent was reduced."""
        self._heap = [
            (host.spent_s, number, host) for number, host in enumerate(self._lines)
        ]
        heapq.heapify(self._heap)
        self._puts = len(self._heap)


class _Line(Generic[_T]):
    """The waiting connections of one host, which its cost classes take in turn.

    This is start-time fair queueing between the classes: each has a *virtual time*,
    which grows by what one of its items costs, and the class with the least is next.
    A class that comes back after a pause begins at the current virtual time, so it is
    soon next, but has not saved anything up.
    """

    __slots__ = ("_class_of", "_classes", "_now", "_times")

    def __init__(self) -> None:
        # An item waits in the class that it had when it was put here.
        self._class_of: dict[_T, int] = {}
        # Dicts keep the order, and remove any one of thousands in constant time.
        self._classes: dict[int, dict[_T, None]] = {}
        self._times: dict[int, int] = {}
        self._now = 0

    def __bool__(self) -> bool:
        return bool(self._class_of)

    def __contains__(self, item: _T) -> bool:
        return item in self._class_of

    def put(self, item: _T) -> bool:
        """Append an item; return False if it already waits."""
        if item in self._class_of:
            return False
        cost_class = _NEW if item.newness else item.cost_class
        self._class_of[item] = cost_class
        if cost_class not in self._classes:
            self._classes[cost_class] = {}
            self._times[cost_class] = max(self._times.get(cost_class, 0), self._now)
        self._classes[cost_class][item] = None
        return True

    def discard(self, item: _T) -> bool:
        """Remove an item; return False if it does not wait."""
        cost_class = self._class_of.pop(item, None)
        if cost_class is None:
            return False
        del self._classes[cost_class][item]
        if not self._classes[cost_class]:
            del self._classes[cost_class]
        return True

    def pop(self) -> _T:
        """Remove and return the next item of a line that is not empty."""
        cost_class = min(self._classes, key=lambda each: (self._times[each], each))
        self._now = self._times[cost_class]
        self._times[cost_class] += 1 << max(cost_class, 0)
        items = self._classes[cost_class]
        item = next(reversed(items) if cost_class == _NEW else iter(items))
        self.discard(item)
        return item
