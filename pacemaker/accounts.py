"""What each peer address uses, and when that is more than its share.

Everything scarce (stored heartbeats, buffers, held reads, descriptors, the I/O
thread's time) is counted per *account*.  An account is one peer address, or one
connection of an address that many workers share, such as a proxy's.

A limit refuses nothing while there is plenty: only once the whole is more than
`PRESSURE` used, and then only to accounts that use more than an equal share.  So no
address can take what the others need, and no cluster meets a limit in normal use,
even if all of its workers come from one address.

What costs time rather than room, new keys and lists, is delayed and not refused
(`Account.settle`).

Pure: time comes in as an argument.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final, TypeAlias

Network: TypeAlias = IPv4Network | IPv6Network

# The part of the whole above which accounts are held to their equal shares.
PRESSURE: Final = 0.75

# One subscriber of IPv6 has a /64 at least, and so 2**64 addresses.
_IPV6_PREFIX: Final = 64

# Accounts without a connection that are remembered, for what they have stored and
# how fast they were lately.  The one that was idle for longest is forgotten first.
MAX_IDLE_ACCOUNTS: Final = 10_000

# An account is settled once it has made this many new keys, or was given this many
# lists: often enough to hold it to its rate, and seldom enough to cost nothing.
SETTLED_KEYS: Final = 32
SETTLED_LISTS: Final = 32

# Where each connection counts as an address: a relay or a proxy on this host.
DEFAULT_SHARED: Final[tuple[Network, ...]] = (
    ip_network("127.0.0.0/8"),
    ip_network("::1/128"),
)


@dataclass(frozen=True, slots=True)
class Rates:
    """How much an account may do for how long before it is delayed.

    The defaults are far above any cluster of Storm's: a host starts some hundred
    workers, and Nimbus asks for one list every ten seconds.

    Attributes:
        new_keys_per_s: heartbeats under a key that was not there.
        lists_per_s: lists of up to a thousand names; a longer one counts for each
            thousand.
        burst_s: the seconds' worth that may be used at once.
    """

    new_keys_per_s: float = 1000.0
    lists_per_s: float = 1000.0
    burst_s: float = 5.0


DEFAULT_RATES: Final = Rates()


class Account:
    """What one peer address uses.

    Each total belongs to the component that counts it, and is changed under that
    component's lock only.  The times belong to the I/O threads: what two of them
    add at one instant may be lost, which costs nobody anything.

    Args:
        name: the address, for the log.

    Attributes:
        name: the same.
        connections: connections that are open (`Accounts`).
        stored_bytes: memory of the heartbeats that it wrote last (the store).
        buffered_bytes: unread and unsent bytes of its connections (the budget).
        held_read_bytes: memory of its reads that are held (the holding).
        new_keys: keys that it has made since they were last settled (the store).
        lists: lists that it was given since then (dispatch).
        spent_s: time that the I/O threads have lately spent on it; it fades.
    """

    __slots__ = (
        "_credit_s",
        "_settled_s",
        "buffered_bytes",
        "connections",
        "held_read_bytes",
        "lists",
        "name",
        "new_keys",
        "spent_s",
        "stored_bytes",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.connections = 0
        self.stored_bytes = 0
        self.buffered_bytes = 0
        self.held_read_bytes = 0
        self.new_keys = 0
        self.lists = 0
        self.spent_s = 0.0
        # A token bucket, counted in seconds of both rates.
        self._credit_s: float | None = None
        self._settled_s = 0.0

    def __repr__(self) -> str:
        return f"<Account {self.name} connections={self.connections}>"

    @property
    def is_charged(self) -> bool:
        """Whether so much has been done since `settle` that it is worth a call."""
        return self.new_keys >= SETTLED_KEYS or self.lists >= SETTLED_LISTS

    def settle(self, now_s: float, rates: Rates) -> float:
        """Charge the new keys and the lists since the last call.

        Returns:
            How many seconds the account has to wait before it may do more; 0 if
            it has credit left.
        """
        new_keys, self.new_keys = self.new_keys, 0
        lists, self.lists = self.lists, 0
        cost_s = new_keys / rates.new_keys_per_s + lists / rates.lists_per_s
        if self._credit_s is None:
            credit_s = rates.burst_s
        else:
            earned_s = max(0.0, now_s - self._settled_s)
            credit_s = min(rates.burst_s, self._credit_s + earned_s)
        self._credit_s = credit_s - cost_s
        self._settled_s = now_s
        return max(0.0, -self._credit_s)


# Whoever has no account: what is read back after an upgrade in place.
NOBODY: Final = Account("nobody")


class Accounts:
    """The accounts of all peers.  Any thread may call any method.

    Args:
        shared: networks of which each connection is an account of its own, as
            many workers may be behind one address.
    """

    def __init__(self, shared: Sequence[Network] = DEFAULT_SHARED) -> None:
        self._shared = tuple(shared)
        # Guards all below, and the accounts' `connections`.
        self._lock = threading.Lock()
        self._connected: dict[str, Account] = {}
        self._idle: OrderedDict[str, Account] = OrderedDict()
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
            port: its port.
        """
        name = self._name(host, port)
        with self._lock:
            account = self._connected.get(name)
            if account is None:
                account = self._idle.pop(name, None) or Account(name)
                self._connected[name] = account
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
            del self._connected[account.name]
            self._idle[account.name] = account
            if len(self._idle) > MAX_IDLE_ACCOUNTS:
                self._idle.popitem(last=False)

    def most_connections(self) -> int:
        """Return how many connections the account has that has the most."""
        with self._lock:
            return max(
                (account.connections for account in self._connected.values()), default=0
            )

    def _name(self, host: str, port: int) -> str:
        address = peer_address(host)
        if address is None or any(address in network for network in self._shared):
            return f"{host}:{port}"
        return account_name(address)


def peer_address(host: str) -> IPv4Address | IPv6Address | None:
    """Read the address of a peer; an IPv4 one that is mapped into IPv6 is IPv4.

    Returns:
        The address, or None if it is none.
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def account_name(address: IPv4Address | IPv6Address) -> str:
    """Name what counts as one address: itself for IPv4, its /64 for IPv6."""
    if isinstance(address, IPv4Address):
        return str(address)
    return str(ip_network((int(address), _IPV6_PREFIX), strict=False))


def parse_shared(values: Iterable[str]) -> tuple[Network, ...]:
    """Read networks as an administrator writes them: ``10.0.0.0/8``, ``10.1.2.3``.

    Args:
        values: the networks; ``none`` alone for no network at all.

    Raises:
        ValueError: it names the value that is neither an address nor a network.
    """
    values = tuple(values)
    if values == ("none",):
        return ()
    return tuple(ip_network(value) for value in values)


def exceeds_share(used: int, total: int, whole: int, accounts: int) -> bool:
    """Return whether one account must not be given more.

    Args:
        used: what the account uses, the amount that it asks for included.
        total: what all accounts use, that amount included.
        whole: what there is.
        accounts: how many accounts use any of it, this one included.
    """
    return total > PRESSURE * whole and used * accounts > whole
