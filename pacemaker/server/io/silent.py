"""Connections that have never sent a byte: the first to go when there is no room.

Pure, but for one thing: another thread may ask `has` and `len`.
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from pacemaker.core.accounts import Account


class Owned(Protocol):
    """Anything that belongs to an account."""

    account: Account


_T = TypeVar("_T", bound=Owned)


class Silent(Generic[_T]):
    """Silent connections, the oldest first.  Only one thread may change them."""

    def __init__(self) -> None:
        # Dicts keep the order, and remove any one of thousands in constant time.
        self._all: dict[_T, None] = {}
        self._by_account: dict[Account, dict[_T, None]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def has(self, account: Account) -> bool:
        """Return whether any of an account's connections is silent."""
        return account in self._by_account

    def add(self, connection: _T) -> None:
        """Add a new connection."""
        self._all[connection] = None
        self._by_account.setdefault(connection.account, {})[connection] = None

    def discard(self, connection: _T) -> None:
        """Remove a connection that has sent something or has ended."""
        if connection not in self._all:
            return
        del self._all[connection]
        of_account = self._by_account[connection.account]
        del of_account[connection]
        if not of_account:
            del self._by_account[connection.account]

    def oldest(self, account: Account | None = None) -> _T | None:
        """Return the oldest of an account, or of all; None if there is none."""
        among = self._all if account is None else self._by_account.get(account, {})
        return next(iter(among), None)
