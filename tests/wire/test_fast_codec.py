"""Tests of pacemaker.wire.fast_codec, most of them against pacemaker.wire.messages."""

from __future__ import annotations

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pacemaker.errors import MalformedError
from pacemaker.wire import fast_codec, messages
from pacemaker.wire.messages import Message, Pulse
from tests.golden import FAST_REPLIES, FAST_REQUESTS, GOLDEN
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type
from tests.wire.test_messages import any_message

PATH_REQUESTS = (
    *(Type.CREATE_PATH, Type.EXISTS, Type.GET_ALL_PULSE_FOR_PATH, Type.GET_PULSE),
    *(Type.GET_ALL_NODES_FOR_PATH, Type.DELETE_PATH, Type.DELETE_PULSE_ID),
)
ids = st.integers(-(2**31), 2**31 - 1)
texts = st.text(st.characters(codec="utf-8"), max_size=12)
storm_bodies = st.one_of(
    st.builds(wire.path_request, st.sampled_from(PATH_REQUESTS), texts, ids),
    st.builds(wire.send_pulse, texts, st.binary(max_size=12), ids),
).map(lambda frame: frame[4:])


@st.composite
def altered_bodies(draw: st.DrawFn) -> bytes:
    """Take a body as Storm writes it and do it harm: a byte, a piece, or a length."""
    body = bytearray(draw(storm_bodies))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(body)))
        match draw(st.sampled_from(("set", "insert", "delete", "length"))):
            case "set":
                body[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case "insert":
                body[at:at] = draw(st.binary(min_size=1, max_size=8))
            case "delete":
                del body[at : at + draw(st.integers(1, 8))]
            case _:
                number = draw(st.integers(-9, 40) | ids)
                body[at : at + 4] = struct.pack(">i", number)
    return bytes(body)


def read(body: bytes, before: bytes = b"", behind: bytes = b"") -> Message | None:
    """Read a body that lies among other bytes."""
    return fast_codec.decode(
        before + body + behind, len(before), len(before) + len(body)
    )


def assert_agrees(body: bytes, behind: bytes = b"") -> None:
    """Check that what the short way reads is what the general way reads."""
    message = read(body, b"before", behind)
    if message is not None:
        assert messages.decode(body) == message


@pytest.mark.parametrize("name", GOLDEN)
def test_read_knows_storms_requests(name: str) -> None:
    """The requests of Storm's clients take the short way, nothing else does."""
    message, frame = GOLDEN[name]
    expected = message if name in FAST_REQUESTS else None
    assert read(frame[4:]) == expected


@pytest.mark.parametrize("name", GOLDEN)
def test_write_knows_the_usual_replies(name: str) -> None:
    """The replies that are sent all the time are Storm's bytes, others are None."""
    message, frame = GOLDEN[name]
    expected = (frame,) if name in FAST_REPLIES else None
    assert fast_codec.encode(message) == expected


@pytest.mark.parametrize("type_", PATH_REQUESTS)
@pytest.mark.parametrize("path", ["", "/", "/a/é/名/😀", "/" * 300])
def test_read_knows_every_path_request(type_: Type, path: str) -> None:
    """Each request with a path has a short way, whatever the path."""
    frame = wire.path_request(type_, path, 7)
    assert read(frame[4:]) == Message(type_, path, 7)


@given(storm_bodies, st.binary(max_size=8), st.binary(max_size=8))
def test_all_that_storm_writes_is_decoded(
    body: bytes, before: bytes, behind: bytes
) -> None:
    """A request as Storm writes it is decoded, wherever it lies, as in general."""
    assert read(body, before, behind) == messages.decode(body)


@given(altered_bodies(), st.binary(max_size=8))
@example(b"", b"")
@example(wire.path_request(10, "/a", 7)[4:19], b"")
def test_read_agrees_with_decode_on_altered_bodies(body: bytes, behind: bytes) -> None:
    """Nothing that is almost like that is decoded as anything but what it is."""
    assert_agrees(body, behind)


@given(storm_bodies, st.data())
def test_read_looks_at_no_byte_behind_the_end(body: bytes, data: st.DataObject) -> None:
    """A body that is cut is not completed from the bytes of the next frame."""
    cut = data.draw(st.integers(0, len(body) - 1))
    assert read(body[:cut], b"", body[cut:]) is None


def test_read_agrees_with_decode_on_every_single_byte() -> None:
    """Each byte of a request, set to each value, is judged alike by both."""
    for frame in (wire.send_pulse("/é", b"xy", 5), wire.path_request(10, "/é", 7)):
        for at in range(4, len(frame)):
            for value in range(256):
                assert_agrees(frame[4:at] + bytes([value]) + frame[at + 1 :])


@pytest.mark.parametrize("length", [-(2**31), -100, -1, 2**31 - 1, 2**31 - 8])
def test_read_survives_hostile_lengths(length: int) -> None:
    """A length that is negative or beyond the frame is left to the general way."""
    raw = struct.pack(">i", length)
    pulse, path = wire.send_pulse("/a", b"xy", 5), wire.path_request(10, "/a", 7)
    for frame, at in ((pulse, 20), (pulse, 29), (path, 17)):
        assert struct.unpack_from(">i", frame, at)[0] == 2
        body = frame[4:at] + raw + frame[at + 4 :]
        assert read(body, b"x" * 200, b"y" * 200) is None
        with pytest.raises(MalformedError):
            messages.decode(body)


@given(any_message)
def test_write_agrees_with_encode(message: Message) -> None:
    """What the short way writes are the bytes of the general way."""
    chunks = fast_codec.encode(message)
    if chunks is not None:
        assert b"".join(chunks) == messages.encode(message)


@pytest.mark.parametrize(
    "size", [fast_codec.LARGE_VALUE_BYTES - 1, fast_codec.LARGE_VALUE_BYTES]
)
def test_write_does_not_copy_large_details(size: int) -> None:
    """Large details are sent from where they are stored; the bytes are the same."""
    details = bytes(size)
    message = Message(messages.GET_PULSE_RESPONSE, Pulse("/a", details), 1)
    chunks = fast_codec.encode(message)
    assert chunks is not None
    assert any(chunk is details for chunk in chunks) == (
        size >= fast_codec.LARGE_VALUE_BYTES
    )
    assert b"".join(chunks) == messages.encode(message)


def test_write_has_the_size_that_dispatch_counts_with() -> None:
    """Around the key and the details of a reply there are just 37 bytes."""
    assert fast_codec.PULSE_OVERHEAD_BYTES == 37
    chunks = fast_codec.encode(
        Message(messages.GET_PULSE_RESPONSE, Pulse("/é", b"xy"), 1)
    )
    assert chunks is not None
    assert len(b"".join(chunks)) - 4 == 37 + 3 + 2


def test_small_message_is_recognized_however_little_of_it_has_arrived() -> None:
    """It may come in several segments."""
    frame = wire.send_pulse("/workerbeats/a/b", b"x" * 100)
    most_bytes = len(frame)
    for size in range(most_bytes + 1):
        assert fast_codec.begins_small_message(frame[:size], most_bytes), size
        assert size < 4 or not fast_codec.begins_small_message(
            frame[:size], most_bytes - 1
        ), size


@pytest.mark.parametrize(
    "first_bytes",
    [
        wire.framed(b"\xde\xad\xbe\xef" * 25),
        bytes(5),
        b"\xff\xff\xff\xff",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
    ids=["garbage", "empty frame", "negative", "HTTP"],
)
def test_what_no_worker_sends_is_not_taken_for_a_small_message(
    first_bytes: bytes,
) -> None:
    """A message begins with its type."""
    assert not fast_codec.begins_small_message(first_bytes, 1000)
