"""New connections on their way from the acceptor to an I/O thread.

They are taken by account in turn, so a worker that starts does not wait behind
thousands of earlier connections from one other address.

Pure.
"""

from __future__ import annotations

import socket
from collections import deque
from typing import NamedTuple

from pacemaker.core.accounts import Account


class Arrival(NamedTuple):
    """A new connection.

    Attributes:
        sock: its socket.
        peer: the peer's name in the log.
        account: the account of the peer's address, which has counted it already.
    """

    sock: socket.socket
    peer: str
    account: Account


class Arrivals:
    """New connections: one thread adds, another one takes."""

    def __init__(self) -> None:
        # In the order of the thread that adds, until the other one sorts them.
        self._unsorted: deque[Arrival] = deque()
        self._by_account: dict[Account, deque[Arrival]] = {}

    def add(self, arrival: Arrival) -> None:
        """Add a new connection."""
        self._unsorted.append(arrival)

    def take(self) -> Arrival:
        """Remove and return the next connection; there must be one."""
        while self._unsorted:
            arrival = self._unsorted.popleft()
            self._by_account.setdefault(arrival.account, deque()).append(arrival)
        account, waiting = next(iter(self._by_account.items()))
        del self._by_account[account]
        arrival = waiting.popleft()
        if waiting:
            # Behind the others.
            self._by_account[account] = waiting
        return arrival
