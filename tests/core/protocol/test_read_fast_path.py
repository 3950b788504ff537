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
from pacemaker.core.protocol.read_fast_path import ReadFastPath
from pacemaker.core.protocol.server_protocol import ServerProtocol
from pacemaker.core.store.store import Store
from pacemaker.wire.fast_codec import LARGE_VALUE_BYTES
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type

KEY = "/workerbeats/é-1/w"
OTHER = "/workerbeats/é-1/gone"
GET = wire.path_request(Type.GET_PULSE, KEY, 7)
LIMIT = 10 * LARGE_VALUE_BYTES


def _both_ways(data: bytes, value: bytes) -> tuple[bytes | None, bytes, bool]:
    """Return the fast path's reply, the general one's, and whether figures agree."""
    outcomes = []
    for is_short in (True, False):
        store, figures = Store(), Figures()
        store.put(KEY, value)
        if is_short:
            reply = ReadFastPath(store, figures).answer_one(data)
        else:
            dispatcher = Dispatcher(store, figures, LIMIT)
            reply = b"".join(ServerProtocol(dispatcher, LIMIT).receive_data(data)[0])
        outcomes.append((reply, figures))
    (short, short_figures), (general, general_figures) = outcomes
    return short, general or b"", short_figures == general_figures


@pytest.mark.parametrize("value", [b"", b"beat", bytes(LARGE_VALUE_BYTES - 1)])
@pytest.mark.parametrize("key", [KEY, OTHER, "", "/", KEY + "/below", "/workerbeats"])
def test_read_is_answered_as_by_the_general_way(key: str, value: bytes) -> None:
    """Hits and misses, with the same bytes and the same figures."""
    data = wire.path_request(Type.GET_PULSE, key, 7)
    short, general, is_counted_alike = _both_ways(data, value)
    assert short == general
    assert is_counted_alike


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
        b"\0",
    ],
    ids=["cut", "more", "two", "other", "pulse", "negative", "huge", "text", "byte"],
)
def test_anything_else_is_left_to_the_general_way(data: bytes) -> None:
    """Nothing is done and nothing is counted."""
    figures = Figures()
    assert ReadFastPath(Store(), figures).answer_one(data) is None
    assert figures == Figures()


def test_large_heartbeat_is_left_to_the_general_way() -> None:
    """A large heartbeat is sent without being copied into the reply."""
    store = Store()
    store.put(KEY, bytes(LARGE_VALUE_BYTES))
    assert ReadFastPath(store, Figures()).answer_one(GET) is None


@pytest.mark.parametrize("is_reader", [True, False])
def test_history_notes_the_reads_of_nimbus(is_reader: bool) -> None:
    """Reads by a peer that never asked for a list are not noted."""
    history, source, turn_time = (
        History(10**6),
        PeerRecord("10.0.0.1:4001"),
        TurnTime(),
    )
    source.is_reader, turn_time.now_s = is_reader, 100.0
    reads = ReadFastPath(Store(), Figures(), source, history, turn_time)
    assert reads.answer_one(GET) is not None
    assert (history.read_s, history.reader is source) == (100.0 * is_reader, is_reader)
