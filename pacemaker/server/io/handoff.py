"""New connections on their way from the acceptor to an I/O thread.

The accounts take turns, so a worker that has just started does not wait for thousands
of connections from another address.  Of one account the newest comes first: if they
come faster than they can be opened, each would otherwise wait for all before it.

This module does no I/O.
"""

from __future__ import annotations

import socket
from collections import deque
from enum import Enum
from typing import NamedTuple

from pacemaker.core.accounts.account import Account
from pacemaker.server.upgrade_state import PeerAddress


class Replaced(Enum):
    """Which connection has to go for a new one."""

    EXPENDABLE_OF_ADDRESS = "an expendable one of the same address"
    COSTLY = "one that is costly"


class AcceptedSocket(NamedTuple):
    """A new connection.

    Attributes:
        sock: its socket.
        peer: the peer's address.
        account: the account of the peer's address, which has counted it already.
        number: the order in which the connections of a thread were accepted; at least
            1.
        replaces: which one's place it takes; None if it takes no other's.
    """

    sock: socket.socket
    peer: PeerAddress
    account: Account
    number: int
    replaces: Replaced | None = None


class HandoffQueue:
    """New connections: one thread adds them, and another one takes them."""

    def __init__(self) -> None:
        # In the order of `add`, until the other thread sorts them by account.
        self._unsorted: deque[AcceptedSocket] = deque()
        self._by_account: dict[Account, deque[AcceptedSocket]] = {}

    def add(self, arrival: AcceptedSocket) -> None:
        """Add a new connection."""
        self._unsorted.append(arrival)

    def __bool__(self) -> bool:
        return bool(self._unsorted or self._by_account)

    def take(self) -> AcceptedSocket:
        """Remove and return the next connection; there must be one."""
        while self._unsorted:
            arrival = self._unsorted.popleft()
            self._by_account.setdefault(arrival.account, deque()).append(arrival)
        account, waiting = next(iter(self._by_account.items()))
        del self._by_account[account]
        arrival = waiting.pop()
        if waiting:
            # Its account goes to the end of the line.
            self._by_account[account] = waiting
        return arrival
