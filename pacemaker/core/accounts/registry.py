"""The accounts of all peers: one for each address, or for each connection.

If many workers share an address, for example behind a proxy, each of its connections
has an account of its own.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from pacemaker.core.accounts.account import Account
from pacemaker.core.accounts.addresses import (
    DEFAULT_SHARED_NETWORKS,
    Network,
    address_name,
    parse_address,
)

# How many accounts without a connection are remembered, with what they have stored and
# their recent rates.  The one that has been idle longest is forgotten first.
MAX_IDLE_ACCOUNTS: Final = 10_000


class AccountRegistry:
    """The accounts of all peers.  Any thread may call any method.

    Args:
        shared_networks: networks in which each connection is an account of its own,
            because many workers may be behind one address.
        transfer_charges: called with an account that is gone for good and with its
            heir, which takes over what it has stored.  All accounts that are gone have
            one heir, so they count as one account when equal shares are computed.

    Attributes:
        heir: the heir of all accounts that are gone.
    """

    def __init__(
        self,
        shared_networks: Sequence[Network] = DEFAULT_SHARED_NETWORKS,
        transfer_charges: Callable[[Account, Account], None] | None = None,
    ) -> None:
        self._shared_networks = tuple(shared_networks)
        self._transfer_charges = transfer_charges
        self.heir = Account("peers that are gone")
        # Parsing an address takes longer than everything else here, and the same
        # addresses connect again and again.
        self._describe = lru_cache(MAX_IDLE_ACCOUNTS)(self._name_and_whether_shared)
        # Guards everything below, and the accounts' `connections`.
        self._lock = threading.Lock()
        self._connected: dict[str, Account] = {}
        self._idle: OrderedDict[str, Account] = OrderedDict()
        # The accounts of single connections.  They are not found by their name: if the
        # same port connects again, that is another peer, even if the end of its earlier
        # connection was not read yet.
        self._single: set[Account] = set()
        # The shared addresses that have a connection.
        self._shared_accounts: dict[str, Account] = {}
        self._connections = 0

    @property
    def active_accounts(self) -> int:
        """How many accounts have a connection."""
        return len(self._connected) + len(self._single)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return self._connections

    def add_connection(self, host: str, port: int) -> Account:
        """Count a new connection; return its account.

        Args:
            host: the peer's address, without a scope.
            port: the peer's port.
        """
        address, is_shared = self._describe(host)
        with self._lock:
            if is_shared:
                account = self._single_account(f"{host}:{port}", address)
            else:
                account = self._account_of(address)
            account.connections += 1
            self._connections += 1
        return account

    def _account_of(self, address: str) -> Account:
        account = self._connected.get(address)
        if account is None:
            account = self._idle.pop(address, None) or Account(address)
            self._connected[address] = account
        return account

    def _single_account(self, name: str, address: str) -> Account:
        account = Account(name)
        self._single.add(account)
        shared = self._shared_accounts.setdefault(address, Account(address))
        shared.connections += 1
        account.shared_account = shared
        return account

    def remove_connection(self, account: Account) -> None:
        """Count a connection that has ended."""
        with self._lock:
            account.connections -= 1
            self._connections -= 1
            if account.connections:
                return
            gone = self._retire(account)
        # Outside the lock: the store takes its own lock.
        if gone is not None and self._transfer_charges is not None:
            self._transfer_charges(gone, self.heir)

    def _retire(self, account: Account) -> Account | None:
        """Remove an account without connections; return one that is gone for good."""
        if account.shared_account is not None:
            self._single.remove(account)
            self._leave_address(account.shared_account)
            return account
        del self._connected[account.name]
        self._idle[account.name] = account
        if len(self._idle) <= MAX_IDLE_ACCOUNTS:
            return None
        return self._idle.popitem(last=False)[1]

    def _leave_address(self, shared: Account) -> None:
        shared.connections -= 1
        if not shared.connections:
            del self._shared_accounts[shared.name]

    def busiest_account_connections(self) -> int:
        """Return the largest number of connections that any account has."""
        with self._lock:
            return max(
                (account.connections for account in self._connected.values()),
                default=min(1, len(self._single)),
            )

    def _name_and_whether_shared(self, host: str) -> tuple[str, bool]:
        """Return what counts as a host's address, and whether workers share it."""
        address = parse_address(host)
        is_shared = address is None or any(
            address in network for network in self._shared_networks
        )
        return address_name(host), is_shared
