"""Frames, assembled by hand.

The daemon's own codec is deliberately not used.  A mistake in it would cancel out, and
it would refuse to write most of what the attackers send.
"""

from __future__ import annotations

import struct
from typing import Final

SEND_PULSE: Final = 4
SEND_PULSE_RESPONSE: Final = 5
ALL_PULSES_RESPONSE: Final = 7
LIST_NODES: Final = 8
LIST_NODES_RESPONSE: Final = 9
GET_PULSE: Final = 10
GET_PULSE_RESPONSE: Final = 11
DELETE_PATH: Final = 12
DELETE_PATH_RESPONSE: Final = 13
SASL_TOKEN: Final = 17

MAX_BODY_BYTES: Final = 10 * 1024 * 1024
"""The default of pacemaker.thrift.message.size.max."""

STOP: Final = b"\0"
I8: Final = 3
I32: Final = 8
BINARY: Final = 11
STRUCT: Final = 12
MAP: Final = 13
LIST: Final = 15

# The first frame of a SASL client: a control message that asks for a token.
TOKEN_REQUEST: Final = bytes.fromhex(
    "00000015080001000000100c00020b000700000002ff360000"
)

_TOKEN_HEAD: Final = struct.Struct(">hi")
_TOKEN_CODE: Final = -500


def framed(body: bytes) -> bytes:
    """Return a body preceded by its length."""
    return struct.pack(">i", len(body)) + body


def field(kind: int, number: int, content: bytes) -> bytes:
    """Encode a field of a struct."""
    return struct.pack(">bh", kind, number) + content


def binary(content: bytes) -> bytes:
    """Encode the content of a string or binary field."""
    return struct.pack(">i", len(content)) + content


def message(kind: int, data: bytes = b"", message_id: int | None = None) -> bytes:
    """Return a whole frame.

    Args:
        kind: the HBServerMessageType.
        data: the fields of the HBMessageData; empty for no data.
        message_id: the message id; None for no id.
    """
    body = field(I32, 1, struct.pack(">i", kind))
    if data:
        body += field(STRUCT, 2, data + STOP)
    if message_id is not None:
        body += field(I32, 3, struct.pack(">i", message_id))
    return framed(body + STOP)


def path_request(kind: int, path: bytes, message_id: int) -> bytes:
    """Return a request that has a path."""
    return message(kind, field(BINARY, 1, binary(path)), message_id)


def pulse(key: bytes, details: bytes, message_id: int) -> bytes:
    """Return a SEND_PULSE."""
    return message(SEND_PULSE, _pulse_data(key, details), message_id)


def get_pulse_reply(key: bytes, details: bytes | None, message_id: int) -> bytes:
    """Return the reply to a GET_PULSE; if `details` is None, it is a miss."""
    return message(GET_PULSE_RESPONSE, _pulse_data(key, details), message_id)


def sasl_token(token: bytes) -> bytes:
    """Return a SASL_MESSAGE_TOKEN."""
    blob = _TOKEN_HEAD.pack(_TOKEN_CODE, len(token)) + token
    return message(SASL_TOKEN, field(BINARY, 7, binary(blob)))


def list_field(number: int, element: int, count: int, elements: bytes) -> bytes:
    """Return a field that is a list."""
    return field(LIST, number, struct.pack(">bi", element, count) + elements)


def read_kind(frame: bytes) -> int:
    """Return the type of a reply; -1 if the frame is no message."""
    if len(frame) < 11 or frame[4:7] != b"\x08\0\1":
        return -1
    return int(struct.unpack_from(">i", frame, 7)[0])


def read_id(frame: bytes) -> int:
    """Return the message id of a reply, which is its last field."""
    return int(struct.unpack_from(">i", frame, len(frame) - 5)[0])


def _pulse_data(key: bytes, details: bytes | None) -> bytes:
    inner = field(BINARY, 1, binary(key))
    if details is not None:
        inner += field(BINARY, 2, binary(details))
    return field(STRUCT, 2, inner + STOP)
