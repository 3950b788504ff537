"""What the history knows of one key: its last pulse, its writer, and unusual events.

A `KeyRecord` belongs to a key, a `PeerRecord` to one connection, and a `KeyEvent` is
something unusual.  A `KeyRecord` keeps its last `MAX_EVENTS` events in packed form,
because as objects they would take several times as much memory.  It is also the handle
by which the store finds the key's value again (`ReadFastPath`).

Times are in monotonic seconds.  The clock is the system's, so they stay valid across an
upgrade in place.  This module reads no clock.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import Final, NamedTuple

from pacemaker.core.store.store import LeafHandle

MAX_EVENTS: Final = 32
# Storm's workers write every 3 s (2.0 to 2.2: every 60 s), and a pulse is late after
# more than twice that.
USUAL_INTERVAL_S: Final = 3.0
LATE_FACTOR: Final = 2.0
# After this many gaps in a row that are not as usual, each about as long as the one
# before, their length is the usual interval of the key.
_RUN: Final = 3
_SAME_FACTOR: Final = 1.2

# What a record takes without its key: itself, its entry, its times, its writer, and the
# empty leaf of a key that was deleted.
RECORD_BYTES: Final = 474
# The time, the kind, how the previous connection had ended, the worker's uptime, a
# duration in seconds, and the length of the peer's name, which follows.
_EVENT: Final = struct.Struct("<dBBifB")
_UNKNOWN: Final = -1


class EventKind(IntEnum):
    """The kind of an event."""

    WRITER = 1
    LATE = 2
    DELETED = 3
    UNCHANGED = 4


class ConnectionEnd(IntEnum):
    """How a connection has ended."""

    OPEN = 0
    FIN = 1
    RESET = 2
    REFUSED = 3
    STOPPED = 4


class KeyEvent(NamedTuple):
    """Something unusual that happened to a key.

    Attributes:
        at_s: when it was noticed.
        kind: what it was.
        peer: whoever wrote, deleted or read.
        duration_s: WRITER and LATE: the time since the previous pulse; UNCHANGED: the
            age of the value.
        uptime_s: WRITER and LATE: the worker's uptime according to the heartbeat; None
            if that is unknown.
        end: WRITER: how the previous writer's connection had ended by then.
    """

    at_s: float
    kind: EventKind
    peer: str
    duration_s: float = 0.0
    uptime_s: int | None = None
    end: ConnectionEnd = ConnectionEnd.OPEN


class PathDelete(NamedTuple):
    """The delete of a directory, or of a key without a record.

    Attributes:
        at_s: when it was deleted.
        path: the directory or the key.
        peer: whoever deleted it.
    """

    at_s: float
    path: str
    peer: str


class PeerRecord:
    """One connection, as the history knows it.

    Args:
        peer: the peer's name.

    Attributes:
        peer: the peer's name.
        end: how it has ended; OPEN if it has not.
        ended_s: when it has ended.
        is_reader: whether it has asked for a list, as Nimbus does.
    """

    __slots__ = ("end", "ended_s", "is_reader", "peer")

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.end = ConnectionEnd.OPEN
        self.ended_s = 0.0
        self.is_reader = False


# No connection: nobody has read yet, or there is no history.
NO_PEER: Final = PeerRecord("")


class TurnTime:
    """The time of the last poll of one I/O thread."""

    __slots__ = ("now_s",)

    def __init__(self) -> None:
        self.now_s = 0.0


# The default for users without a history.
NO_TURN_TIME: Final = TurnTime()


class KeyRecord(LeafHandle):
    """The history of one key, which is also the key's handle in the store.

    Attributes:
        writer: the connection of the last pulse.
        first_s: the first pulse.
        last_s: the last pulse.
        quiet_gap_s: a pulse after at most this gap needs no note: the smaller of the
            longest gap so far and the gap that counts as late.  0 if the next gap
            counts, however short it is.
        longest_gap_s: the longest gap between two pulses.
        interval_s: the usual interval.
        read_s: when it was last read by a reader; 0 for never.
        events: the packed events; None before the first.
    """

    __slots__ = (
        "_run",
        "_run_gap_s",
        "events",
        "first_s",
        "interval_s",
        "is_unchanged",
        "last_s",
        "longest_gap_s",
        "quiet_gap_s",
        "read_s",
        "reader",
        "writer",
    )

    def __init__(self, now_s: float, peer_record: PeerRecord) -> None:
        super().__init__()
        self.writer = peer_record
        self.reader = NO_PEER
        self.first_s = self.last_s = now_s
        self.quiet_gap_s = self.longest_gap_s = self.read_s = 0.0
        self.interval_s = USUAL_INTERVAL_S
        self.is_unchanged = False
        self.events: bytearray | None = None
        # How many gaps in a row were alike but not as usual, and the last of them.
        self._run = 0
        self._run_gap_s = 0.0

    def note_gap(self, gap_s: float) -> bool:
        """Note the time between two pulses; return whether the second one was late."""
        is_late = gap_s > LATE_FACTOR * self.interval_s
        if is_late or self._is_short(gap_s):
            self._count_in_run(gap_s)
        else:
            self._run, self._run_gap_s = 0, 0.0
        self.longest_gap_s = max(self.longest_gap_s, gap_s)
        self.set_quiet_gap()
        return is_late

    def _is_short(self, gap_s: float) -> bool:
        """Return whether a gap suggests a shorter interval, but none below Storm's."""
        return USUAL_INTERVAL_S < self.interval_s > LATE_FACTOR * gap_s

    def _count_in_run(self, gap_s: float) -> None:
        """Note a gap that is not as usual; the third one alike becomes the interval.

        A late gap is more than four times as long as a short one, so no run has both.
        """
        before_s = self._run_gap_s
        is_same = before_s <= _SAME_FACTOR * gap_s and gap_s <= _SAME_FACTOR * before_s
        self._run = self._run + 1 if is_same else 1
        self._run_gap_s = gap_s
        if self._run >= _RUN:
            self.interval_s = max(gap_s, USUAL_INTERVAL_S)
            self._run, self._run_gap_s = 0, 0.0

    def set_quiet_gap(self) -> None:
        """Set `quiet_gap_s` by the other attributes."""
        # A gap as usual ends a run, so it must be seen.  And only short gaps show that
        # a long interval is over.  Both are rare, or of keys that are seldom written.
        if self._run or self.interval_s > USUAL_INTERVAL_S:
            self.quiet_gap_s = 0.0
        else:
            self.quiet_gap_s = min(self.longest_gap_s, LATE_FACTOR * self.interval_s)

    def add(self, event: KeyEvent) -> int:
        """Add an event; return by how many bytes the record has grown."""
        packed = _pack(event)
        if self.events is None:
            self.events = bytearray(packed)
            return len(packed)
        before = len(self.events)
        self.events += packed
        # An event has no fixed length, but at most `MAX_EVENTS` of the longest.
        starts = _starts(self.events)
        if len(starts) > MAX_EVENTS:
            del self.events[: starts[len(starts) - MAX_EVENTS]]
        return len(self.events) - before

    def size_bytes(self, key: str) -> int:
        """Return the memory that the record and the key take."""
        events_bytes = 0 if self.events is None else len(self.events)
        return RECORD_BYTES + len(key) + events_bytes

    def list_events(self) -> list[KeyEvent]:
        """Return the events, the oldest first."""
        return [] if self.events is None else list(_unpack(bytes(self.events)))


def _pack(event: KeyEvent) -> bytes:
    peer = event.peer.encode()[:255]
    uptime_s = _UNKNOWN if event.uptime_s is None else event.uptime_s
    return (
        _EVENT.pack(
            event.at_s,
            event.kind,
            event.end,
            uptime_s,
            event.duration_s,
            len(peer),
        )
        + peer
    )


def _starts(events: bytearray) -> list[int]:
    starts, at = [], 0
    while at < len(events):
        starts.append(at)
        at += _EVENT.size + events[at + _EVENT.size - 1]
    return starts


def _unpack(events: bytes) -> Iterator[KeyEvent]:
    at = 0
    while at < len(events):
        at_s, kind, end, uptime_s, duration_s, peer_bytes = _EVENT.unpack_from(
            events, at
        )
        at += _EVENT.size
        peer = events[at : at + peer_bytes].decode("utf-8", "replace")
        at += peer_bytes
        known_s = None if uptime_s == _UNKNOWN else uptime_s
        yield KeyEvent(
            at_s, EventKind(kind), peer, duration_s, known_s, ConnectionEnd(end)
        )
