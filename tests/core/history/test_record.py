"""Tests of core.history.record: what is usual, and the events that are kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacemaker.core.history.record import (
    MAX_EVENTS,
    RECORD_BYTES,
    ConnectionEnd,
    EventKind,
    KeyEvent,
    KeyRecord,
    PeerRecord,
)

KEY = "/workerbeats/words-1-1700000000/7a4e-6700"
events = st.builds(
    KeyEvent,
    st.floats(0, 1e9),
    st.sampled_from(EventKind),
    st.text(max_size=60),
    st.integers(0, 2**20).map(float),
    st.none() | st.integers(0, 2**31 - 1),
    st.sampled_from(ConnectionEnd),
)


def new_record() -> KeyRecord:
    """Return the record of a key that was written at 100 s."""
    return KeyRecord(100.0, PeerRecord("10.0.0.1:4000"))


@given(st.lists(events, max_size=2 * MAX_EVENTS))
def test_record_keeps_the_last_events(added: list[KeyEvent]) -> None:
    """Events are read back as they were added, whatever they contain."""
    record = new_record()
    grown_bytes = sum(map(record.add, added))
    assert record.list_events() == added[-MAX_EVENTS:]
    assert record.size_bytes(KEY) == RECORD_BYTES + len(KEY) + grown_bytes


def test_long_name_of_a_peer_is_cut() -> None:
    """The length has one byte; a character that is cut in half is replaced."""
    record = new_record()
    record.add(KeyEvent(1.0, EventKind.LATE, "\u00e9" * 200))
    (event,) = record.list_events()
    assert event.peer == "\u00e9" * 127 + "\ufffd"


@pytest.mark.parametrize(
    ("gap_s", "is_late"), [(3.0, False), (6.0, False), (6.5, True)]
)
def test_gap_of_more_than_twice_the_interval_is_late(
    gap_s: float, is_late: bool
) -> None:
    """A worker that skips one pulse is not late yet."""
    record = new_record()
    assert record.note_gap(gap_s) == is_late
    assert record.longest_gap_s == gap_s
    assert record.quiet_gap_s == (0.0 if is_late else gap_s), "late is never quiet"


def test_third_gap_of_one_length_becomes_the_interval() -> None:
    """Workers of Storm 2.0 to 2.2 write once a minute, which is not late."""
    record = new_record()
    assert [record.note_gap(60.0) for _ in range(4)] == [True, True, True, False]
    assert (record.interval_s, record.longest_gap_s) == (60.0, 60.0)


@pytest.mark.parametrize(
    "gaps_s",
    [
        [10.0 * 2**number for number in range(6)],
        [40.0, 30.0] * 3,
        [100.0, 30.0, 60.0, 45.0, 80.0, 30.0],
        [40.0, 40.0, 5.0] * 3,
    ],
)
def test_gaps_of_different_lengths_are_no_interval(gaps_s: list[float]) -> None:
    """Each late gap must be like the late one before it, both ways, and follow it."""
    record = new_record()
    assert [record.note_gap(gap_s) for gap_s in gaps_s] == [
        gap_s > 6.0 for gap_s in gaps_s
    ]
    assert record.interval_s == 3.0


def test_gap_after_a_late_one_is_never_quiet() -> None:
    """Otherwise nobody would see that the late ones do not come in a row."""
    record = new_record()
    record.note_gap(5.0)
    record.note_gap(40.0)
    assert record.quiet_gap_s == 0.0
    record.note_gap(3.0)
    assert record.quiet_gap_s == 6.0


def with_interval(interval_s: float) -> KeyRecord:
    """Return the record of a key that is usually written at this interval."""
    record = new_record()
    for _ in range(3):
        record.note_gap(interval_s)
    assert record.interval_s == interval_s
    return record


@pytest.mark.parametrize(
    ("gap_s", "interval_s"), [(3.0, 3.0), (1.0, 3.0), (29.0, 29.0), (30.0, 60.0)]
)
def test_third_short_gap_becomes_the_interval(gap_s: float, interval_s: float) -> None:
    """It must be less than half as long, and no interval is shorter than Storm's."""
    record = with_interval(60.0)
    for _ in range(2):
        assert not record.note_gap(gap_s)
        assert (record.interval_s, record.quiet_gap_s) == (60.0, 0.0)
    record.note_gap(gap_s)
    assert record.interval_s == interval_s
    assert record.quiet_gap_s == (6.0 if interval_s == 3.0 else 0.0)


def test_few_short_gaps_leave_the_interval() -> None:
    """A worker of Storm 2.0 to 2.2 writes at once when it has connected again."""
    record = with_interval(60.0)
    assert not any(record.note_gap(gap_s) for gap_s in [3.0, 3.0, 60.0] * 3)
    assert record.interval_s == 60.0


def test_late_and_short_gaps_are_no_run() -> None:
    """Both are unusual, but not alike."""
    record = with_interval(20.0)
    for gap_s in (3.0, 3.0, 50.0, 50.0, 3.0, 3.0):
        record.note_gap(gap_s)
    assert record.interval_s == 20.0
