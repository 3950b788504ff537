"""Map the addresses of peers to accounts.

An address is an IPv4 address, possibly mapped into IPv6, or a /64 network of IPv6.  If
many workers share an address, for example behind a proxy, each of its connections
counts as a separate address.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final, TypeAlias

from pacemaker.core.accounts import Account

Network: TypeAlias = IPv4Network | IPv6Network

# A subscriber of IPv6 has at least a /64, and therefore 2**64 addresses.
_IPV6_PREFIX: Final = 64

# How many accounts without a connection are remembered, with what they have stored and
# their recent rates.  The one that has been idle longest is forgotten first.
MAX_IDLE_ACCOUNTS: Final = 10_000

# Networks in which each connection counts as an address of its own: by default this
# host, for a relay or a proxy on it.
DEFAULT_SHARED: Final[tuple[Network, ...]] = (
    ip_network("127.0.0.0/8"),
    ip_network("::1/128"),
)


class Accounts:
    """The accounts of all peers.  Any thread may call any method.

    Args:
        shared: networks in which each connection is an account of its own, because
            many workers may be behind one address.
        pass_on: called with an account that is gone for good and with its heir, which
            takes over what it has stored.  All accounts that are gone have one heir,
            so they count as one account when equal shares are computed.

    Attributes:
        gone: the heir of all accounts that are gone.
    """

    def __init__(
        self,
        shared: Sequence[Network] = DEFAULT_SHARED,
        pass_on: Callable[[Account, Account], None] | None = None,
    ) -> None:
        self._shared = tuple(shared)
        self._pass_on = pass_on
        self.gone = Account("peers that are gone")
        # Parsing an address takes longer than everything else here, and the same
        # addresses connect again and again.
        self._describe = lru_cache(MAX_IDLE_ACCOUNTS)(self._name_and_whether_shared)
        # Guards everything below, and the accounts' `connections`.
        self._lock = threading.Lock()
        self._connected: dict[str, Account] = {}
        self._idle: OrderedDict[str, Account] = OrderedDict()
        # The shared addresses that have a connection.
        self._hosts: dict[str, Account] = {}
        self._connections = 0

    @property
    def connected(self) -> int:
        """How many accounts have a connection."""
        return len(self._connected)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return self._connections

    def open(self, host: str, port: int) -> Account:
        """Count a new connection; return its account.

        Args:
            host: the peer's address, without a scope.
            port: the peer's port.
        """
        address, is_shared = self._describe(host)
        name = f"{host}:{port}" if is_shared else address
        with self._lock:
            account = self._connected.get(name)
            if account is None:
                account = self._idle.pop(name, None) or Account(name)
                self._connected[name] = account
                if is_shared:
                    shared = self._hosts.setdefault(address, Account(address))
                    shared.connections += 1
                    account.shared_host = shared
            account.connections += 1
            self._connections += 1
        return account

    def close(self, account: Account) -> None:
        """Count a connection that has ended."""
        with self._lock:
            account.connections -= 1
            self._connections -= 1
            if account.connections:
                return
            gone = self._retire(account)
        # Outside the lock: the store takes its own lock.
        if gone is not None and self._pass_on is not None:
            self._pass_on(gone, self.gone)

    def _retire(self, account: Account) -> Account | None:
        """Remove an account without connections; return one that is gone for good."""
        del self._connected[account.name]
        if account.shared_host is not None:
            # The same port may connect again, but that is another peer.
            self._leave_host(account.shared_host)
            return account
        self._idle[account.name] = account
        if len(self._idle) <= MAX_IDLE_ACCOUNTS:
            return None
        return self._idle.popitem(last=False)[1]

    def _leave_host(self, shared: Account) -> None:
        shared.connections -= 1
        if not shared.connections:
            del self._hosts[shared.name]

    def most_connections(self) -> int:
        """Return the largest number of connections that any account has."""
        with self._lock:
            return max(
                (account.connections for account in self._connected.values()), default=0
            )

    def _name_and_whether_shared(self, host: str) -> tuple[str, bool]:
        """Return what counts as a host's address, and whether workers share it."""
        address = _address(host)
        is_shared = address is None or any(
            address in network for network in self._shared
        )
        return address_name(host), is_shared


def address_name(host: str) -> str:
    """Return what counts as one address: the address itself for IPv4, a /64 for IPv6.

    An IPv4 address that is mapped into IPv6 counts as the IPv4 address.

    Args:
        host: an address; an IPv6 address may be in brackets.  Anything that is not an
            address is returned as it is.
    """
    address = _address(host)
    if address is None:
        return host
    if isinstance(address, IPv4Address):
        return str(address)
    # By its number, because a network accepts no address with a zone (fe80::1%eth0).
    return str(ip_network((int(address), _IPV6_PREFIX), strict=False))


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def parse_shared(values: Iterable[str]) -> tuple[Network, ...]:
    """Parse networks as an administrator writes them: ``10.0.0.0/8``, ``10.1.2.3``.

    Args:
        values: the networks, or only ``none`` for no networks.

    Raises:
        ValueError: a value is neither an address nor a network; the error names it.
    """
    values = tuple(values)
    if values == ("none",):
        return ()
    return tuple(ip_network(value) for value in values)
