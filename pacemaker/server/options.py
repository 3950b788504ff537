"""The daemon's options besides Storm's own configuration."""

from __future__ import annotations

from dataclasses import dataclass, field

from pacemaker.admin.address import AdminAddress
from pacemaker.core.accounts.account import DEFAULT_LIMITS, AddressLimits
from pacemaker.core.accounts.addresses import DEFAULT_SHARED_NETWORKS, Network
from pacemaker.core.protocol.hold_times import NO_HOLD, HoldTimes


@dataclass(frozen=True, slots=True)
class AdminOptions:
    """The options of the admin endpoint.

    Attributes:
        address: where it listens.
        hosts: further names that a Host header may have.
        token: opens what only readers of heartbeats may see; None if no token does.
    """

    address: AdminAddress
    hosts: tuple[str, ...] = ()
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """The options of ``storm-pacemaker-py serve``.

    Attributes:
        bind: the address or host name to listen on; None for every address.
        io_threads: how many I/O threads to start; None for one.  Never more than
            pacemaker.max.threads.
        buffer_budget_bytes: the memory for unread and unsent bytes together;
            None for a quarter of the memory that the process may use.
        store_budget_bytes: the memory for heartbeats; None for half of what the
            process may use.
        hold: how long after the start misses are held.
        shared_addresses: networks in which each connection counts as an address.
        address_limits: the limits of one address.
        history: whether to keep the history of the heartbeats.
        admin: the options of the admin endpoint; None for no endpoint.
    """

    bind: str | None = None
    io_threads: int | None = None
    buffer_budget_bytes: int | None = None
    store_budget_bytes: int | None = None
    hold: HoldTimes = NO_HOLD
    shared_addresses: tuple[Network, ...] = DEFAULT_SHARED_NETWORKS
    address_limits: AddressLimits = DEFAULT_LIMITS
    history: bool = True
    admin: AdminOptions | None = None
