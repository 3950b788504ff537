"""Tests of core.history.format: `unpack` restores or refuses the data."""

from __future__ import annotations

import pytest

from pacemaker.core.history.format import Contents, pack, unpack
from pacemaker.core.history.record import (
    NO_PEER,
    ConnectionEnd,
    EventKind,
    KeyEvent,
    KeyRecord,
    PathDelete,
    PeerRecord,
)

KEY, OTHER = "/workerbeats/\u00e9-1/w-6700", "/workerbeats/\u00e9-1/w-6701"
NIMBUS = PeerRecord("10.0.0.9:1")


def contents() -> Contents:
    """Return a history of two keys, written by one connection that was reset."""
    worker = PeerRecord("10.0.0.1:4000")
    worker.end, worker.ended_s = ConnectionEnd.RESET, 104.0
    late, quiet = KeyRecord(100.0, worker), KeyRecord(101.0, worker)
    late.note_gap(21.0)
    late.last_s, late.read_s, late.reader = 121.0, 122.0, NIMBUS
    late.is_unchanged = True
    late.add(KeyEvent(121.0, EventKind.LATE, worker.peer, 21.0, 250))
    return Contents(
        5.0,
        160.0,
        NIMBUS,
        [(110.0, 170.0)],
        [PathDelete(161.0, "/workerbeats/x", NIMBUS.peer)],
        {KEY: late, OTHER: quiet},
    )


def packed(history: Contents) -> bytes:
    """Pack a history as a whole."""
    return b"".join(pack(history))


def test_history_is_unpacked_as_it_was_packed() -> None:
    """Times, peers, gaps, deletes and events are the same."""
    before, after = contents(), unpack(packed(contents()))
    assert packed(after) == packed(before)
    assert after[:2] == before[:2]
    assert after.reader.peer == NIMBUS.peer
    assert (after.read_gaps, after.deletes) == (before.read_gaps, before.deletes)
    late, quiet = after.records[KEY], after.records[OTHER]
    assert (late.first_s, late.last_s, late.read_s) == (100.0, 121.0, 122.0)
    assert (late.longest_gap_s, late.quiet_gap_s, late.is_unchanged) == (
        21.0,
        6.0,
        True,
    )
    assert late.list_events() == before.records[KEY].list_events()
    assert (quiet.list_events(), quiet.reader) == ([], NO_PEER)


def test_keys_of_one_connection_share_its_source() -> None:
    """One source per key would multiply the memory that sources take."""
    records = unpack(packed(contents())).records
    source = records[KEY].source
    assert source is records[OTHER].source
    assert (source.peer, source.end, source.ended_s) == (
        "10.0.0.1:4000",
        ConnectionEnd.RESET,
        104.0,
    )


def test_empty_history_is_packed_too() -> None:
    """A daemon may be upgraded before it has seen a request."""
    empty = Contents(5.0, 0.0, NO_PEER, [], [], {})
    after = unpack(packed(empty))
    assert (after.began_s, after.read_s, after.records) == (5.0, 0.0, {})


def test_history_that_is_cut_is_refused() -> None:
    """Wherever the data is cut, the error names the byte."""
    data = packed(contents())
    for end in range(len(data)):
        with pytest.raises(ValueError, match=rf"cannot be read: byte \d+ of {end}: "):
            unpack(data[:end])


def test_history_with_text_that_is_no_utf_8_is_refused() -> None:
    """`pack` writes only UTF-8."""
    data = packed(contents()).replace("\u00e9".encode(), b"\xff\xff", 1)
    with pytest.raises(ValueError, match="cannot be read"):
        unpack(data)
