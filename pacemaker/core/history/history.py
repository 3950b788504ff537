"""The history of the heartbeats: who wrote each key, when, and what was unusual.

An administrator may ask why a worker was moved.  The stored heartbeats cannot tell,
because each one replaces its predecessor.  So each key has a `KeyRecord` of its last
pulse, its writer and its last `MAX_EVENTS` unusual events:

* a connection other than the previous one wrote the key (a worker that was restarted,
  or that reconnected);
* a pulse was late: it came after more than twice the usual interval;
* the key was deleted;
* Nimbus read a value that had not changed since its last read.

**What a pulse costs.**  No clock is read: the time is that of the last `epoll.poll`.  A
pulse that comes within a second of the last noted one is not noted (`PulseFastPath`).
Noting a pulse takes two comparisons and one store: the time since the last pulse is
compared with `KeyRecord.quiet_gap_s`, the connection with the last pulse's, and the
time is stored.  There is more to do only if one of the comparisons fails.

**Memory.**  Records may take a fixed part of the store's budget, and are counted in it.
When that part is full, the oldest record whose key was not written recently is removed.
If there is none, a new key gets no record.  Its writer asks again every `RETRY_S`,
because records may have become old meanwhile.

Records are changed without a lock, because a key usually has one writer.  If two
threads write the same key at the same time, at worst its record misses an event.

Times are in monotonic seconds.  The clock is the system's, so they stay valid across an
upgrade in place.  This module reads no clock.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from pacemaker.core.history.format import Contents, pack, unpack
from pacemaker.core.history.record import (
    LATE_FACTOR,
    NO_PEER,
    RECORD_BYTES,
    ConnectionEnd,
    EventKind,
    KeyEvent,
    KeyRecord,
    PathDelete,
    PeerRecord,
)
from pacemaker.heartbeats.peek import peek

# A key that was written within this time is in use, and keeps its record.
_IN_USE_S: Final = 600.0
# How many old records are examined to make room for a new one.
_TRIES: Final = 8
# How long the fast path of a key without a record waits before it asks for one again.
RETRY_S: Final = 60.0
# For how long the history counts as full after a key got no record.  A worker of Storm
# 2.0 to 2.2 writes once a minute, so it may ask again only after 120 s.
_FULL_S: Final = 3 * RETRY_S
# Nimbus reads every 10 s, and acts if it has seen no change for 30 s
# (nimbus.task.timeout.secs).
READ_GAP_S: Final = 30.0
_MAX_READ_GAPS: Final = 32
# Deletes of whole directories, which Nimbus makes when a topology is killed.
MAX_DELETES: Final = 256


class History:
    """The records of all keys.  Any thread may call any method.

    Args:
        limit_bytes: the memory that the records may take.
        count_bytes: called with the bytes by which they have grown or shrunk.

    Attributes:
        records: by key.
        deletes: the last deletes of directories, the oldest first.
        read_gaps: the last times of more than `READ_GAP_S` between two reads.
        reader: the connection that last read as Nimbus does.
        read_s: when that was; 0 for never.
        began_s: when the history began.
    """

    def __init__(
        self, limit_bytes: int, count_bytes: Callable[[int], None] = lambda _: None
    ) -> None:
        self._limit_bytes = limit_bytes
        self._count_bytes = count_bytes
        # Guards the number of bytes, and which records there are.
        self._lock = threading.Lock()
        self._size_bytes = 0
        self.records: dict[str, KeyRecord] = {}
        # The keys of the records, in the order in which they are looked at for room.
        # Not the order of the dict: to find its first key again and again, while keys
        # are removed at the front, takes longer and longer.
        self._order: deque[str] = deque()
        self.deletes: deque[PathDelete] = deque(maxlen=MAX_DELETES)
        self.read_gaps: deque[tuple[float, float]] = deque(maxlen=_MAX_READ_GAPS)
        self.reader = NO_PEER
        self.read_s = 0.0
        self.began_s = 0.0
        # When a key last got no record.
        self._refused_s = -math.inf

    @property
    def size_bytes(self) -> int:
        """The memory that the records take."""
        return self._size_bytes

    def is_full(self, now_s: float) -> bool:
        """Return whether there may be keys that are written and have no record.

        The size does not tell: a history of its full size still has room for a new key
        if it has old records.
        """
        return now_s - self._refused_s < _FULL_S

    def note_pulse(
        self, key: str, peer_record: PeerRecord, now_s: float, value: bytes
    ) -> KeyRecord | None:
        """Note a pulse; return the key's record, if there is one now."""
        record = self.records.get(key)
        if record is None:
            record = self._new_record(key, peer_record, now_s)
        elif (
            record.writer is not peer_record
            or now_s - record.last_s > record.quiet_gap_s
        ):
            self._note_unusual(record, peer_record, now_s, value)
        else:
            record.last_s = now_s
        return record

    def _note_unusual(
        self, record: KeyRecord, peer_record: PeerRecord, now_s: float, value: bytes
    ) -> None:
        """Note a pulse over another connection, or after a gap that is not quiet."""
        before, gap_s = record.writer, now_s - record.last_s
        is_late = record.note_gap(gap_s)
        record.writer, record.last_s = peer_record, now_s
        # After an upgrade in place, the same connection is another object.
        is_same = before.peer == peer_record.peer and before.end is ConnectionEnd.OPEN
        if is_late or not is_same:
            seen = peek(value)
            uptime_s = None if seen is None else seen.uptime_s
            kind = EventKind.LATE if is_same else EventKind.WRITER
            self._add(
                record,
                KeyEvent(now_s, kind, peer_record.peer, gap_s, uptime_s, before.end),
            )

    def note_read(
        self, record: KeyRecord | None, peer_record: PeerRecord, now_s: float
    ) -> None:
        """Note a read by a peer that reads as Nimbus does.

        Args:
            record: the key's record; None if it has none.
            peer_record: the connection of the peer.
            now_s: the time.
        """
        if self.read_s and now_s - self.read_s > READ_GAP_S:
            self.read_gaps.append((self.read_s, now_s))
        self.reader, self.read_s = peer_record, now_s
        if record is None:
            return
        # Nimbus counts from the last change that it saw.  Two reads between two pulses
        # are normal; a value that is overdue is not.
        age_s = now_s - record.last_s
        is_unchanged = (
            record.last_s <= record.read_s and age_s > LATE_FACTOR * record.interval_s
        )
        if is_unchanged and not record.is_unchanged:
            self._add(
                record, KeyEvent(now_s, EventKind.UNCHANGED, peer_record.peer, age_s)
            )
        record.is_unchanged = is_unchanged
        record.reader, record.read_s = peer_record, now_s

    def note_delete(self, path: str, peer_record: PeerRecord, now_s: float) -> None:
        """Note a delete of a key or of a directory."""
        record = self.records.get(path)
        if record is not None:
            self._add(record, KeyEvent(now_s, EventKind.DELETED, peer_record.peer))
        else:
            self.deletes.append(PathDelete(now_s, path[:512], peer_record.peer))

    def _add(self, record: KeyRecord, event: KeyEvent) -> None:
        self._grow(record.add(event))

    def _grow(self, more_bytes: int) -> None:
        with self._lock:
            self._size_bytes += more_bytes
        self._count_bytes(more_bytes)

    def _new_record(
        self, key: str, peer_record: PeerRecord, now_s: float
    ) -> KeyRecord | None:
        size_bytes = RECORD_BYTES + len(key)
        removed_bytes = 0
        with self._lock:
            known = self.records.get(key)
            if known is not None:
                # Another thread has just made it.
                return known
            for _ in range(_TRIES):
                if (
                    self._size_bytes + size_bytes <= self._limit_bytes
                    or not self.records
                ):
                    break
                freed_bytes = self._remove_oldest(now_s)
                self._size_bytes -= freed_bytes
                removed_bytes += freed_bytes
            has_room = self._size_bytes + size_bytes <= self._limit_bytes
            record = KeyRecord(now_s, peer_record) if has_room else None
            if record is not None:
                self.records[key] = record
                self._order.append(key)
                self._size_bytes += size_bytes
            else:
                self._refused_s = now_s
        # Outside the lock: no lock is taken while another is held.
        self._count_bytes((size_bytes if record is not None else 0) - removed_bytes)
        return record

    def _remove_oldest(self, now_s: float) -> int:
        """Remove the oldest record, unless its key is in use; return what it took."""
        key = self._order.popleft()
        record = self.records[key]
        if now_s - record.last_s < _IN_USE_S:
            # Looked at last from now on, so that the next call looks at another one.
            # Otherwise one key in use at the front would keep all old records alive.
            self._order.append(key)
            return 0
        del self.records[key]
        return record.size_bytes(key)

    # For an upgrade in place.

    def dump(self) -> Iterator[bytes]:
        """Yield everything as bytes, for `load`."""
        return pack(
            Contents(
                self.began_s,
                self.read_s,
                self.reader,
                self.read_gaps,
                self.deletes,
                self.records,
            )
        )

    def load(self, data: bytes) -> None:
        """Restore what `dump` gave, into a history that has noted nothing yet.

        The process that gave it may have had room for more records.  Those whose keys
        were not written for the longest time are left out then.

        Raises:
            ValueError: the data are not from `dump`.
        """
        # Unpacked completely before anything is changed: a history that cannot be read
        # leaves this one empty, and is not counted in the budget.
        loaded = unpack(data)
        self.began_s, self.read_s, self.reader = loaded[:3]
        self.read_gaps.extend(loaded.read_gaps)
        self.deletes.extend(loaded.deletes)
        records = dict(loaded.records)
        size_bytes = sum(record.size_bytes(key) for key, record in records.items())
        if size_bytes > self._limit_bytes:
            newest_first = sorted(
                records, key=lambda key: records[key].last_s, reverse=True
            )
            while size_bytes > self._limit_bytes:
                key = newest_first.pop()
                size_bytes -= records.pop(key).size_bytes(key)
        self.records.update(records)
        self._order.extend(records)
        self._grow(size_bytes)
