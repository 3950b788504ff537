"""Tests of pacemaker.wire.control."""

from __future__ import annotations

import pytest

from pacemaker.errors import LimitError, MalformedError
from pacemaker.wire import control, messages
from pacemaker.wire.messages import Data, Message, Nodes, Pulse
from tests.golden import GOLDEN


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "control: token request",
            control.control_message(control.SASL_TOKEN_MESSAGE_REQUEST),
        ),
        (
            "control: SASL complete",
            control.control_message(control.SASL_COMPLETE_REQUEST),
        ),
        ("SASL token", control.token_message(b"abc")),
    ],
)
def test_control_writes_storms_bytes(name: str, message: Message) -> None:
    """Codes and tokens lie in the blob as Storm lays them, without a message id."""
    expected, frame = GOLDEN[name]
    assert message == expected
    assert messages.encode(message) == frame


@pytest.mark.parametrize("code", [-100, -201, -200, -400, -202, -203, 0, 32767, -32768])
def test_code_is_read_back(code: int) -> None:
    """Whatever the code, it is read as it was written."""
    assert control.read_code(control.control_message(code)) == code


@pytest.mark.parametrize(
    "token", [b"", b"abc", bytes(control.MAX_TOKEN_BYTES)], ids=len
)
def test_token_is_read_back(token: bytes) -> None:
    """A token of any size up to the limit is read as it was written."""
    assert control.read_token(control.token_message(token)) == token


def test_bytes_behind_code_and_token_are_ignored() -> None:
    """What follows in the blob is of no interest, as in Storm."""
    assert control.read_code(Message(messages.CONTROL_MESSAGE, b"\xff\x36more")) == -202
    blob = b"\xfe\x0c\0\0\0\x03abcdef"
    assert control.read_token(Message(messages.SASL_MESSAGE_TOKEN, blob)) == b"abc"


def test_token_above_the_limit_is_refused() -> None:
    """A token that is larger than any of SASL's is not kept for its step."""
    message = control.token_message(bytes(control.MAX_TOKEN_BYTES + 1))
    with pytest.raises(LimitError, match="too large"):
        control.read_token(message)


OTHER_DATA: list[Data] = [
    None,
    "",
    "path",
    True,
    Pulse("/a", b"x"),
    Nodes([]),
    b"",
    b"x",
]


@pytest.mark.parametrize("data", OTHER_DATA, ids=repr)
def test_code_needs_its_blob(data: Data) -> None:
    """A control message with other data, or too little, is malformed."""
    with pytest.raises(MalformedError):
        control.read_code(Message(messages.CONTROL_MESSAGE, data))


@pytest.mark.parametrize(
    "data",
    [
        *OTHER_DATA,
        b"\xfe\x0c\0\0\0",
        b"\xfe\x0c\0\0\0\x04abc",
        b"\xfe\x0c\x7f\xff\xff\xffabc",
        b"\xfe\x0c\xff\xff\xff\xffabc",
        b"\xff\x36\0\0\0\x03abc",
    ],
)
def test_token_needs_its_blob(data: Data) -> None:
    """A token with another code or a length that is not there is malformed."""
    with pytest.raises(MalformedError):
        control.read_token(Message(messages.SASL_MESSAGE_TOKEN, data))
