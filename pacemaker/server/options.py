"""What may be said to the daemon besides Storm's own configuration."""

from __future__ import annotations

from dataclasses import dataclass

from pacemaker.config.hold import NO_HOLD, Hold


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
    """

    bind: str | None = None
    io_threads: int | None = None
    buffer_budget_bytes: int | None = None
    store_budget_bytes: int | None = None
    hold: Hold = NO_HOLD
