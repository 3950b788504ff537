"""Tests of core.protocol.read_fast_path, against the general way."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacemaker.core.figures import Figures
from pacemaker.core.history.history import History
from pacemaker.core.history.record import PeerRecord, TurnTime
from pacemaker.core.protocol.dispatch import Dispatcher
from pacemaker.core.protocol.read_fast_path import MAX_FRAME_BYTES, ReadFastPath
from pacemaker.core.protocol.server_protocol import ServerProtocol
from pacemaker.core.store.store import Store
from pacemaker.wire.fast_codec import LARGE_VALUE_BYTES
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type

KEY = "/workerbeats/é-1/w"
OTHER = "/workerbeats/é-1/gone"
GET = wire.path_request(Type.GET_PULSE, KEY, 7)
LIMIT = 10 * LARGE_VALUE_BYTES


def _history_with(key: str) -> History:
    """Return a history that has a record of a key."""
    history = History(10**6)
    history.note_pulse(key, PeerRecord("10.0.0.1:4000"), 99.0, b"")
    return history


def _both_ways(
    data: bytes, value: bytes, history: History | None = None
) -> tuple[bytes | None, bytes, bool]:
    """Return the fast path's reply, the general one's, and whether figures agree."""
    outcomes = []
    for is_short in (True, False):
        store, figures = Store(), Figures()
        store.put(KEY, value)
        if is_short:
            reads = ReadFastPath(store, figures, history=history)
            reply = reads.answer_one(data)
        else:
            dispatcher = Dispatcher(store, figures, LIMIT)
            reply = b"".join(ServerProtocol(dispatcher, LIMIT).receive_data(data)[0])
        outcomes.append((reply, figures))
    (short, short_figures), (general, general_figures) = outcomes
    return short, general or b"", short_figures == general_figures


@pytest.mark.parametrize("value", [b"", b"beat", bytes(LARGE_VALUE_BYTES - 1)])
@pytest.mark.parametrize("key", [KEY, OTHER, "", "/", KEY + "/below", "/workerbeats"])
@pytest.mark.parametrize("recorded", [None, KEY, OTHER])
def test_read_is_answered_as_by_the_general_way(
    key: str, value: bytes, recorded: str | None
) -> None:
    """Hits and misses, with the same bytes and figures, with and without a record."""
    data = wire.path_request(Type.GET_PULSE, key, 7)
    history = None if recorded is None else _history_with(recorded)
    short, general, is_counted_alike = _both_ways(data, value, history)
    assert short == general
    assert is_counted_alike


class LookingStore(Store):
    """A store that counts the reads that begin with a path."""

    looks = 0

    def get(self, key: str) -> bytes | None:
        """Count, and read."""
        self.looks += 1
        return super().get(key)


def test_key_with_a_record_is_found_by_it() -> None:
    """The record is the handle, through a delete and all later pulses."""
    store, history = LookingStore(), _history_with(KEY)
    reads = ReadFastPath(store, Figures(), history=history)
    for value in (b"1", b"22", None, b"333"):
        if value is None:
            store.delete(KEY)
        else:
            store.put(KEY, value)
        for _ in range(2):
            assert reads.answer_one(GET) == wire.pulse_reply(KEY, value, 7)
        assert history.records[KEY].leaf.value == (value or b"")
    assert store.looks == 0


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_longest_path_is_that_of_the_table(more: int) -> None:
    """A longer frame is left to the general way."""
    key = "k" * (MAX_FRAME_BYTES - 1 + more - len(wire.path_request(1, "", 7)))
    data = wire.path_request(Type.GET_PULSE, key, 7)
    assert len(data) == MAX_FRAME_BYTES - 1 + more
    short, general, _ = _both_ways(data, b"beat")
    assert short == (general if more <= 0 else None)


@given(st.integers(0, len(GET) - 1), st.integers(0, 255))
def test_altered_bytes_are_judged_as_by_the_general_way(at: int, byte: int) -> None:
    """Whatever the fast path answers, the general path answers in the same way."""
    data = bytearray(GET)
    data[at] = byte
    short, general, is_counted_alike = _both_ways(bytes(data), b"beat")
    if short is not None:
        assert short == general
        assert is_counted_alike


@pytest.mark.parametrize(
    "data",
    [
        GET[:-1],
        GET + b"\0",
        GET + GET,
        wire.path_request(Type.EXISTS, KEY, 7),
        wire.send_pulse(KEY, b"beat", 7),
        GET[:17] + struct.pack(">i", -1) + GET[21:],
        GET[:17] + struct.pack(">i", 2**31 - 1) + GET[21:],
        GET.replace("é".encode(), b"\xff\xff"),
        GET[:-1] + b"\1",
        b"\0",
        b"",
    ],
    ids=[
        *("cut", "more", "two", "other", "pulse", "negative", "huge", "text"),
        *("no stop", "byte", "end of stream"),
    ],
)
def test_anything_else_is_left_to_the_general_way(data: bytes) -> None:
    """Nothing is done and nothing is counted."""
    figures = Figures()
    assert ReadFastPath(Store(), figures).answer_one(data) is None
    assert figures == Figures()


def test_frames_too_short_for_a_read_are_left_to_the_general_way() -> None:
    """No bytes match the beginning of a frame that is too short for a path."""
    shortest = wire.path_request(Type.GET_PULSE, "", 7)
    reads = ReadFastPath(Store(), Figures())
    assert reads.answer_one(shortest) == wire.pulse_reply("", None, 7)
    for size in range(len(shortest)):
        stated = struct.pack(">i", size - 4)
        negative = struct.pack(">i", size - len(shortest))
        for data in (
            *(shortest[:size], shortest[-size:], bytes(size), b"\xff" * size),
            (stated + shortest[4:17] + negative + shortest[21:])[:size],
            (stated + shortest[4:17] + negative)[: size - 9] + shortest[-9:],
        ):
            if len(data) == size:
                assert reads.answer_one(data) is None


def test_large_heartbeat_is_left_to_the_general_way() -> None:
    """A large heartbeat is sent without being copied into the reply."""
    store, figures, history = Store(), Figures(), _history_with(KEY)
    store.put(KEY, bytes(LARGE_VALUE_BYTES))
    nimbus = PeerRecord("10.0.0.9:1")
    nimbus.is_reader = True
    assert ReadFastPath(store, figures, nimbus, history).answer_one(GET) is None
    assert (figures, history.reader.peer) == (Figures(), "")


@pytest.mark.parametrize("is_reader", [True, False])
@pytest.mark.parametrize("recorded", [KEY, OTHER])
def test_history_notes_the_reads_of_nimbus(is_reader: bool, recorded: str) -> None:
    """Reads by a peer that never asked for a list are not noted."""
    history, peer_record, turn_time = (
        _history_with(recorded),
        PeerRecord("10.0.0.1:4001"),
        TurnTime(),
    )
    peer_record.is_reader, turn_time.now_s = is_reader, 100.0
    reads = ReadFastPath(Store(), Figures(), peer_record, history, turn_time)
    assert reads.answer_one(GET) is not None
    assert (history.read_s, history.reader is peer_record) == (
        100.0 * is_reader,
        is_reader,
    )
    is_noted = is_reader and recorded == KEY
    assert history.records[recorded].read_s == 100.0 * is_noted
