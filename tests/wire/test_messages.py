"""Tests of pacemaker.wire.messages."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pacemaker.errors import MalformedError
from pacemaker.wire import messages
from pacemaker.wire.messages import Data, Message, Nodes, Pulse, Records
from tests.golden import GOLDEN
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type, binary, i32, struct_field

texts = st.text(st.characters(codec="utf-8"), max_size=20)
pulses = st.builds(Pulse, texts, st.none() | st.binary(max_size=50))
data_values: st.SearchStrategy[Data] = st.one_of(
    st.none(),
    texts,
    pulses,
    st.booleans(),
    st.builds(Records, st.none() | st.lists(pulses, max_size=5)),
    st.builds(Nodes, st.none() | st.lists(texts, max_size=5)),
    st.binary(max_size=50),
)
any_message = st.builds(
    Message,
    st.sampled_from([kind.value for kind in Type]),
    data_values,
    st.none() | st.integers(-(2**31), 2**31 - 1),
)


@pytest.mark.parametrize("name", GOLDEN)
def test_message_is_read_from_storms_bytes(name: str) -> None:
    """What Storm wrote is read as what it meant."""
    message, frame = GOLDEN[name]
    assert messages.decode(frame[4:]) == message


@pytest.mark.parametrize("name", GOLDEN)
def test_message_is_written_as_storms_bytes(name: str) -> None:
    """What we write are the very bytes that Storm writes."""
    message, frame = GOLDEN[name]
    assert messages.encode(message) == frame


@given(any_message, st.binary(max_size=10))
@example(Message(Type.GET_ALL_PULSE_FOR_PATH_RESPONSE, Records(None), 1), b"")
@example(Message(Type.SEND_PULSE, Records([Pulse("/a", b"b")]), 1), b"")
def test_message_is_read_as_it_was_written(message: Message, behind: bytes) -> None:
    """Any message comes back from its bytes, whatever follows them in the frame."""
    frame = messages.encode(message)
    assert frame[:4] == struct.pack(">i", len(frame) - 4)
    assert messages.decode(frame[4:] + behind) == message


@pytest.mark.parametrize("size", [0, 4095, 4096, 4097, 1_000_000])
def test_message_of_any_size_is_written(size: int) -> None:
    """No buffer of the writer's has an edge that shows."""
    message = Message(messages.GET_PULSE_RESPONSE, Pulse("k" * size, bytes(size)), 3)
    expected = wire.pulse_reply("k" * size, bytes(size), 3)
    assert messages.encode(message) == expected
    assert messages.decode(expected[4:]) == message


def test_long_list_is_written() -> None:
    """A list of every worker of a large cluster is written and read."""
    names = [f"topology-{number}-1-1700000000" for number in range(9_000)]
    message = Message(messages.GET_ALL_NODES_FOR_PATH_RESPONSE, Nodes(names), 1)
    assert messages.decode(messages.encode(message)[4:], max_values=10_000) == message


@pytest.mark.parametrize("name", GOLDEN)
def test_cut_message_is_refused(name: str) -> None:
    """A body that ends anywhere before its STOP is malformed."""
    _, frame = GOLDEN[name]
    for end in range(4, len(frame) - 1):
        with pytest.raises(MalformedError):
            messages.decode(frame[4:end])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\0", "without a type"),
        (struct_field(2, binary(1, "/a")) + i32(3, 1) + b"\0", "without a type"),
        (i32(1, 19) + b"\0", "unknown message type: 19, allowed is 0 to 18"),
        (i32(1, -1) + b"\0", "unknown message type: -1"),
        (i32(1, 2**31 - 1) + b"\0", "unknown message type: 2147483647"),
    ],
)
def test_type_is_missing_or_unknown(body: bytes, reason: str) -> None:
    """Without a type of the enum it is no message."""
    with pytest.raises(MalformedError, match=reason):
        messages.decode(body)


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [struct_field(2, binary(9, "unknown"))],
        [struct_field(2, binary(6, "there is no 6"))],
        [struct_field(2, i32(1, 7))],
    ],
    ids=["absent", "unknown field", "field 6", "field of another type"],
)
def test_data_without_a_known_value_is_none(fields: Sequence[bytes]) -> None:
    """A union is None where it is absent, and where its one field is skipped."""
    body = i32(1, Type.EXISTS) + b"".join(fields) + i32(3, 8) + b"\0"
    assert messages.decode(body) == Message(messages.EXISTS, None, 8)


def test_every_type_has_a_name() -> None:
    """The log can call each type by the IDL's name."""
    assert [messages.name_of(kind) for kind in range(19)] == [k.name for k in Type]


def test_constants_are_the_idls_numbers() -> None:
    """Each constant of the module has Storm's number."""
    constants = {kind.name: getattr(messages, kind.name) for kind in Type}
    assert constants == {kind.name: kind.value for kind in Type}


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (Message(messages.EXISTS, "/a\n", 1), "EXISTS id=1 path='/a\\n'"),
        (
            Message(messages.SEND_PULSE, messages.Pulse("/a", b"secret"), 2),
            "SEND_PULSE id=2 path='/a' size_bytes=6",
        ),
        (
            Message(messages.GET_PULSE_RESPONSE, messages.Pulse("/a", None), 3),
            "GET_PULSE_RESPONSE id=3 path='/a' size_bytes=none",
        ),
        (Message(messages.EXISTS_RESPONSE, True, 4), "EXISTS_RESPONSE id=4 value=True"),
        (
            Message(messages.GET_ALL_NODES_FOR_PATH_RESPONSE, messages.Nodes(["a"]), 5),
            "GET_ALL_NODES_FOR_PATH_RESPONSE id=5 names=1",
        ),
        (
            Message(messages.SASL_MESSAGE_TOKEN, b"secret"),
            "SASL_MESSAGE_TOKEN id=None size_bytes=6",
        ),
        (Message(messages.NOT_AUTHORIZED, None, 6), "NOT_AUTHORIZED id=6"),
    ],
)
def test_message_is_described_without_its_bytes(message: Message, line: str) -> None:
    """A line for the log names the path and the sizes, and shows no value."""
    assert messages.describe(message) == line


def test_long_path_is_cut_in_the_log() -> None:
    """A peer cannot fill the log with one path."""
    assert messages.quoted("x" * 201) == f"'{'x' * 200}'... (201 characters)"
    assert messages.quoted("x" * 200) == f"'{'x' * 200}'"
