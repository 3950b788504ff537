"""The contents of the blob of a control message or a SASL token.

The blob of a control message is one i16, its code.  The blob of a token is the i16
-500, an i32 and that many bytes.  (Storm's ``ControlMessage`` and
``SaslMessageToken``.)
"""

from __future__ import annotations

import struct
from typing import Final

from pacemaker.errors import LimitError, MalformedError
from pacemaker.wire import messages
from pacemaker.wire.messages import Message

# The only two codes that Pacemaker and its clients send each other.
SASL_TOKEN_MESSAGE_REQUEST: Final = -202
SASL_COMPLETE_REQUEST: Final = -203

# A Kerberos token may carry its user's groups; this is the largest size that Windows
# allows (MaxTokenSize).  The limit is needed because a token may wait for its SASL
# step, and no budget counts it while it waits.
MAX_TOKEN_BYTES: Final = 64 * 1024

_SASL_TOKEN: Final = -500
_CODE: Final = struct.Struct(">h")
_TOKEN_HEAD: Final = struct.Struct(">hi")


def control_message(code: int) -> Message:
    """Return the message that carries one code; it has no message id."""
    return Message(messages.CONTROL_MESSAGE, _CODE.pack(code))


def token_message(token: bytes) -> Message:
    """Return the message that carries a SASL token; it has no message id."""
    blob = _TOKEN_HEAD.pack(_SASL_TOKEN, len(token)) + token
    return Message(messages.SASL_MESSAGE_TOKEN, blob)


def read_code(message: Message) -> int:
    """Return the code of a control message.

    Raises:
        MalformedError: the message has no blob, or no code in it.
    """
    blob = _blob_of(message, _CODE.size)
    code: int = _CODE.unpack_from(blob)[0]
    return code


def read_token(message: Message) -> bytes:
    """Return the token of a SASL message.

    Raises:
        MalformedError: the message has no blob, or no token in it.
        LimitError: the token is larger than `MAX_TOKEN_BYTES`.
    """
    blob = _blob_of(message, _TOKEN_HEAD.size)
    code, size_bytes = _TOKEN_HEAD.unpack_from(blob)
    token = blob[_TOKEN_HEAD.size :]
    if code != _SASL_TOKEN:
        raise MalformedError(
            "SASL token with the wrong code", f"{code}, expected {_SASL_TOKEN}"
        )
    if not 0 <= size_bytes <= len(token):
        raise MalformedError(
            "SASL token does not fit in its blob",
            f"{size_bytes} bytes, allowed is 0 to {len(token)}",
        )
    if size_bytes > MAX_TOKEN_BYTES:
        raise LimitError(
            "SASL token too large", f"{size_bytes} bytes, allowed is {MAX_TOKEN_BYTES}"
        )
    return token[:size_bytes]


def _blob_of(message: Message, least_bytes: int) -> bytes:
    blob = message.data
    name = messages.name_of(message.type)
    if not isinstance(blob, bytes):
        raise MalformedError("message without its message_blob", name)
    if len(blob) < least_bytes:
        raise MalformedError(
            "message_blob too short",
            f"{name} with {len(blob)} bytes, at least {least_bytes} are expected",
        )
    return blob
