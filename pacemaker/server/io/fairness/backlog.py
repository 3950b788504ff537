"""The backlog of an I/O thread: connections that have work and wait to be served.

The next connection is chosen in three steps:

1. the host that has lately used the least time, so that no address can take the time of
   others;
2. among the *lanes* of its connections, one that has had no more than its part of the
   host's time.  Each cost class has three: for connections that are new, for those
   that were there before the present busy time (`fair_turns`), and for the others.  So
   thousands of connections with costly requests delay neither one with small requests
   nor a relay with a large heartbeat, which was there before them.  The first two kinds
   get more time than the third (`_WEIGHTS`): honest workers and relays are among them;
3. in that lane, the connection that has waited the longest, but of new connections the
   newest.  If they come faster than they can be served, each would otherwise wait for
   all that came before it: a new worker at the address of an attacker, for seconds.

Each step takes time logarithmic in the number of hosts, however many connections wait.

This module does no I/O.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from operator import itemgetter
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

from pacemaker.core.accounts.account import Account
from pacemaker.server.io.fairness.cost_classes import COSTLY_FROM_CLASS, NEW_CLASS


class Waiting(Protocol):
    """Anything that can wait in a backlog.

    Attributes:
        account: the account of its address.
        cost_class: what serving it costs: about 2 ** `cost_class` units of time.
        newness: less than 0 while it is new and its cost is not known; 0 at an address
            that many workers share.
        is_established: whether it was there before the present busy time.
    """

    account: Account
    cost_class: int
    newness: int
    is_established: bool


_T = TypeVar("_T", bound=Waiting)

# A cost class and one of the kinds below.
_Lane: TypeAlias = tuple[int, int]
# New connections of the lowest class in which any are.
_SMALL_NEW: Final = 0
_NEW: Final = 1
_ESTABLISHED: Final = 2
_OTHER: Final = 3

# How much of the host's time a lane of each kind gets, relative to one of the others.
# Small new connections have to be served as fast as they are accepted: the newest comes
# first, so the rest would wait until no more come.
_WEIGHTS: Final = {_SMALL_NEW: 8, _NEW: 2, _ESTABLISHED: 8, _OTHER: 1}
_NEWEST_FIRST: Final = frozenset((_SMALL_NEW, _NEW))


class Backlog(Generic[_T]):
    """Waiting connections.  Only one thread may call its methods.

    Attributes:
        size: the number of waiting connections.
        costly: how many of them are costly, and neither new nor from before the present
            busy time.
    """

    def __init__(self) -> None:
        self._lines: dict[Account, _Line[_T]] = {}
        # Ordered by what each host had spent when it was pushed; `pop` checks again.
        self._heap: list[tuple[float, int, Account]] = []
        self._puts = 0
        # The line and the lane of the item that was popped last.
        self._served: tuple[_Line[_T], _Lane] | None = None
        self.size = 0
        self.costly = 0

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
        lane = line.put(item)
        if lane is not None:
            self.size += 1
            self.costly += _is_costly(lane)

    def discard(self, item: _T) -> None:
        """Remove an item, if it waits."""
        host = item.account.address_account
        line = self._lines.get(host)
        if line is None:
            return
        lane = line.discard(item)
        if lane is not None:
            self.size -= 1
            self.costly -= _is_costly(lane)
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
                item, lane = line.pop()
                self._served = (line, lane)
                self.size -= 1
                self.costly -= _is_costly(lane)
                if not line:
                    del self._lines[host]
                return item
        return None

    def costliest(self) -> _T | None:
        """Return one of the costliest of `costly`, of the host that has spent most."""
        found = [
            (host.spent_s, lane[0], line)
            for host, line in self._lines.items()
            if (lane := line.costliest_lane()) is not None
        ]
        if not found:
            return None
        _, cost_class, line = max(found, key=itemgetter(0))
        return line.newest((cost_class, _OTHER))

    def charge(self, elapsed_s: float) -> None:
        """Charge the lane of the item that was popped last.

        Args:
            elapsed_s: the CPU time that it took to serve that item.
        """
        if self._served is not None:
            line, lane = self._served
            line.charge(lane, elapsed_s)

    def reorder(self) -> None:
        """Rebuild the order after the time that hosts have spent was reduced."""
        self._heap = [
            (host.spent_s, number, host) for number, host in enumerate(self._lines)
        ]
        heapq.heapify(self._heap)
        self._puts = len(self._heap)


class _Line(Generic[_T]):
    """The waiting connections of one host, in lanes that share its time.

    This is start-time fair queueing between the lanes: each has a *virtual time*, which
    grows by the CPU time of its items, divided by its weight, and the lane with the
    least is next.  A lane that comes back after a pause begins at the current virtual
    time, so it is soon next, but has not saved anything up.
    """

    __slots__ = ("_lane_of", "_lanes", "_now_s", "_times_s")

    def __init__(self) -> None:
        # An item waits in the lane that was its own when it was put here.
        self._lane_of: dict[_T, _Lane] = {}
        # A dict would have to pass all that were removed to find the first or last one.
        self._lanes: dict[_Lane, OrderedDict[_T, None]] = {}
        self._times_s: dict[_Lane, float] = {}
        self._now_s = 0.0

    def __bool__(self) -> bool:
        return bool(self._lane_of)

    def __contains__(self, item: _T) -> bool:
        return item in self._lane_of

    def put(self, item: _T) -> _Lane | None:
        """Append an item; return its lane, or None if it already waits."""
        if item in self._lane_of:
            return None
        lane = self._lane_of[item] = _lane(item)
        if lane not in self._lanes:
            self._lanes[lane] = OrderedDict()
            self._times_s[lane] = max(self._times_s.get(lane, 0.0), self._now_s)
        self._lanes[lane][item] = None
        return lane

    def discard(self, item: _T) -> _Lane | None:
        """Remove an item; return its lane, or None if it does not wait."""
        lane = self._lane_of.pop(item, None)
        if lane is None:
            return None
        del self._lanes[lane][item]
        if not self._lanes[lane]:
            del self._lanes[lane]
        return lane

    def costliest_lane(self) -> _Lane | None:
        """Return the costliest of the costly lanes; None if there is none."""
        return max(filter(_is_costly, self._lanes), default=None)

    def newest(self, lane: _Lane) -> _T:
        """Return the item of a lane that was put there last."""
        return next(reversed(self._lanes[lane]))

    def pop(self) -> tuple[_T, _Lane]:
        """Remove and return the next item of a line that is not empty, and its lane."""
        lane = min(self._lanes, key=lambda each: (self._times_s[each], each))
        self._now_s = self._times_s[lane]
        items = self._lanes[lane]
        item = next(reversed(items) if lane[1] in _NEWEST_FIRST else iter(items))
        self.discard(item)
        return item, lane

    def charge(self, lane: _Lane, elapsed_s: float) -> None:
        """Charge a lane the CPU time of one of its items."""
        self._times_s[lane] += elapsed_s / _WEIGHTS[lane[1]]


def _is_costly(lane: _Lane) -> bool:
    cost_class, kind = lane
    return kind == _OTHER and cost_class >= COSTLY_FROM_CLASS


def _lane(item: Waiting) -> _Lane:
    if item.newness:
        kind = _SMALL_NEW if item.cost_class == NEW_CLASS else _NEW
    else:
        kind = _ESTABLISHED if item.is_established else _OTHER
    return (item.cost_class, kind)
