"""The pulses of a worker, against the checked reader of all messages."""

from __future__ import annotations

import struct
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pacemaker.core.accounts.account import UNKNOWN_PEER
from pacemaker.core.figures import Figures
from pacemaker.core.history.history import RETRY_S, History
from pacemaker.core.history.record import (
    RECORD_BYTES,
    EventKind,
    KeyEvent,
    KeyRecord,
    PeerRecord,
    TurnTime,
)
from pacemaker.core.protocol.pulse_fast_path import PulseFastPath
from pacemaker.core.store.store import Store
from pacemaker.errors import LimitError, MalformedError
from pacemaker.wire import messages
from pacemaker.wire.frames import FrameReader
from pacemaker.wire.messages import Message, Pulse
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type, framed, send_pulse

KEY = "/workerbeats/é-1/w"
LIMIT = 200
FULL = LIMIT - 37 - len(KEY.encode())
"""Details with which a pulse is as large as the limit."""
END_BYTES = len(send_pulse(KEY, b"", 5)) - send_pulse(KEY, b"x", 5).rindex(b"x")
"""What follows the details in a frame."""

pulses = st.builds(send_pulse, st.just(KEY), st.binary(max_size=12), st.integers(0, 99))
others = st.sampled_from(
    (
        send_pulse(KEY, b"x"),
        send_pulse(KEY + "2", b"x", 5),
        send_pulse(KEY[:-1] + "v", b"x", 5),
        send_pulse(KEY, bytes(FULL + 1), 5),
        wire.path_request(Type.GET_PULSE, KEY, 5),
        framed(b""),
    )
)


class Outcome(NamedTuple):
    """The outcome of some bytes: where their pulses end, and what they did."""

    end: int
    frames: int
    replies: bytes
    stored: bytes | None
    figures: Figures


def without_sizes(figures: Figures) -> Figures:
    """Keep only the number of pulses: those answered together count as equal."""
    return replace(figures, pulse_size_histogram=[figures.pulses])


def by_the_short_way(data: bytes, at: int = 0) -> Outcome | None:
    """Give bytes to new `PulseFastPath`."""
    store, figures = Store(), Figures()
    answered = PulseFastPath(KEY, store, figures, LIMIT).answer_consecutive(data, at)
    if answered is None:
        assert (len(store), figures) == (0, Figures())
        return None
    return Outcome(*answered, store.get(KEY), without_sizes(figures))


def by_the_way_of_one(data: bytes) -> Outcome | None:
    """Give bytes to new `PulseFastPath` that may be one pulse."""
    store, figures = Store(), Figures()
    reply = PulseFastPath(KEY, store, figures, LIMIT).answer_one(data)
    if reply is None:
        assert (len(store), figures) == (0, Figures())
        return None
    return Outcome(len(data), 1, reply, store.get(KEY), without_sizes(figures))


def by_the_way_of_pieces(data: bytes, *cuts: int) -> Outcome | None:
    """Give new `PulseFastPath` bytes that are cut into pieces."""
    store, figures = Store(), Figures()
    pieces = [data[a:b] for a, b in pairwise((0, *cuts, len(data)))]
    reply = PulseFastPath(KEY, store, figures, LIMIT).answer_pieces(pieces)
    if reply is None:
        assert (len(store), figures) == (0, Figures())
        return None
    return Outcome(len(data), 1, reply, store.get(KEY), without_sizes(figures))


def by_the_general_way(data: bytes) -> Outcome | None:
    """Read frame by frame, as long as they are pulses to the key with an id."""
    reader, figures = FrameReader(LIMIT), Figures()
    reader.receive(data)
    end = count = 0
    replies, stored = b"", None
    while (message := next_message(reader)) is not None:
        kind, pulse, message_id = message
        if kind != messages.SEND_PULSE or message_id is None:
            break
        if not isinstance(pulse, Pulse) or pulse.id != KEY or pulse.details is None:
            break
        stored = pulse.details
        figures.count_pulse(len(stored))
        replies += wire.ack(Type.SEND_PULSE_RESPONSE, message_id)
        count += 1
        end = len(data) - reader.unread_bytes
    if not count:
        return None
    return Outcome(end, count, replies, stored, without_sizes(figures))


def next_message(reader: FrameReader) -> Message | None:
    """Read one message; None if it is incomplete or malformed."""
    if reader.unread_bytes < 4 or reader.frame_bytes not in range(4, LIMIT + 5):
        return None
    frame = reader.next()
    if frame is None:
        return None
    data, start, end = frame
    try:
        return messages.decode(data[start:end])
    except MalformedError:
        return None


@given(st.lists(pulses, max_size=6), st.lists(pulses | others, max_size=2), st.binary())
@example([], [], b"")
def test_pulses_have_the_outcome_of_the_general_way(
    first: list[bytes], then: list[bytes], rest: bytes
) -> None:
    """All consecutive pulses are answered, and nothing after them is touched."""
    data = b"".join((*first, *then, rest))
    outcome = by_the_general_way(data)
    assert by_the_short_way(data) == outcome
    is_one = outcome is not None and (outcome.frames, outcome.end) == (1, len(data))
    assert by_the_way_of_one(data) == (outcome if is_one else None)


def test_every_single_byte_is_judged_as_by_the_general_way() -> None:
    """With any byte changed, the result is another pulse, or one not accepted here."""
    frame = send_pulse(KEY, b"xy", 5)
    for at in range(len(frame)):
        for value in range(256):
            data = frame[:at] + bytes([value]) + frame[at + 1 :]
            short = by_the_short_way(data)
            assert short in (None, by_the_general_way(data))
            assert by_the_way_of_one(data) == short
            assert by_the_way_of_pieces(data, len(data) - END_BYTES) == short


@pytest.mark.parametrize("cut", range(1, len(send_pulse(KEY, b"xy", 5))))
def test_pulse_that_is_cut_is_left(cut: int) -> None:
    """Only complete pulses are accepted, wherever the rest is cut off."""
    frame = send_pulse(KEY, b"xy", 5)
    assert by_the_short_way(frame[:cut]) is None
    assert by_the_way_of_one(frame[:cut]) is None
    assert by_the_way_of_one(frame + frame[:cut]) is None
    outcome = by_the_short_way(frame + frame[:cut])
    assert outcome is not None
    assert (outcome.end, outcome.frames) == (len(frame), 1)


def test_pieces_are_one_pulse_wherever_its_details_are_cut() -> None:
    """If its constant bytes are cut as well, it is left to the general path."""
    frame = send_pulse(KEY, b"details", 5)
    whole = by_the_way_of_one(frame)
    assert whole is not None
    details = range(frame.index(b"details"), len(frame) - END_BYTES + 1)
    for first in range(1, len(frame)):
        for second in range(first, len(frame)):
            is_fit = first in details and second in details
            found = by_the_way_of_pieces(frame, first, second)
            assert found == (whole if is_fit else None)
            is_fit = first in details
            assert by_the_way_of_pieces(frame, first) == (whole if is_fit else None)
    assert by_the_way_of_pieces(frame + frame, len(frame)) is None
    large = send_pulse(KEY, bytes(FULL + 1), 5)
    assert by_the_way_of_pieces(large, len(large) // 2) is None


@pytest.mark.parametrize("at", [0, 27 + len(KEY.encode())])
@pytest.mark.parametrize("length", [-(2**31), -100, -1, 0, 2**31 - 1, 2**31 - 8])
def test_hostile_lengths_are_left_to_the_general_way(at: int, length: int) -> None:
    """A frame or details with a wrong length are left to the general path."""
    frame = send_pulse(KEY, b"xy", 5)
    data = frame[:at] + struct.pack(">i", length) + frame[at + 4 :]
    assert by_the_short_way(data + frame) is None
    assert by_the_way_of_one(data) is None


def test_lengths_that_agree_with_each_other_are_held_against_the_bytes() -> None:
    """Negative lengths, and ones past the limit or the bytes, are not accepted."""
    frame = send_pulse(KEY, b"", 5)
    at = 27 + len(KEY.encode())
    body_bytes = len(frame) - 4
    for size in (-1, -body_bytes, -body_bytes - 4, 1, FULL, FULL + 1):
        data = bytearray(frame + bytes(3 * LIMIT))
        struct.pack_into(">i", data, 0, body_bytes + size)
        struct.pack_into(">i", data, at, size)
        assert by_the_short_way(bytes(data)) is None
        for end in (at + 4, len(frame), len(frame) + max(0, size) + 1, len(data)):
            assert by_the_way_of_one(bytes(data[:end])) is None


def test_limit_itself_is_allowed() -> None:
    """A pulse as large as the limit is accepted; with one byte more it is not."""
    for way in (by_the_short_way, by_the_way_of_one):
        outcome = way(send_pulse(KEY, bytes(FULL), 5))
        assert outcome is not None
        assert outcome.stored == bytes(FULL)
        assert way(send_pulse(KEY, bytes(FULL + 1), 5)) is None


def test_pulses_may_begin_anywhere() -> None:
    """The bytes before the given offset are not read."""
    frame = send_pulse(KEY, b"xy", 5)
    outcome = by_the_short_way(b"before" + frame + frame, 6)
    assert outcome is not None
    assert (outcome.end, outcome.frames) == (6 + 2 * len(frame), 2)


def test_largest_heartbeat_is_counted_though_it_is_not_stored() -> None:
    """The figures cover all pulses, not only the last."""
    sizes = (3, 9, 1)
    outcome = by_the_short_way(b"".join(send_pulse(KEY, bytes(n), n) for n in sizes))
    assert outcome is not None
    assert outcome.stored == b"\0"
    figures = outcome.figures
    assert (figures.pulses, figures.pulse_bytes) == (3, 13)
    assert figures.largest_pulse_bytes == 9


def test_pulses_that_cannot_be_stored_are_not_counted() -> None:
    """The store's refusal is raised, and nothing is answered."""
    figures = Figures()
    worker = PulseFastPath(KEY, Store(budget_bytes=0), figures, LIMIT)
    with pytest.raises(LimitError, match="store is full"):
        worker.answer_consecutive(send_pulse(KEY, b"xy", 5) * 2, 0)
    with pytest.raises(LimitError, match="store is full"):
        worker.answer_one(send_pulse(KEY, b"xy", 5))
    assert figures == Figures()


def test_who_awaits_the_key_is_told() -> None:
    """If the key was deleted and is awaited, its callback is called as usual."""
    store, told = Store(), list[str]()
    worker = PulseFastPath(KEY, store, Figures(), LIMIT)
    worker.answer_one(send_pulse(KEY, b"1", 5))
    store.delete(KEY)
    assert store.await_key(KEY, told.append)
    worker.answer_one(send_pulse(KEY, b"2", 5))
    assert told == [KEY]
    assert store.get(KEY) == b"2"


def test_single_pulses_are_counted_as_figures_count_them() -> None:
    """The fast path does itself what `Figures.count_pulse` does for the others."""
    figures, expected = Figures(), Figures()
    worker = PulseFastPath(KEY, Store(), figures, 10_000)
    for size in (0, 1, 1000, 1023, 1024, 5):
        assert worker.answer_one(send_pulse(KEY, bytes(size), 5)) is not None
        expected.count_pulse(size)
        assert figures == expected


def test_end_of_stream_is_no_pulse() -> None:
    """An owner may pass no bytes, which are no request."""
    assert PulseFastPath("", Store(), Figures(), LIMIT).answer_one(b"") is None
    assert PulseFastPath(KEY, Store(), Figures(), LIMIT).answer_one(b"") is None


class Noted(NamedTuple):
    """Pulses to one key, with a history and their thread's clock."""

    worker: PulseFastPath
    history: History
    turn_time: TurnTime
    peer_record: PeerRecord

    def events_after(self, *times_s: float, count: int = 1) -> list[KeyEvent]:
        """Send pulses at each of these times; return the events of the key."""
        self.send(*times_s, count=count)
        return self.history.records[KEY].list_events()

    def send(self, *times_s: float, count: int = 1) -> None:
        """Send pulses at each of these times.

        Args:
            times_s: the times.
            count: how many pulses at each time; 0 for one in pieces.
        """
        for self.turn_time.now_s in times_s:
            data = send_pulse(KEY, b"xy", 5)
            cut = len(data) - END_BYTES
            if count == 0:
                assert self.worker.answer_pieces([data[:cut], data[cut:]]) is not None
            elif count == 1:
                assert self.worker.answer_one(data) is not None
            else:
                assert self.worker.answer_consecutive(data * count, 0) is not None


def noted() -> Noted:
    """Make the pulses of a worker whose first one came at 100 s on another path."""
    history, turn_time, peer_record = (
        History(10**6),
        TurnTime(),
        PeerRecord("10.0.0.1:4000"),
    )
    history.note_pulse(KEY, peer_record, 100.0, b"xy")
    worker = PulseFastPath(
        KEY, Store(), Figures(), LIMIT, UNKNOWN_PEER, peer_record, history, turn_time
    )
    return Noted(worker, history, turn_time, peer_record)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_regular_pulses_move_the_last_time_of_the_record(count: int) -> None:
    """Regular pulses cause no event, whether they come singly or together."""
    known = noted()
    assert known.events_after(103.0, 106.0, 108.5, count=count) == []
    record = known.history.records[KEY]
    assert (record.first_s, record.last_s, record.longest_gap_s) == (100.0, 108.5, 3.0)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_late_pulse_is_noted(count: int) -> None:
    """A pulse that comes after more than twice the interval is an event."""
    known = noted()
    (event,) = known.events_after(103.0, 124.0, 127.0, count=count)
    assert event == KeyEvent(124.0, EventKind.LATE, "10.0.0.1:4000", 21.0)
    assert known.history.records[KEY].last_s == 127.0


@pytest.mark.parametrize("count", [0, 1, 2])
def test_pulse_of_another_connection_is_noted(count: int) -> None:
    """Both connections find the same record of the key."""
    known = noted()
    known.events_after(103.0)
    known.history.note_pulse(KEY, PeerRecord("10.0.0.2:4000"), 104.0, b"xy")
    events = known.events_after(105.0, count=count)
    assert [(event.kind, event.peer) for event in events] == [
        (EventKind.WRITER, "10.0.0.2:4000"),
        (EventKind.WRITER, "10.0.0.1:4000"),
    ]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_pulses_are_noted_at_most_once_a_second(count: int) -> None:
    """A pulse that follows a noted one within a second leaves the record alone."""
    known = noted()
    known.events_after(103.0, 103.9, count=count)
    assert known.history.records[KEY].last_s == 103.0
    known.events_after(104.0, count=count)
    assert known.history.records[KEY].last_s == 104.0


@pytest.mark.parametrize("count", [0, 1, 2])
def test_key_without_a_record_stays_without_one(count: int) -> None:
    """If the history has no room for a record, the pulses are still stored."""
    store, history = Store(), History(0)
    worker = PulseFastPath(
        KEY,
        store,
        Figures(),
        LIMIT,
        UNKNOWN_PEER,
        PeerRecord("10.0.0.1:4000"),
        history,
    )
    data = send_pulse(KEY, b"xy", 5)
    if count == 0:
        assert worker.answer_pieces([data[:-END_BYTES], data[-END_BYTES:]])
    answered = (
        worker.answer_one(data)
        if count == 1
        else worker.answer_consecutive(data * 2, 0)
    )
    assert answered is not None
    assert (store.get(KEY), history.records) == (b"xy", {})


class CountedHistory(History):
    """A history that counts the pulses that it is asked to note."""

    asked = 0

    def note_pulse(self, *args: Any) -> KeyRecord | None:
        """Count the pulse and note it."""
        self.asked += 1
        return super().note_pulse(*args)


def test_key_without_a_record_asks_for_one_again() -> None:
    """Records that have become old make room, but the search for one takes a lock."""
    history, turn_time = CountedHistory(RECORD_BYTES + len(KEY)), TurnTime()
    peer_record = PeerRecord("10.0.0.1:4000")
    history.note_pulse("/old", peer_record, 0.0, b"xy")
    turn_time.now_s = 500.0
    worker = PulseFastPath(
        KEY, Store(), Figures(), LIMIT, UNKNOWN_PEER, peer_record, history, turn_time
    )
    known = Noted(worker, history, turn_time, peer_record)
    history.asked = 0
    known.send(*(500.0 + 3 * number for number in range(20)))
    assert history.asked == 0, "it was refused just before"
    known.send(500.0 + RETRY_S, 503.0 + RETRY_S)
    assert (history.asked, list(history.records)) == (1, ["/old"])
    known.send(500.0 + 2 * RETRY_S)
    assert (history.asked, list(history.records)) == (2, [KEY])
    known.send(503.0 + 2 * RETRY_S)
    assert history.records[KEY].last_s == 503.0 + 2 * RETRY_S


def test_pulse_without_a_history_is_never_noted() -> None:
    """There is nothing to ask again."""
    turn_time = TurnTime()
    worker = PulseFastPath(KEY, Store(), Figures(), LIMIT, turn_time=turn_time)
    turn_time.now_s = 1e12
    assert worker.answer_one(send_pulse(KEY, b"xy", 5)) is not None
