"""What the daemon counts: plain integers, one set for each I/O thread.

Each thread counts in its own `Figures`, so no lock is needed to handle a pulse.
`add_up` sums them up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import add
from typing import Final

from pacemaker.wire import messages

# The figures in each minute's log line that show what was refused or delayed.
_COUNTED: Final = (
    "refused_reads",
    "anonymous_deletes",
    "refused_connections",
    "closed_for_room",
    "refused_heartbeats",
    "refused_holds",
    "refused_steps",
    "evictions",
    "delays",
    "failed_logins",
    "delayed_logins",
)


# Heartbeats are counted by the bit length of their size, which is at most 31 because a
# frame's length is an i32.
_MAX_BITS: Final = 32
# One counter for each type of message; see `pacemaker.wire.messages`.
_TYPES: Final = messages.NOT_AUTHORIZED + 1


def _no_sizes() -> list[int]:
    return [0] * _MAX_BITS


def _no_types() -> list[int]:
    return [0] * _TYPES


# What `add_up` adds one by one.
_ADDED_UP: Final = (
    "turn_time_sum_s",
    "pulse_bytes",
    "misses",
    "read_bytes",
    "delays",
    "anonymous_deletes",
    "connections",
    "accepted",
    "ended",
    "ended_refused",
    "ended_by_stop",
    "ended_by_fault",
    "closed_for_room",
    "refused_steps",
)


@dataclass(slots=True)
class Figures:
    """Counts since the start.  The size of a heartbeat is that of its details alone.

    Attributes:
        pulse_size_histogram: heartbeats stored, by the bit length of their size.
        pulse_bytes: the total size of the stored heartbeats.
        largest_pulse_bytes: the size of the largest one since the last report; the
            reporter resets it to 0.
        requests: requests answered, by type; refused reads and SEND_PULSE are not
            among them.
        misses: GET_PULSE requests answered for which there was no heartbeat.
        unauthorized: reads by peers that have not authenticated, by type.
        read_bytes: the total size of the heartbeats in the answers.
        turn_time_histogram: events served, by the bit length of their turn's duration
            in microseconds.
        turn_time_sum_s: the sum of these durations, each multiplied by its turn's
            events.
        connections: open connections.
        accepted: connections accepted, so that `accepted - ended` is `connections`.  It
            includes neither sockets that were closed before they became a connection
            nor connections from before an upgrade.
        ended: connections that have ended.
        ended_refused: those that ended because the peer broke the protocol or exceeded
            a limit.
        ended_by_stop: those that a stop ended.
        ended_by_fault: those that a bug in the daemon ended.
        closed_for_room: those of `ended_refused` that had to make room for others.
        refused_steps: those whose SASL step found no thread, or no room to wait.
        delays: how often a connection had to wait because its address created too many
            new keys or asked for too many lists.
        anonymous_deletes: deletes by peers that could have authenticated but have
            not.  Workers delete this way, and so can anybody else who reaches the port.

    Of the daemon as a whole, set after the threads' figures are added up:
        addresses: peer addresses that have a connection.
        busiest_account_connections: connections of the address that has the most.
        refused_connections: connections refused for lack of room, or past
            `--address-limit`.
        refused_heartbeats: heartbeats refused for lack of room.
        refused_holds: misses answered at once for lack of room.
        evictions: connections ended because all buffers were full.
        logins: SASL exchanges that succeeded.
        failed_logins: SASL exchanges that failed.
        delayed_logins: SASL exchanges whose outcome was withheld for a while.
    """

    pulse_size_histogram: list[int] = field(default_factory=_no_sizes)
    pulse_bytes: int = 0
    largest_pulse_bytes: int = 0
    requests: list[int] = field(default_factory=_no_types)
    misses: int = 0
    unauthorized: list[int] = field(default_factory=_no_types)
    read_bytes: int = 0
    turn_time_histogram: list[int] = field(default_factory=_no_sizes)
    turn_time_sum_s: float = 0.0
    connections: int = 0
    accepted: int = 0
    ended: int = 0
    ended_refused: int = 0
    ended_by_stop: int = 0
    ended_by_fault: int = 0
    closed_for_room: int = 0
    refused_steps: int = 0
    delays: int = 0
    anonymous_deletes: int = 0
    addresses: int = 0
    busiest_account_connections: int = 0
    refused_connections: int = 0
    refused_heartbeats: int = 0
    refused_holds: int = 0
    evictions: int = 0
    logins: int = 0
    failed_logins: int = 0
    delayed_logins: int = 0

    @property
    def pulses(self) -> int:
        """Heartbeats stored."""
        return sum(self.pulse_size_histogram)

    @property
    def reads(self) -> int:
        """GET_PULSE requests answered, including misses but not refused reads."""
        return self.requests[messages.GET_PULSE]

    @property
    def refused_reads(self) -> int:
        """Reads by peers that have not authenticated."""
        return sum(self.unauthorized)

    def count_pulse(self, size_bytes: int) -> None:
        """Count one heartbeat that was stored."""
        # One counter serves as the total and the histogram: a second increment would
        # slow down the daemon's fastest path.
        self.pulse_size_histogram[size_bytes.bit_length()] += 1
        self.pulse_bytes += size_bytes
        if size_bytes > self.largest_pulse_bytes:
            self.largest_pulse_bytes = size_bytes

    def count_pulses(self, count: int, size_bytes: int, largest_bytes: int) -> None:
        """Count stored heartbeats by their number, total size and largest size.

        They are consecutive heartbeats of one worker, whose sizes differ little, so the
        histogram counts all of them at their average size.
        """
        self.pulse_size_histogram[(size_bytes // count).bit_length()] += count
        self.pulse_bytes += size_bytes
        if largest_bytes > self.largest_pulse_bytes:
            self.largest_pulse_bytes = largest_bytes

    def count_turn(self, duration_s: float, events: int) -> None:
        """Count a turn of the loop, and how many events it has served."""
        bits = min(int(1e6 * duration_s).bit_length(), _MAX_BITS - 1)
        self.turn_time_histogram[bits] += events
        self.turn_time_sum_s += duration_s * events

    def count_read(self, details: bytes | None) -> None:
        """Count the heartbeat in the answer to a GET_PULSE, or that there is none."""
        if details is None:
            self.misses += 1
        else:
            self.read_bytes += len(details)


def add_up(parts: Iterable[Figures]) -> Figures:
    """Add up the figures of several threads."""
    total = Figures()
    for part in parts:
        total.pulse_size_histogram = list(
            map(add, total.pulse_size_histogram, part.pulse_size_histogram)
        )
        total.turn_time_histogram = list(
            map(add, total.turn_time_histogram, part.turn_time_histogram)
        )
        total.requests = list(map(add, total.requests, part.requests))
        total.unauthorized = list(map(add, total.unauthorized, part.unauthorized))
        total.largest_pulse_bytes = max(
            total.largest_pulse_bytes, part.largest_pulse_bytes
        )
        for name in _ADDED_UP:
            setattr(total, name, getattr(total, name) + getattr(part, name))
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
        f" most_connections_of_an_address={now.busiest_account_connections}"
        f"{''.join(counted)}"
    )
