"""All counters and gauges of the daemon, as one value for the admin endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pacemaker.core.figures import Figures


class PacemakerReading(NamedTuple):
    """What a relay counts for one of its Pacemakers.

    Attributes:
        name: HOST:PORT, as it is configured.
        is_up: whether it is connected and answers.
        up_since_s: since when, in seconds since 1970; 0 while it is away.
        is_complete: whether it has been connected for long enough to say that a
            heartbeat is missing.
        waiting_pulses: the pulses that it has not been sent yet.
        waiting_deletes: the deletes that it has not acknowledged yet.
        dropped_pulses: the pulses that it never received.
        dropped_deletes: the deletes that it never received.
        losses: how often a connection to it was lost.
        latencies: how many pulses and deletes took at most k bits of microseconds to be
            acknowledged, at index k.
        latencies_s: the sum of these durations.
    """

    name: str
    is_up: bool
    up_since_s: float
    is_complete: bool
    waiting_pulses: int
    waiting_deletes: int
    dropped_pulses: int
    dropped_deletes: int
    losses: int
    latencies: Sequence[int]
    latencies_s: float


class Reading(NamedTuple):
    """The counters and gauges of one moment.

    Attributes:
        figures: the counters of all I/O threads together.
        keys: stored heartbeats.
        store_bytes: the memory that they take.
        store_budget_bytes: the memory that they may take.
        buffer_bytes: unread and unsent bytes of all connections.
        buffer_budget_bytes: what these may take.
        held_read_bytes: the memory of the reads that are held.
        auth_method: NONE, DIGEST or KERBEROS.
        io_threads: how many I/O threads there are.
        most_descriptors: how many descriptors the process may have open.
        resident_bytes: the resident memory of the process; 0 if it is unknown.
        cpu_s: the CPU time of the process.
        started_s: when the process started, in seconds since 1970.
        last_pulse_s: when the last pulse came, in seconds since 1970; 0 for never.
        last_read_s: when a heartbeat was last read, likewise.
        upgrades: the upgrades in place that this process has had.
        refused_upgrades: the upgrades that it has refused since the last one.
        pacemakers: those of a relay; none for a Pacemaker itself.
    """

    figures: Figures
    keys: int
    store_bytes: int
    store_budget_bytes: int
    buffer_bytes: int
    buffer_budget_bytes: int
    held_read_bytes: int
    auth_method: str
    io_threads: int
    most_descriptors: int
    resident_bytes: int
    cpu_s: float
    started_s: float
    last_pulse_s: float = 0.0
    last_read_s: float = 0.0
    upgrades: int = 0
    refused_upgrades: int = 0
    pacemakers: Sequence[PacemakerReading] = ()
