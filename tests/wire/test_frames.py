"""Tests of pacemaker.wire.frames."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacemaker.errors import FrameError
from pacemaker.wire import frames
from pacemaker.wire.frames import HEAD_SIZE, FrameReader
from tests.cutting import same_however_it_arrives
from tests.golden import GOLDEN
from tests.wire.by_hand import framed

LIMIT = 1000
FRAMES = [frame for _, frame in GOLDEN.values()]


def read_all(reader: FrameReader) -> list[bytes]:
    """Take the bodies that are complete."""
    bodies = []
    while (frame := reader.next()) is not None:
        data, start, end = frame
        bodies.append(data[start:end])
    return bodies


def kept(reader: FrameReader) -> bytes:
    """Return all bytes that a reader keeps, those that were read included."""
    peeked = reader.peek()
    assert peeked is not None, "the bytes are in pieces"
    return peeked[0]


def feed(pieces: Iterable[bytes]) -> tuple[list[bytes], bytes, int]:
    """Give pieces to a new reader; return the bodies, the rest, and the count."""
    reader = FrameReader(LIMIT)
    bodies = []
    for piece in pieces:
        reader.receive(piece)
        bodies += read_all(reader)
    return bodies, reader.unread, reader.frames_received


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize("behind", [b"", b"\0\0\0", b"\0\0\0\x02x", framed(b"next")])
def test_frame_is_read_however_it_arrives(name: str, behind: bytes) -> None:
    """A frame is the same whole, byte by byte, cut anywhere, and with bytes behind."""
    _, frame = GOLDEN[name]
    bodies, rest, count = same_however_it_arrives(frame + behind, feed)
    assert bodies[0] == frame[HEAD_SIZE:]
    assert count == len(bodies)
    assert frame + behind == b"".join(map(framed, bodies)) + rest


def test_who_peeks_may_skip_frames() -> None:
    """They are counted, and reading goes on behind them."""
    reader = FrameReader(LIMIT)
    reader.receive(framed(b"one") + framed(b"two") + framed(b"three") + b"\0")
    assert reader.next() is not None
    peeked = reader.peek()
    assert peeked is not None
    data, at = peeked
    assert data[at:].startswith(framed(b"two"))
    reader.skip(at + len(framed(b"two")), 1)
    assert read_all(reader) == [b"three"]
    assert (reader.frames_received, reader.unread) == (3, b"\0")


def test_who_peeks_sees_frames_behind_one_that_came_in_two_parts() -> None:
    """The beginning is put before what comes, so that all lies in one piece."""
    reader = FrameReader(LIMIT)
    first, second = framed(b"one"), framed(b"two")
    reader.receive(first[:3])
    assert reader.next() is None
    reader.receive(first[3:] + second)
    assert reader.peek() == (first + second, 0)


def test_who_peeks_sees_a_small_frame_in_one_piece() -> None:
    """Only that frame is copied, and what follows it is as it was received."""
    reader = FrameReader(LIMIT)
    first = framed(b"12345678")
    last = first[7:] + framed(b"next") + b"\0"
    reader.receive(first[:6])
    reader.receive(first[6:7])
    assert reader.peek() is None
    reader.receive(last)
    assert reader.peek() == (first, 0)
    reader.skip(len(first), 1)
    assert reader.peek() == (first[6:7] + last, len(first) - 6)
    assert read_all(reader) == [b"next"]
    assert (reader.unread, reader.frames_received) == (b"\0", 2)


def test_frames_behind_one_in_pieces_are_not_copied() -> None:
    """They are read from the segment in which they arrived."""
    reader = FrameReader(LIMIT)
    frame = framed(bytes(LIMIT))
    segment = frame[500:] + frame * 20
    reader.receive(frame[:500])
    reader.receive(segment)
    bodies = []
    while (found := reader.next()) is not None:
        data, start, end = found
        bodies.append(data[start:end])
        assert len(bodies) == 1 or data is segment
    assert bodies == [bytes(LIMIT)] * 21


def test_frame_in_pieces_is_given_without_a_copy() -> None:
    """Once it is complete; small pieces are put together."""
    body = bytes(100_000)
    reader = FrameReader(len(body))
    for piece in (struct.pack(">i", len(body)) + body[:60_000], body[:39_998], b"\0"):
        reader.receive(piece)
        assert reader.pieces() is None
        assert reader.next() is None
    reader.receive(b"\0")
    pieces = reader.pieces()
    assert pieces is not None
    assert [len(piece) for piece in pieces] == [60_004, 39_998, 2]
    assert b"".join(pieces) == framed(body)
    reader.skip_pieces()
    assert (reader.pieces(), reader.unread_bytes, reader.frames_received) == (
        None,
        0,
        1,
    )
    reader.receive(framed(b"next"))
    assert (reader.pieces(), read_all(reader)) == (None, [b"next"])


def test_frame_in_pieces_and_one_behind_it_are_read_by_next() -> None:
    """The bytes are copied then, so that all are in one piece."""
    reader = FrameReader(LIMIT)
    for piece in (framed(b"12345678")[:6], b"3", b"45678" + framed(b"next")):
        reader.receive(piece)
    assert reader.pieces() is None
    assert read_all(reader) == [b"12345678", b"next"]


def test_frame_whose_length_is_cut_by_a_segment_is_read() -> None:
    """Its bytes in both segments are put together."""
    reader = FrameReader(100_000)
    stream = framed(bytes(40_000)) + framed(b"next")
    for piece in (stream[:6], stream[6:-6], stream[-6:]):
        reader.receive(piece)
    assert reader.next() is not None
    assert reader.peek() == (framed(b"next"), 0)
    assert read_all(reader) == [b"next"]


def test_who_peeks_sees_a_frame_before_those_in_pieces() -> None:
    """A frame in one piece is given, whatever follows it."""
    reader = FrameReader(100_000)
    first = framed(bytes(40_000))
    stream = first + framed(b"second") + framed(b"third")
    for piece in (stream[:6], stream[6:-6], stream[-6:]):
        reader.receive(piece)
    assert reader.next() is not None
    assert reader.peek() == (stream[6:-6], len(first) - 6)
    assert read_all(reader) == [b"second", b"third"]


def test_frame_that_begins_inside_a_segment_is_not_given_in_pieces() -> None:
    """A large segment ended the frame before it, which was read in the meantime."""
    reader = FrameReader(100_000)
    stream = framed(bytes(20_000)) + framed(b"next")
    for piece in (stream[:6], stream[6:-2], stream[-2:]):
        reader.receive(piece)
    assert reader.next() is not None
    assert reader.unread_bytes == reader.frame_bytes == len(framed(b"next"))
    assert (reader.pieces(), read_all(reader)) == (None, [b"next"])


def test_frame_in_pieces_that_is_too_long_is_not_given() -> None:
    """It is for `next` to refuse it."""
    reader = FrameReader(3)
    for piece in (framed(b"12345678")[:6], b"3", b"45678"):
        reader.receive(piece)
    assert reader.pieces() is None
    with pytest.raises(FrameError, match="8, allowed is 0 to 3"):
        reader.next()


@given(
    st.lists(st.binary(max_size=40), max_size=12),
    st.binary(max_size=3),
    st.lists(st.integers(0, 200), max_size=20),
)
def test_frames_are_read_however_they_arrive(
    bodies: list[bytes], rest: bytes, cuts: list[int]
) -> None:
    """Many frames, in pieces that have nothing to do with them, are the same frames."""
    stream = b"".join(map(framed, bodies)) + rest
    places = [0, *sorted(cuts), len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(places)]
    assert feed(pieces) == (bodies, rest, len(bodies))


@given(
    st.lists(st.binary(max_size=40), max_size=12),
    st.binary(max_size=3),
    st.lists(st.integers(0, 200), max_size=20),
    st.sets(st.integers(0, 20)),
)
def test_frames_are_the_same_however_they_are_read(
    bodies: list[bytes], rest: bytes, cuts: list[int], pauses: set[int]
) -> None:
    """Small and large ones, in pieces or not, at once or after more have arrived."""
    stream = b"".join(map(framed, bodies)) + rest
    places = [0, *sorted(cuts), len(stream)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "_SMALL_BYTES", 4)
        patch.setattr(frames, "_LARGE_BYTES", 16)
        reader = FrameReader(LIMIT)
        found: list[bytes] = []
        for number, (a, b) in enumerate(pairwise(places)):
            reader.receive(stream[a:b])
            if number not in pauses:
                found += read_in_all_ways(reader)
            assert b"".join(map(framed, found)) + reader.unread == stream[:b]
            assert reader.unread_bytes == len(reader.unread)
        found += read_in_all_ways(reader)
    assert (found, reader.unread, reader.frames_received) == (bodies, rest, len(bodies))


def read_in_all_ways(reader: FrameReader) -> list[bytes]:
    """Take the bodies that are complete, as the daemon does."""
    bodies = []
    while True:
        peeked, pieces = reader.peek(), reader.pieces()
        if peeked is not None:
            data, at = peeked
            size = reader.frame_bytes
            if HEAD_SIZE <= size <= len(data) - at:
                bodies.append(data[at + HEAD_SIZE : at + size])
                reader.skip(at + size, 1)
                continue
        elif pieces is not None:
            bodies.append(b"".join(pieces)[HEAD_SIZE:])
            reader.skip_pieces()
            continue
        found = reader.next()
        if found is None:
            return bodies
        data, start, end = found
        bodies.append(data[start:end])


@pytest.mark.parametrize("length", [-1, -(2**31), LIMIT + 1, 2**31 - 1])
def test_length_is_judged_as_soon_as_it_is_there(length: int) -> None:
    """A length out of range is refused at its fourth byte, before any of the body."""
    reader = FrameReader(LIMIT)
    head = struct.pack(">i", length)
    reader.receive(head[:3])
    assert reader.next() is None
    reader.receive(head[3:])
    with pytest.raises(FrameError, match=f"{length}, allowed is 0 to {LIMIT}"):
        reader.next()


@pytest.mark.parametrize("size", [0, 1, LIMIT])
def test_length_may_be_zero_and_the_limit(size: int) -> None:
    """The limit itself is allowed, and so is an empty body."""
    assert feed([framed(bytes(size))]) == ([bytes(size)], b"", 1)


def test_frames_before_a_wrong_length_are_read() -> None:
    """What came whole before the wrong length is not lost with it."""
    reader = FrameReader(LIMIT)
    reader.receive(framed(b"one") + framed(b"two") + b"\xff\xff\xff\xff")
    frames = [reader.next(), reader.next()]
    assert [f and f[0][f[1] : f[2]] for f in frames] == [b"one", b"two"]
    with pytest.raises(FrameError):
        reader.next()


def test_whole_frames_are_not_copied() -> None:
    """Frames that lie whole in a segment are read from that very object."""
    reader = FrameReader(LIMIT)
    segment = framed(b"one") + framed(b"two") + b"\0"
    reader.receive(segment)
    for _ in range(2):
        frame = reader.next()
        assert frame is not None
        assert frame[0] is segment


def test_reader_goes_on_from_unread_bytes() -> None:
    """A second reader that is given the unread bytes goes on where the first was."""
    stream = framed(b"one") + framed(b"two")
    for cut in range(len(stream) + 1):
        first = FrameReader(LIMIT)
        first.receive(stream[:cut])
        bodies = read_all(first)
        second = FrameReader(LIMIT, first.unread)
        second.receive(stream[cut:])
        assert bodies + read_all(second) == [b"one", b"two"]


def test_unread_bytes_and_frame_bytes_say_what_is_there() -> None:
    """Both are right after each byte of a frame with another behind it."""
    stream = framed(b"abc") + framed(b"")
    reader = FrameReader(LIMIT)
    seen = []
    for at in range(len(stream)):
        reader.receive(stream[at : at + 1])
        read_all(reader)
        seen.append((reader.unread_bytes, reader.frame_bytes))
    first = [(1, 4), (2, 4), (3, 4), (4, 7), (5, 7), (6, 7), (0, 0)]
    assert seen == [*first, (1, 4), (2, 4), (3, 4), (0, 0)]


def test_read_frames_are_let_go_with_their_segment() -> None:
    """Once all is read nothing is kept; of a rest, no more than the rest."""
    reader = FrameReader(LIMIT)
    reader.receive(framed(bytes(LIMIT)))
    assert len(read_all(reader)) == 1
    assert kept(reader) == b""
    reader.receive(framed(bytes(LIMIT)) + b"\0")
    assert len(read_all(reader)) == 1
    assert kept(reader) == b"\0"


def test_read_frames_are_let_go_before_unread_ones() -> None:
    """Of frames that wait, never more is kept than twice their bytes."""
    stream = framed(bytes(LIMIT)) + framed(b"x") * 50
    reader = FrameReader(LIMIT)
    reader.receive(stream)
    for _ in range(51):
        assert reader.next() is not None
        reader.drop_read(if_most=True)
        assert len(kept(reader)) <= 2 * reader.unread_bytes
        assert stream.endswith(reader.unread)
    assert reader.next() is None


def test_letting_go_copies_no_more_than_was_received() -> None:
    """Reading frames one by one, each freed at once, costs what their bytes cost."""
    stream = framed(b"12345678") * 1000
    reader = FrameReader(LIMIT)
    reader.receive(stream)
    copied = 0
    for _ in range(1000):
        assert reader.next() is not None
        before = kept(reader)
        reader.drop_read(if_most=True)
        after = kept(reader)
        copied += len(after) if after is not before else 0
    assert copied <= len(stream)


def test_memory_follows_what_has_come() -> None:
    """A head that states the largest length reserves nothing for it."""
    reader = FrameReader(2**31 - 1)
    reader.receive(b"\x7f\xff\xff\xffx")
    assert reader.next() is None
    assert reader.unread_bytes == 5
    assert reader.frame_bytes == HEAD_SIZE + 2**31 - 1
    assert len(kept(reader)) == 5


def test_growing_frame_is_one_buffer() -> None:
    """A frame in pieces grows in place: no piece copies those before it."""
    size, piece = 1_000_000, b"x" * 1_000
    head = struct.pack(">i", size)
    reader = FrameReader(size)
    for at in range(HEAD_SIZE):
        reader.receive(head[at : at + 1])
        assert reader.next() is None
    tracemalloc.start()
    try:
        for _ in range(size // len(piece) - 1):
            reader.receive(piece)
            assert reader.next() is None
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 1.5 * size, "two copies at a time"
    reader.receive(piece)
    assert reader.next() == (head + b"x" * size, HEAD_SIZE, HEAD_SIZE + size)
