"""The connections that are closed first to make room.

A connection is expendable if it has never sent a byte, or if it was refused and its
peer has not closed its end yet.

This module does no I/O.  Other threads may call `count` and `len`.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from pacemaker.core.accounts.account import Account


class Owned(Protocol):
    """Anything that belongs to an account."""

    account: Account


_T = TypeVar("_T", bound=Owned)


class ExpendableConnections(Generic[_T]):
    """The expendable connections of one thread.  Only one thread may change them."""

    def __init__(self) -> None:
        self._size = 0
        # By host, the oldest first.  Dicts keep the order, and remove any one of
        # thousands in constant time.
        self._by_host: dict[Account, dict[_T, None]] = {}

    def __len__(self) -> int:
        return self._size

    def count(self, account: Account) -> int:
        """Return how many connections of an account's host are expendable."""
        return len(self._by_host.get(account.host, ()))

    def add(self, connection: _T) -> None:
        """Add a connection as the newest, if it is not among these already."""
        of_host = self._by_host.setdefault(connection.account.host, {})
        if connection not in of_host:
            of_host[connection] = None
            self._size += 1

    def discard(self, connection: _T) -> None:
        """Remove a connection, if it is among these."""
        host = connection.account.host
        of_host = self._by_host.get(host, {})
        if connection in of_host:
            del of_host[connection]
            self._size -= 1
            if not of_host:
                del self._by_host[host]

    def oldest(self, account: Account | None = None) -> Iterator[_T]:
        """Yield those of an account's host, or of the host that has the most.

        The oldest of all hosts would be a bad choice: it may be a worker that has just
        connected, whose host hardly ever has a second expendable connection.

        The iterator must not be used any more after a change.
        """
        if account is not None:
            among = self._by_host.get(account.host, {})
        else:
            among = max(self._by_host.values(), key=len, default={})
        return iter(among)


class PendingCloses:
    """How many connections of each host an I/O thread has still to close for others.

    The acceptor promises room for a new connection before the thread has made it.  In a
    flood, it would otherwise promise the same room many times.  Any thread may call any
    method.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # The key None stands for whatever host has the most.
        self._by_host: Counter[Account | None] = Counter()
        self.total = 0

    def add(self, account: Account | None) -> None:
        """Count a promise."""
        host = None if account is None else account.host
        with self._lock:
            self._by_host[host] += 1
            self.total += 1

    def remove(self, account: Account | None) -> None:
        """Count that a promise was kept, or cannot be kept."""
        host = None if account is None else account.host
        with self._lock:
            self._by_host[host] -= 1
            self.total -= 1
            if not self._by_host[host]:
                del self._by_host[host]

    def count(self, account: Account) -> int:
        """Return how many connections of an account's host may have to be closed."""
        return self._by_host[account.host] + self._by_host[None]
