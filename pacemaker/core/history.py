"""The history of the heartbeats: who wrote each key, when, and what was unusual.

An administrator asks why a worker was moved.  The stored heartbeats cannot say: they
have no past.  So for each key there is a `Record` of its last pulse and its writer, and
of the last `MAX_EVENTS` things that were not as usual:

* another connection wrote the key than the one before (a worker that was started
  again, or that connected again);
* a pulse came late: after more than twice the usual interval;
* the key was deleted;
* Nimbus read a value that had not changed since its last read.

**What a pulse pays.**  The time is that of the last `epoll.poll`, so no clock is read
for it.  A pulse compares the time since the last one with `Record.quiet_s`, and
its source with that of the last pulse, and stores the time.  Only if one of the
comparisons fails is there more to do (`History.record_for`).

**Memory.**  Records are limited to a part of the store's budget and counted in it.
When they are too many, the oldest goes whose key was not written recently; if there is
none, the new key gets no record.

A thread that changes a record holds no lock: a key usually has one writer, and if two
threads write one key at the same time, the record may miss an event, and nothing else.

Times are in monotonic seconds, which an upgrade in place does not change: the clock is
the system's.  This module reads no clock.
"""

from __future__ import annotations

import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Final, NamedTuple

from pacemaker.heartbeats.peek import peek

MAX_EVENTS: Final = 32
# Storm's workers write every 3 s (2.0 to 2.2: every 60 s), and a pulse is late after
# more than twice that.
USUAL_INTERVAL_S: Final = 3.0
LATE_FACTOR: Final = 2.0
# So many late pulses in a row, each as late as the one before, are the usual interval.
_RUN: Final = 3
_SAME_FACTOR: Final = 1.2
# A key that was written in this time is in use, and keeps its record.
_IN_USE_S: Final = 600.0
# How many old records are looked at to make room for one.
_TRIES: Final = 8
# Nimbus reads every 10 s, and acts after 30 s (nimbus.task.timeout.secs) without a
# change that it has seen.
READ_GAP_S: Final = 30.0
_MAX_READ_GAPS: Final = 32
# Deletes of whole directories, which Nimbus makes when a topology is killed.
MAX_DELETES: Final = 256

# What a record takes without its key: itself, its entry, its times, its source.
RECORD_BYTES: Final = 450
# The time, the kind, how the connection before had ended, the uptime of the worker, a
# duration in seconds, and the length of the peer's name, which follows.
_EVENT: Final = struct.Struct("<dBBifB")
_UNKNOWN: Final = -1


class Kind(IntEnum):
    """What an event says."""

    WRITER = 1
    LATE = 2
    DELETED = 3
    UNCHANGED = 4


class End(IntEnum):
    """How a connection has ended."""

    OPEN = 0
    FIN = 1
    RESET = 2
    REFUSED = 3
    STOPPED = 4


class Event(NamedTuple):
    """Something that was not as usual.

    Attributes:
        at_s: when it was noticed.
        kind: what it was.
        peer: whoever wrote, deleted or read.
        duration_s: WRITER and LATE: the time since the pulse before; UNCHANGED: the
            age of the value.
        uptime_s: WRITER and LATE: what the heartbeat said of the worker's uptime; None
            if that is unknown.
        end: WRITER: how the connection of the writer before had ended by then.
    """

    at_s: float
    kind: Kind
    peer: str
    duration_s: float = 0.0
    uptime_s: int | None = None
    end: End = End.OPEN


class Source:
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
        self.end = End.OPEN
        self.ended_s = 0.0
        self.is_reader = False


NOBODY: Final = Source("")


class Moment:
    """The time of the last poll of one I/O thread."""

    __slots__ = ("now_s",)

    def __init__(self) -> None:
        self.now_s = 0.0


# The moment of those that have no history.
NEVER: Final = Moment()


class Record:
    """The history of one key.

    Attributes:
        source: the connection of the last pulse.
        first_s: the first pulse.
        last_s: the last pulse.
        quiet_s: a gap of which nothing need be noted: the longest one so far, but no
            more than makes a pulse late.
        longest_s: the longest gap between two pulses.
        interval_s: the usual interval.
        read_s: when it was last read by a reader; 0 for never.
        events: the packed events; None before the first.
    """

    __slots__ = (
        "_late_run",
        "events",
        "first_s",
        "interval_s",
        "is_unchanged",
        "last_s",
        "longest_s",
        "quiet_s",
        "read_s",
        "reader",
        "source",
    )

    def __init__(self, now_s: float, source: Source) -> None:
        self.source = source
        self.reader = NOBODY
        self.first_s = self.last_s = now_s
        self.quiet_s = self.longest_s = self.read_s = 0.0
        self.interval_s = USUAL_INTERVAL_S
        self.is_unchanged = False
        self.events: bytearray | None = None
        self._late_run = 0

    def note_gap(self, gap_s: float) -> bool:
        """Note the time between two pulses; return whether the second one was late."""
        late_s = LATE_FACTOR * self.interval_s
        is_late = gap_s > late_s
        if is_late:
            is_same = gap_s < _SAME_FACTOR * self.longest_s
            self._late_run = self._late_run + 1 if is_same else 1
            if self._late_run >= _RUN:
                self.interval_s = gap_s
                self._late_run = 0
        self.longest_s = max(self.longest_s, gap_s)
        self.quiet_s = min(self.longest_s, LATE_FACTOR * self.interval_s)
        return is_late

    def add(self, event: Event) -> int:
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

    def list_events(self) -> list[Event]:
        """Return the events, the oldest first."""
        return [] if self.events is None else list(_unpack(bytes(self.events)))


def _pack(event: Event) -> bytes:
    peer = event.peer.encode()[:255]
    uptime_s = _UNKNOWN if event.uptime_s is None else event.uptime_s
    return (
        _EVENT.pack(
            *(event.at_s, event.kind, event.end, uptime_s, event.duration_s, len(peer))
        )
        + peer
    )


def _starts(events: bytearray) -> list[int]:
    starts, at = [], 0
    while at < len(events):
        starts.append(at)
        at += _EVENT.size + events[at + _EVENT.size - 1]
    return starts


def _unpack(events: bytes) -> Iterator[Event]:
    at = 0
    while at < len(events):
        at_s, kind, end, uptime_s, duration_s, peer_bytes = _EVENT.unpack_from(
            events, at
        )
        at += _EVENT.size
        peer = events[at : at + peer_bytes].decode("utf-8", "replace")
        at += peer_bytes
        known_s = None if uptime_s == _UNKNOWN else uptime_s
        yield Event(at_s, Kind(kind), peer, duration_s, known_s, End(end))


class Deleted(NamedTuple):
    """A directory, or a key, that somebody has deleted.

    Attributes:
        at_s: when.
        path: the directory.
        peer: who.
    """

    at_s: float
    path: str
    peer: str


class History:
    """The records of all keys.  Any thread may call any method.

    Args:
        most_bytes: the memory that the records may take.
        count: called with the bytes by which they have grown or shrunk.

    Attributes:
        records: by key.
        deletes: the last deletes of directories, the oldest first.
        read_gaps: the last times of more than `READ_GAP_S` between two reads.
        reader: the connection that last read as Nimbus does.
        read_s: when that was; 0 for never.
        began_s: since when there is a history.
    """

    def __init__(
        self, most_bytes: int, count: Callable[[int], None] = lambda _: None
    ) -> None:
        self._most_bytes = most_bytes
        self._count = count
        # Guards the number of bytes, and which records there are.
        self._lock = threading.Lock()
        self._size_bytes = 0
        self.records: dict[str, Record] = {}
        self.deletes: deque[Deleted] = deque(maxlen=MAX_DELETES)
        self.read_gaps: deque[tuple[float, float]] = deque(maxlen=_MAX_READ_GAPS)
        self.reader = NOBODY
        self.read_s = 0.0
        self.began_s = 0.0

    @property
    def size_bytes(self) -> int:
        """The memory that the records take."""
        return self._size_bytes

    def record_for(
        self, key: str, source: Source, now_s: float, value: bytes
    ) -> Record | None:
        """Note a pulse; return the key's record, if there is one now."""
        record = self.records.get(key)
        if record is None:
            record = self._new_record(key, source, now_s)
        elif record.source is not source or now_s - record.last_s > record.quiet_s:
            self._note_unusual(record, source, now_s, value)
        else:
            record.last_s = now_s
        return record

    def _note_unusual(
        self, record: Record, source: Source, now_s: float, value: bytes
    ) -> None:
        """Note a pulse of another source, or after a longer gap than before."""
        before, gap_s = record.source, now_s - record.last_s
        is_late = record.note_gap(gap_s)
        record.source, record.last_s = source, now_s
        # After an upgrade in place, the same connection is another object.
        is_same = before.peer == source.peer and before.end is End.OPEN
        if is_late or not is_same:
            seen = peek(value)
            uptime_s = None if seen is None else seen.uptime_s
            kind = Kind.LATE if is_same else Kind.WRITER
            self._add(
                record,
                Event(now_s, kind, source.peer, gap_s, uptime_s, before.end),
            )

    def note_read(self, key: str, source: Source, now_s: float) -> None:
        """Note a read by a peer that reads as Nimbus does."""
        if self.read_s and now_s - self.read_s > READ_GAP_S:
            self.read_gaps.append((self.read_s, now_s))
        self.reader, self.read_s = source, now_s
        record = self.records.get(key)
        if record is None:
            return
        # Nimbus counts from the last change that it saw.  Two reads in between two
        # pulses are usual, a value that is late is not.
        age_s = now_s - record.last_s
        is_unchanged = (
            record.last_s <= record.read_s and age_s > LATE_FACTOR * record.interval_s
        )
        if is_unchanged and not record.is_unchanged:
            self._add(record, Event(now_s, Kind.UNCHANGED, source.peer, age_s))
        record.is_unchanged = is_unchanged
        record.reader, record.read_s = source, now_s

    def note_delete(self, path: str, source: Source, now_s: float) -> None:
        """Note a delete of a key or of a directory."""
        record = self.records.get(path)
        if record is not None:
            self._add(record, Event(now_s, Kind.DELETED, source.peer))
        else:
            self.deletes.append(Deleted(now_s, path[:512], source.peer))

    def _add(self, record: Record, event: Event) -> None:
        self._grow(record.add(event))

    def _grow(self, more_bytes: int) -> None:
        with self._lock:
            self._size_bytes += more_bytes
        self._count(more_bytes)

    def _new_record(self, key: str, source: Source, now_s: float) -> Record | None:
        size_bytes = RECORD_BYTES + len(key)
        removed_bytes = 0
        with self._lock:
            for _ in range(_TRIES):
                if (
                    self._size_bytes + size_bytes <= self._most_bytes
                    or not self.records
                ):
                    break
                freed_bytes = self._remove_oldest(now_s)
                self._size_bytes -= freed_bytes
                removed_bytes += freed_bytes
            has_room = self._size_bytes + size_bytes <= self._most_bytes
            record = Record(now_s, source) if has_room else None
            if record is not None:
                self.records[key] = record
                self._size_bytes += size_bytes
        # Outside the lock: no lock is taken while another is held.
        self._count((size_bytes if record is not None else 0) - removed_bytes)
        return record

    def _remove_oldest(self, now_s: float) -> int:
        """Remove the oldest record, unless its key is in use; return what it took."""
        key = next(iter(self.records))
        record = self.records.pop(key)
        if now_s - record.last_s < _IN_USE_S:
            # Behind the others: it is not looked at again soon.
            self.records[key] = record
            return 0
        events_bytes = 0 if record.events is None else len(record.events)
        return RECORD_BYTES + len(key) + events_bytes

    # For an upgrade in place.

    def dump(self) -> Iterator[bytes]:
        """Yield everything as bytes, for `load`."""
        yield _HEAD.pack(
            self.began_s,
            self.read_s,
            len(self.read_gaps),
            len(self.deletes),
            len(self.records),
        ) + _text(self.reader.peer)
        for gap in self.read_gaps:
            yield _READ_GAP.pack(*gap)
        for deleted in self.deletes:
            yield _TIME.pack(deleted.at_s) + _text(deleted.path) + _text(deleted.peer)
        for key, record in self.records.items():
            yield _dump_record(key, record)

    def load(self, data: bytes) -> None:
        """Restore what `dump` gave.

        Raises:
            ValueError: the data are not from `dump`.
        """
        try:
            self._load(_Reader(data))
        except (struct.error, UnicodeDecodeError, IndexError) as exc:
            raise ValueError(f"the history cannot be read: {exc}") from exc

    def _load(self, reader: _Reader) -> None:
        self.began_s, self.read_s, *counts = reader.fields(_HEAD)
        read_gaps, deletes, records = map(int, counts)
        self.reader = Source(reader.text())
        for _ in range(read_gaps):
            from_s, to_s = reader.fields(_READ_GAP)
            self.read_gaps.append((from_s, to_s))
        sources: dict[tuple[str, int, float], Source] = {}
        for _ in range(deletes):
            (at_s,) = reader.fields(_TIME)
            self.deletes.append(Deleted(at_s, reader.text(), reader.text()))
        size_bytes = 0
        for _ in range(records):
            key, record = _load_record(reader, sources)
            self.records[key] = record
            events_bytes = 0 if record.events is None else len(record.events)
            size_bytes += RECORD_BYTES + len(key) + events_bytes
        self._grow(size_bytes)


# Since when, the last read, and the numbers of gaps, deletes and records.
_HEAD: Final = struct.Struct("<ddIII")
_READ_GAP: Final = struct.Struct("<dd")
_TIME: Final = struct.Struct("<d")
_LENGTH: Final = struct.Struct("<I")
# The first and the last pulse, the longest gap, the interval, the last read, when the
# source ended and how, whether the last read saw the same as the one before.
_RECORD: Final = struct.Struct("<ddddddB?")


def _text(text: str) -> bytes:
    data = text.encode()
    return _LENGTH.pack(len(data)) + data


def _dump_record(key: str, record: Record) -> bytes:
    events = bytes(record.events or b"")
    source = record.source
    fixed = _RECORD.pack(
        *(record.first_s, record.last_s, record.longest_s, record.interval_s),
        *(record.read_s, source.ended_s, source.end, record.is_unchanged),
    )
    texts = (_text(key), _text(source.peer), _text(record.reader.peer))
    return b"".join((fixed, *texts, _LENGTH.pack(len(events)), events))


class _Reader:
    """Reads packed data from front to back."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def fields(self, shape: struct.Struct) -> tuple[float, ...]:
        values = shape.unpack_from(self._data, self._at)
        self._at += shape.size
        return values

    def bytes(self) -> bytes:
        (size,) = _LENGTH.unpack_from(self._data, self._at)
        self._at += _LENGTH.size + size
        if self._at > len(self._data):
            raise IndexError("it is cut short")
        return self._data[self._at - size : self._at]

    def text(self) -> str:
        return self.bytes().decode()


def _load_record(
    reader: _Reader, sources: dict[tuple[str, int, float], Source]
) -> tuple[str, Record]:
    first_s, last_s, longest_s, interval_s, read_s, *source_is = reader.fields(_RECORD)
    ended_s, end, is_unchanged = source_is
    key, peer, reader_peer = reader.text(), reader.text(), reader.text()
    source = sources.setdefault((peer, int(end), ended_s), Source(peer))
    source.end, source.ended_s = End(int(end)), ended_s
    record = Record(last_s, source)
    record.first_s, record.longest_s, record.read_s = first_s, longest_s, read_s
    record.interval_s, record.is_unchanged = interval_s, bool(is_unchanged)
    record.quiet_s = min(longest_s, LATE_FACTOR * interval_s)
    record.reader = Source(reader_peer) if reader_peer else NOBODY
    events = reader.bytes()
    record.events = bytearray(events) if events else None
    return key, record
