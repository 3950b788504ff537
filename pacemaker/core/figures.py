"""What the daemon counts: plain integers, one set for each I/O thread.

Each thread counts in its own `Figures`, so no lock is needed to handle a pulse.
`add_up` sums them up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

# The figures in the line of each minute that tell what was refused or delayed.
_COUNTED: Final = (
    *("refused_reads", "anonymous_deletes", "refused_connections"),
    *("refused_heartbeats", "refused_holds", "evictions", "delays"),
    *("failed_logins", "delayed_logins"),
)


@dataclass(slots=True)
class Figures:
    """Counts since the start.  The size of a heartbeat is that of its details alone.

    Attributes:
        pulses: heartbeats stored.
        pulse_bytes: the total size of the stored heartbeats.
        largest_pulse_bytes: the size of the largest one since the last report; the
            reporter resets it to 0.
        reads: GET_PULSE requests answered, including misses but not refused reads.
        read_bytes: the total size of the heartbeats in the answers.
        connections: open connections.
        delays: how often a connection had to wait because its address created too many
            new keys or asked for too many lists.
        refused_reads: reads by peers that have not authenticated.
        anonymous_deletes: deletes by peers that could have authenticated but have
            not.  Workers delete this way, and so can anybody else who reaches the port.

    Of the daemon as a whole, set after the threads' figures are added up:
        addresses: peer addresses that have a connection.
        most_connections: connections of the address that has the most.
        refused_connections: connections refused for lack of room.
        refused_heartbeats: heartbeats refused for lack of room.
        refused_holds: misses answered at once for lack of room.
        evictions: connections ended because all buffers were full.
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
        """Count stored heartbeats by their number, total size and largest size."""
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
    """Describe in one line the time between two sums, as Storm 1.x does each minute.

    Args:
        before: the figures at the beginning.
        now: the figures at the end, with the largest heartbeat of the time in between.
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
