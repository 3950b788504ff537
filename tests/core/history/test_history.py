"""The history of the heartbeats, with times that the test sets."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from pacemaker.core.history.history import RETRY_S, History
from pacemaker.core.history.record import (
    RECORD_BYTES,
    ConnectionEnd,
    EventKind,
    KeyEvent,
    KeyRecord,
    PeerRecord,
)
from tests.heartbeats.by_hand import heartbeat

KEY = "/workerbeats/words-1-1700000000/7a4e-6700"
MANY = 10**9


def history(most_bytes: int = MANY) -> History:
    """Return an empty history with room for the given number of bytes."""
    return History(most_bytes)


def beat(
    kept: History, peer_record: PeerRecord, *times_s: float, value: bytes = b"beat"
) -> KeyRecord:
    """Note pulses at these times; return the record."""
    for now_s in times_s:
        record = kept.note_pulse(KEY, peer_record, now_s, value)
    assert record is not None
    return record


def test_regular_pulses_are_no_events() -> None:
    """The record has the first and the last pulse, and the longest gap."""
    kept, worker = history(), PeerRecord("10.0.0.1:4000")
    record = beat(kept, worker, *(100.0 + 3 * n for n in range(50)), 250.5)
    assert record.list_events() == []
    assert (record.first_s, record.last_s, record.longest_gap_s) == (100.0, 250.5, 3.5)


def test_late_pulse_is_an_event() -> None:
    """The event has the gap, and the uptime from the heartbeat."""
    kept, worker = history(), PeerRecord("10.0.0.1:4000")
    value = gzip.compress(heartbeat(executors=4, time_s=1_700_000_000, uptime_s=250))
    record = beat(kept, worker, 100.0, 103.0, 124.0, value=value)
    (event,) = record.list_events()
    assert event == KeyEvent(
        124.0, EventKind.LATE, "10.0.0.1:4000", 21.0, 250, ConnectionEnd.OPEN
    )
    assert record.longest_gap_s == 21.0


def test_late_pulse_after_a_longer_gap_is_an_event_too() -> None:
    """An earlier, longer gap does not make a late pulse less late."""
    kept, worker = history(), PeerRecord("10.0.0.1:4000")
    record = beat(kept, worker, 0.0, 100.0, 103.0, 113.0, 116.0)
    assert [event.duration_s for event in record.list_events()] == [100.0, 10.0]


def test_another_interval_becomes_usual() -> None:
    """Workers of Storm 2.0 to 2.2 write once a minute."""
    kept, worker = history(), PeerRecord("10.0.0.1:4000")
    record = beat(kept, worker, *(60.0 * n for n in range(1, 30)))
    assert len(record.list_events()) <= 4
    assert record.interval_s == 60.0


def test_long_pauses_far_apart_are_no_interval() -> None:
    """Regular pulses in between are not noted one by one, but they end a run."""
    kept, worker = history(), PeerRecord("10.0.0.1:4000")
    now_s = 0.0
    for pause_s in (40.0, 45.0, 38.0, 40.0):
        regular = [now_s + pause_s + 3.0 * number for number in range(100)]
        record = beat(kept, worker, *regular)
        now_s = regular[-1]
    assert record.interval_s == 3.0
    assert [event.duration_s for event in record.list_events()] == [45.0, 38.0, 40.0]


@pytest.mark.parametrize("is_upgraded", [False, True])
def test_interval_becomes_short_again(is_upgraded: bool) -> None:
    """An upgrade in place carries the long one over, from any release."""
    kept, worker = history(), PeerRecord("10.0.0.1:4000")
    beat(kept, worker, 0.0, 40.0, 80.0, 120.0)
    assert kept.records[KEY].interval_s == 40.0
    if is_upgraded:
        loaded = history()
        loaded.load(b"".join(kept.dump()))
        kept = loaded
    record = beat(kept, worker, 123.0, 126.0, 129.0, 139.0)
    assert record.interval_s == 3.0
    assert record.list_events()[-1].duration_s == 10.0


def test_another_writer_is_an_event() -> None:
    """The event says how the previous writer's connection had ended."""
    kept, before, after = (
        history(),
        PeerRecord("10.0.0.1:4000"),
        PeerRecord("10.0.0.1:4002"),
    )
    beat(kept, before, 100.0)
    before.end = ConnectionEnd.RESET
    (event,) = beat(kept, after, 108.0).list_events()
    assert event == KeyEvent(
        108.0, EventKind.WRITER, "10.0.0.1:4002", 8.0, None, ConnectionEnd.RESET
    )


def test_connection_that_was_carried_over_is_the_same() -> None:
    """After an upgrade in place, the same peer has a new record."""
    kept = history()
    beat(kept, PeerRecord("10.0.0.1:4000"), 100.0)
    assert beat(kept, PeerRecord("10.0.0.1:4000"), 103.0).list_events() == []


def test_port_that_is_used_again_is_another_connection() -> None:
    """The previous connection from the port has ended."""
    kept, before = history(), PeerRecord("10.0.0.1:4000")
    beat(kept, before, 100.0)
    before.end = ConnectionEnd.FIN
    assert len(beat(kept, PeerRecord("10.0.0.1:4000"), 103.0).list_events()) == 1


def test_deletes_are_events() -> None:
    """A key's delete is in its record; deletes of directories have their own list."""
    kept, worker = history(), PeerRecord("10.0.0.1:4000")
    record = beat(kept, worker, 100.0)
    kept.note_delete(KEY, PeerRecord("10.0.0.1:4001"), 101.0)
    kept.note_delete("/workerbeats/words-1-1700000000", PeerRecord("10.0.0.9:1"), 102.0)
    assert record.list_events() == [KeyEvent(101.0, EventKind.DELETED, "10.0.0.1:4001")]
    (deleted,) = kept.deletes
    assert deleted == (102.0, "/workerbeats/words-1-1700000000", "10.0.0.9:1")


def test_read_of_a_value_that_is_late_is_an_event_once() -> None:
    """Nimbus looks for changes; two reads between two pulses are normal."""
    kept, worker, nimbus = (
        history(),
        PeerRecord("10.0.0.1:4000"),
        PeerRecord("10.0.0.9:1"),
    )
    record = beat(kept, worker, 100.0)
    for now_s in (101.0, 102.0, 111.0, 121.0):
        kept.note_read(kept.records[KEY], nimbus, now_s)
    (event,) = record.list_events()
    assert event == KeyEvent(111.0, EventKind.UNCHANGED, "10.0.0.9:1", 11.0)
    assert record.is_unchanged
    beat(kept, worker, 122.0)
    kept.note_read(kept.records[KEY], nimbus, 131.0)
    assert not record.is_unchanged
    assert (record.read_s, kept.read_s, kept.reader) == (131.0, 131.0, nimbus)


def test_time_without_reads_is_kept() -> None:
    """A gap between Nimbus's reads is kept: it was away, or blocked."""
    kept, nimbus = history(), PeerRecord("10.0.0.9:1")
    for now_s in (100.0, 110.0, 170.0, 180.0):
        kept.note_read(None, nimbus, now_s)
    assert list(kept.read_gaps) == [(110.0, 170.0)]


def test_memory_is_counted_and_bounded() -> None:
    """The oldest record whose key is no longer written is removed."""
    counted: list[int] = []
    room = 3 * (RECORD_BYTES + 10)
    kept = History(room, counted.append)
    peer_record = PeerRecord("10.0.0.1:4000")
    for number in range(3):
        assert kept.note_pulse(f"/w/key-00{number}", peer_record, 0.0, b"") is not None
    # All are in use: there is none for the new key.
    assert kept.note_pulse("/w/key-003", peer_record, 1.0, b"") is None
    kept.records["/w/key-001"].last_s = -1000.0
    assert kept.note_pulse("/w/key-003", peer_record, 2.0, b"") is not None
    assert set(kept.records) == {"/w/key-000", "/w/key-002", "/w/key-003"}
    assert sum(counted) == kept.size_bytes == room


def test_history_is_full_while_keys_get_no_record() -> None:
    """It is not if old records make room, and not for long after the last refusal."""
    kept, worker = history(RECORD_BYTES + 10), PeerRecord("10.0.0.1:4000")
    kept.note_pulse("/w/key-000", worker, 0.0, b"")
    assert not kept.is_full(0.0)
    kept.note_pulse("/w/key-001", worker, 100.0, b"")
    assert kept.is_full(100.0)
    assert kept.is_full(100.0 + 2 * RETRY_S), "its writer may ask again only now"
    assert not kept.is_full(100.0 + 3 * RETRY_S)
    assert kept.note_pulse("/w/key-001", worker, 1_000.0, b"") is not None
    assert not kept.is_full(1_000.0)


def test_events_are_counted() -> None:
    """A key with many events takes more than a quiet one."""
    counted: list[int] = []
    kept = History(MANY, counted.append)
    for number in range(200):
        beat(kept, PeerRecord(f"10.0.0.1:{number}"), float(number))
    events = kept.records[KEY].events
    assert events is not None
    assert sum(counted) == kept.size_bytes == RECORD_BYTES + len(KEY) + len(events)


def test_history_is_carried_over() -> None:
    """The next process has the whole history, and counts its memory."""
    kept, worker, nimbus = (
        history(),
        PeerRecord("10.0.0.1:4000"),
        PeerRecord("10.0.0.9:1"),
    )
    kept.began_s = 5.0
    beat(kept, worker, 100.0, 103.0, 130.0)
    kept.note_read(kept.records[KEY], nimbus, 131.0)
    kept.note_read(kept.records[KEY], nimbus, 170.0)
    kept.note_delete("/workerbeats/x", nimbus, 171.0)
    counted: list[int] = []
    loaded = History(MANY, counted.append)
    loaded.load(b"".join(kept.dump()))
    assert b"".join(loaded.dump()) == b"".join(kept.dump())
    assert sum(counted) == loaded.size_bytes == kept.size_bytes
    assert (loaded.began_s, loaded.read_s) == (5.0, 170.0)
    assert loaded.records[KEY].list_events() == kept.records[KEY].list_events()


def test_history_that_cannot_be_read_leaves_nothing() -> None:
    """The daemon continues with an empty history, which counts for no memory."""
    kept = history()
    beat(kept, PeerRecord("10.0.0.1:4000"), 100.0)
    loaded = history()
    with pytest.raises(ValueError, match="history cannot be read"):
        loaded.load(b"".join(kept.dump())[:-1])
    assert (loaded.records, loaded.size_bytes) == ({}, 0)


class Stale(dict[str, KeyRecord]):
    """Records of which the first look shows nothing, as before another thread's."""

    is_stale = True

    def get(self, key: str, default: Any = None) -> Any:
        """Find nothing, once."""
        if self.is_stale:
            self.is_stale = False
            return default
        return super().get(key, default)


def test_two_threads_that_write_a_new_key_make_one_record() -> None:
    """The second one has looked for the record before the first one made it."""
    kept, worker = (
        history(2 * (RECORD_BYTES + len(KEY))),
        PeerRecord("10.0.0.1:4000"),
    )
    first = beat(kept, worker, 100.0)
    kept.records = Stale(kept.records)
    assert beat(kept, worker, 100.0) is first
    assert kept.size_bytes == RECORD_BYTES + len(KEY)
    for number in range(1, 5):
        assert kept.note_pulse(f"/w/{number}", worker, 10_000.0 * number, b"beat")
    assert list(kept.records) == ["/w/3", "/w/4"]


def test_history_that_is_carried_over_keeps_to_the_limit() -> None:
    """The keys written last keep their records, whatever an older version allowed."""
    kept, worker = history(), PeerRecord("10.0.0.1:4000")
    for number, written_s in enumerate((104.0, 101.0, 103.0, 102.0)):
        kept.note_pulse(f"/w/key-00{number}", worker, written_s, b"")
    room = 2 * (RECORD_BYTES + len("/w/key-000"))
    counted: list[int] = []
    loaded = History(room, counted.append)
    loaded.load(b"".join(kept.dump()))
    assert list(loaded.records) == ["/w/key-000", "/w/key-002"]
    assert sum(counted) == loaded.size_bytes == room
    # Every record can still be removed for a new one.
    for number in range(4, 6):
        loaded.note_pulse(f"/w/key-00{number}", worker, 2_000.0 + number, b"")
    assert set(loaded.records) == {"/w/key-004", "/w/key-005"}


def test_history_that_just_fits_is_carried_over_whole() -> None:
    """Nothing is left out as long as the limit is not exceeded."""
    kept, worker = history(), PeerRecord("10.0.0.1:4000")
    for number in range(3):
        kept.note_pulse(f"/w/key-00{number}", worker, 100.0 + number, b"")
    for missing_bytes, records in ((0, 3), (1, 2)):
        loaded = History(kept.size_bytes - missing_bytes)
        loaded.load(b"".join(kept.dump()))
        assert len(loaded.records) == records
