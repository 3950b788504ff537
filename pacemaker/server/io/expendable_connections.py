"""The connections that are closed first to make room.

A connection is expendable if it has never sent a byte, or if it was refused and its
peer has not closed its end yet.

The acceptor promises room for a new connection before the thread has made it.  In a
flood, it would otherwise promise the same room many times.  A new connection that is to
replace one of its own address takes no room from other addresses: if there is none left
to replace, it goes itself.

This module does no I/O.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator
from typing import Final, Generic, Protocol, TypeVar

from pacemaker.core.accounts.account import Account

# How many expendable connections to look at before giving up: some may just have sent
# their first bytes.
_MAX_TRIED: Final = 16


class Expendable(Protocol):
    """A connection of an account, which may have to be closed for another one."""

    account: Account

    def close_if_expendable(self) -> bool:
        """Close it, unless it has sent something by now; return whether it is closed.

        To close it also removes it from here.
        """


_T = TypeVar("_T", bound=Expendable)


class ExpendableConnections(Generic[_T]):
    """The expendable connections of one I/O thread.

    Any thread may call `promise` and `promise_replacement`, and read `unpromised_count`
    and `has_unpromised`; only the I/O thread may call the rest.
    """

    def __init__(self) -> None:
        self._size = 0
        # By address, the oldest first.  Any one of thousands is removed in constant
        # time.  (To find the oldest, a dict would have to pass all that were removed.)
        self._by_address: dict[Account, OrderedDict[_T, None]] = {}
        self._promised = _Promises()
        self._to_replace = _Promises()

    @property
    def unpromised_count(self) -> int:
        """How many may still be closed to make room for any address."""
        return self._size - self._promised.total

    def has_unpromised(self, account: Account) -> bool:
        """Return whether one of an account's address may still be closed for room."""
        of_address = self._by_address.get(account.address_account, ())
        promises = self._promised.count(account) + self._to_replace.count(account)
        return len(of_address) > promises

    def promise(self, account: Account | None = None) -> None:
        """Promise that one will be closed.

        Args:
            account: one of this account's address; None for the address that has the
                most.
        """
        self._promised.add(account)

    def close_promised(self, account: Account | None) -> bool:
        """Keep a promise, if possible; return whether a connection was closed."""
        self._promised.remove(account)
        return self._close_oldest(account)

    def promise_replacement(self, account: Account) -> None:
        """Promise that one of an account's address will be closed for a new one."""
        self._to_replace.add(account)

    def withdraw_replacement(self, account: Account) -> None:
        """Withdraw a promise, because the new connection was not opened."""
        self._to_replace.remove(account)

    def replace_promised(self, new: _T) -> bool:
        """Keep the promise to a new connection; return whether another was closed."""
        self._to_replace.remove(new.account)
        return self._close_oldest(new.account, other_than=new)

    def _close_oldest(
        self, account: Account | None, other_than: _T | None = None
    ) -> bool:
        """Close the oldest that still can be closed; return whether there was one."""
        oldest = itertools.islice(self._oldest(account), _MAX_TRIED)
        for connection in tuple(oldest):
            if connection is other_than:
                continue
            if connection.close_if_expendable():
                return True
            # The next search must not meet it again.
            self.discard(connection)
        return False

    def add(self, connection: _T) -> None:
        """Add a connection as the newest, if it is not among these already."""
        address = connection.account.address_account
        of_address = self._by_address.setdefault(address, OrderedDict())
        if connection not in of_address:
            of_address[connection] = None
            self._size += 1

    def discard(self, connection: _T) -> None:
        """Remove a connection, if it is among these."""
        address = connection.account.address_account
        of_address = self._by_address.get(address)
        if of_address is not None and connection in of_address:
            del of_address[connection]
            self._size -= 1
            if not of_address:
                del self._by_address[address]

    def _oldest(self, account: Account | None) -> Iterator[_T]:
        """Yield those of an account's address, or of the address that has the most.

        Not the oldest connection of all: it may be a worker's that has just connected.
        A flood has many from one address, a worker seldom has two.

        The iterator must not be used any more after a change.
        """
        if account is not None:
            among = self._by_address.get(account.address_account)
        else:
            among = max(self._by_address.values(), key=len, default=None)
        return iter(among or ())


class _Promises:
    """How many connections of each address are still to be closed.

    Any thread may call any method.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # The key None stands for whatever address has the most.
        self._by_address: Counter[Account | None] = Counter()
        self.total = 0

    def add(self, account: Account | None) -> None:
        """Count a promise."""
        address = None if account is None else account.address_account
        with self._lock:
            self._by_address[address] += 1
            self.total += 1

    def remove(self, account: Account | None) -> None:
        """Count that a promise was kept, or cannot be kept."""
        address = None if account is None else account.address_account
        with self._lock:
            self._by_address[address] -= 1
            self.total -= 1
            if not self._by_address[address]:
                del self._by_address[address]

    def count(self, account: Account) -> int:
        """Return how many connections of an account's address may have to be closed."""
        return self._by_address[account.address_account] + self._by_address[None]
