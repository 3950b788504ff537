"""What the daemon counts: plain integers, one set of them for each I/O thread.

Nothing is locked on the way of a pulse: each thread counts in its own
`Figures`, and who wants the whole adds them up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

# What the line of a minute says of what was refused or delayed in it.
_COUNTED: Final = (
    *("refused_reads", "anonymous_deletes", "refused_connections"),
    *("refused_heartbeats", "refused_holds", "evictions", "delays"),
    *("failed_logins", "delayed_logins"),
)


@dataclass(slots=True)
class Figures:
    """Counts since the start, sizes in bytes of the heartbeats' details alone.

    Attributes:
        pulses: heartbeats stored.
        pulse_bytes: their sizes together.
        largest_pulse_bytes: the largest of them since the last report, after
            which whoever reports sets it back to 0.
        reads: GET_PULSE requests answered, misses included, refused ones not.
        read_bytes: the sizes of what they gave.
        connections: connections that are open.
        delays: times that a connection had to wait, as its address made too many
            new keys or asked for too many lists.
        refused_reads: reads by peers that have not authenticated.
        anonymous_deletes: deletes by peers that could have authenticated and have
            not; workers delete so, and whoever else reaches the port can.

    Of the daemon as a whole, set by whoever adds up:
        addresses: peer addresses that have a connection.
        most_connections: connections of the address that has the most.
        refused_connections: connections that were refused for want of room.
        refused_heartbeats: heartbeats that were refused for want of room.
        refused_holds: misses that were answered at once for want of room.
        evictions: connections that ended as all buffers were full.
        failed_logins: SASL exchanges that failed.
        delayed_logins: SASL exchanges whose outcome was withheld for a while.
    """

    pulses: int = 0
    pulse_bytes: int = 0
    largest_pulse_bytes: int = 0
    reads: int = 0
    read_bytes: int = 0
    connections: int = 0
    delays: int = 0
    refused_reads: int = 0
    anonymous_deletes: int = 0
    addresses: int = 0
    most_connections: int = 0
    refused_connections: int = 0
    refused_heartbeats: int = 0
    refused_holds: int = 0
    evictions: int = 0
    failed_logins: int = 0
    delayed_logins: int = 0

    def count_pulse(self, size_bytes: int) -> None:
        """Count one heartbeat that was stored."""
        self.pulses += 1
        self.pulse_bytes += size_bytes
        if size_bytes > self.largest_pulse_bytes:
            self.largest_pulse_bytes = size_bytes

    def count_pulses(self, count: int, size_bytes: int, largest_bytes: int) -> None:
        """Count some heartbeats: how many, their sizes together, the largest."""
        self.pulses += count
        self.pulse_bytes += size_bytes
        if largest_bytes > self.largest_pulse_bytes:
            self.largest_pulse_bytes = largest_bytes

    def count_read(self, size_bytes: int) -> None:
        """Count one GET_PULSE that was answered."""
        self.reads += 1
        self.read_bytes += size_bytes


def add_up(parts: Iterable[Figures]) -> Figures:
    """Add up the figures of several threads."""
    total = Figures()
    for part in parts:
        total.pulses += part.pulses
        total.pulse_bytes += part.pulse_bytes
        total.largest_pulse_bytes = max(
            total.largest_pulse_bytes, part.largest_pulse_bytes
        )
        total.reads += part.reads
        total.read_bytes += part.read_bytes
        total.connections += part.connections
        total.delays += part.delays
        total.refused_reads += part.refused_reads
        total.anonymous_deletes += part.anonymous_deletes
    return total


def describe_minute(before: Figures, now: Figures, keys: int) -> str:
    """Say in one line what happened between two sums, as Storm 1.x does each minute.

    Args:
        before: the figures at the beginning.
        now: the figures at the end, with the largest heartbeat of the time between.
        keys: how many heartbeats are stored.
    """
    pulses = now.pulses - before.pulses
    pulse_bytes = now.pulse_bytes - before.pulse_bytes
    average = pulse_bytes // pulses if pulses else 0
    counted = (
        f" {name}={getattr(now, name) - getattr(before, name)}" for name in _COUNTED
    )
    return (
        f"last minute: pulses={pulses} pulse_bytes={pulse_bytes}"
        f" reads={now.reads - before.reads}"
        f" read_bytes={now.read_bytes - before.read_bytes}"
        f" largest_heartbeat_bytes={now.largest_pulse_bytes}"
        f" average_heartbeat_bytes={average}"
        f" keys={keys} connections={now.connections} addresses={now.addresses}"
        f" most_connections_of_an_address={now.most_connections}{''.join(counted)}"
    )
