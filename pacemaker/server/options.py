"""What may be said to the daemon besides Storm's own configuration."""

from __future__ import annotations

from dataclasses import dataclass

from pacemaker.config.hold import NO_HOLD, Hold
from pacemaker.core.accounts import DEFAULT_LIMITS, AddressLimits
from pacemaker.core.addresses import DEFAULT_SHARED, Network


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """The options of ``storm-pacemaker-py serve``.

    Attributes:
        bind: the address or host name to listen on; None for every address.
        io_threads: how many I/O threads to start; None for as many as are best
            on this interpreter.  Never more than pacemaker.max.threads.
        buffer_budget_bytes: what unread and unsent bytes may take together;
            None for a quarter of the memory that the process may use.
        store_budget_bytes: what the heartbeats may take; None for half of it.
        hold: for how long after the start misses are held.
        shared_addresses: networks of which each connection counts as an address.
        address_limits: what one address may use.
    """

    bind: str | None = None
    io_threads: int | None = None
    buffer_budget_bytes: int | None = None
    store_budget_bytes: int | None = None
    hold: Hold = NO_HOLD
    shared_addresses: tuple[Network, ...] = DEFAULT_SHARED
    address_limits: AddressLimits = DEFAULT_LIMITS
