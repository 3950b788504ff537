"""A fast codec for the messages that Storm's clients write.

Storm's Java writes the fields of a message in the order of their ids, so a request
always has the same shape: a head of constant bytes, one or two strings with their
lengths, and a tail.  `decode` compares and slices.  For anything else it returns None,
and `pacemaker.wire.messages.decode` decides.  `encode` does the same for the most
frequent replies.

Both always agree with the general `decode` and `encode`: tests compare them.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import chain
from typing import Final

from pacemaker.wire import messages
from pacemaker.wire.frames import HEAD_SIZE
from pacemaker.wire.messages import Message, Pulse

# A value of at least this size is sent from the store without being copied into its
# reply.
LARGE_VALUE_BYTES: Final = 16 * 1024

_I32: Final = struct.Struct(">i")
_unpack_i32: Final = _I32.unpack_from
_pack_i32: Final = _I32.pack

# Field heads: the field's type and its id.
_TYPE: Final = b"\x08\x00\x01"
_DATA: Final = b"\x0c\x00\x02"
_PATH: Final = b"\x0b\x00\x01"
_PULSE: Final = b"\x0c\x00\x02"
_PULSE_ID: Final = b"\x0b\x00\x01"
DETAILS_HEAD: Final = b"\x0b\x00\x02"
# The head of `nodes`, the head of its only field, which is a list, and the type of the
# list's elements.
_NODES: Final = b"\x0c\x00\x05" + b"\x0f\x00\x01" + b"\x0b"
_MESSAGE_ID: Final = b"\x08\x00\x03"
_STOP: Final = b"\x00"

_PULSE_HEAD: Final = _TYPE + _pack_i32(messages.SEND_PULSE) + _DATA + _PULSE + _PULSE_ID
# The bytes between the details of a SEND_PULSE and its message id.
PULSE_TAIL: Final = _STOP + _STOP + _MESSAGE_ID
# Below, a *head* is the constant bytes before a length, a *tail* is the constant bytes
# after a value, and a *trailer* is the last tail with the message id and the message's
# STOP.

# The parts of a SEND_PULSE around its key and its details.
_PULSE_HEAD_AND_LENGTH: Final = struct.Struct(f">{len(_PULSE_HEAD)}si")
_DETAILS_HEAD_AND_LENGTH: Final = struct.Struct(f">{len(DETAILS_HEAD)}si")
_PULSE_TRAILER: Final = struct.Struct(f">{len(PULSE_TAIL)}sib")
_PULSE_HEAD_AND_LENGTH_SIZE: Final = _PULSE_HEAD_AND_LENGTH.size
_DETAILS_HEAD_AND_LENGTH_SIZE: Final = _DETAILS_HEAD_AND_LENGTH.size
_PULSE_TRAILER_SIZE: Final = _PULSE_TRAILER.size
_unpack_pulse_head: Final = _PULSE_HEAD_AND_LENGTH.unpack_from
_unpack_details_head: Final = _DETAILS_HEAD_AND_LENGTH.unpack_from
_unpack_pulse_trailer: Final = _PULSE_TRAILER.unpack_from
# A GET_PULSE_RESPONSE has the same overhead.
PULSE_OVERHEAD_BYTES: Final = (
    _PULSE_HEAD_AND_LENGTH_SIZE + _DETAILS_HEAD_AND_LENGTH_SIZE + _PULSE_TRAILER_SIZE
)

_PATH_HEADS: Final = {
    _TYPE + _pack_i32(kind) + _DATA + _PATH: kind
    for kind in (
        messages.CREATE_PATH,
        messages.EXISTS,
        messages.GET_ALL_PULSE_FOR_PATH,
        messages.GET_ALL_NODES_FOR_PATH,
        messages.GET_PULSE,
        messages.DELETE_PATH,
        messages.DELETE_PULSE_ID,
    )
}
# The bytes between the path of a request and its message id.
PATH_TAIL: Final = _STOP + _MESSAGE_ID
_PATH_HEAD_SIZE: Final = len(next(iter(_PATH_HEADS)))
# After the constant bytes of the tail: the message id and the message's STOP.
_ID_AND_STOP_SIZE: Final = 5

# The constant bytes of a GET_PULSE before the length of its path.
GET_HEAD: Final = _TYPE + _pack_i32(messages.GET_PULSE) + _DATA + _PATH

_MESSAGE_TRAILER_SIZE: Final = len(_MESSAGE_ID) + _ID_AND_STOP_SIZE
_PLAIN_SIZE: Final = len(_TYPE) + 4 + _MESSAGE_TRAILER_SIZE
_PLAIN_HEADS: Final = {
    kind: _pack_i32(_PLAIN_SIZE) + _TYPE + _pack_i32(kind) + _MESSAGE_ID
    for kind in (
        messages.CREATE_PATH_RESPONSE,
        messages.SEND_PULSE_RESPONSE,
        messages.GET_ALL_PULSE_FOR_PATH_RESPONSE,
        messages.DELETE_PATH_RESPONSE,
        messages.DELETE_PULSE_ID_RESPONSE,
        messages.NOT_AUTHORIZED,
    )
}
# A SEND_PULSE_RESPONSE as a frame is this head, the message id and the message's STOP.
PULSE_ACK_HEAD: Final = _PLAIN_HEADS[messages.SEND_PULSE_RESPONSE]
# The constant bytes of a GET_PULSE_RESPONSE before the length of its path.
PULSE_RESPONSE_HEAD: Final = (
    _TYPE + _pack_i32(messages.GET_PULSE_RESPONSE) + _DATA + _PULSE + _PULSE_ID
)
_NODES_RESPONSE_HEAD: Final = (
    _TYPE + _pack_i32(messages.GET_ALL_NODES_FOR_PATH_RESPONSE) + _DATA + _NODES
)
_NODES_TAIL: Final = _STOP + _STOP + _MESSAGE_ID
# The overhead of a list of names, including the number of names.
NODES_OVERHEAD_BYTES: Final = len(_NODES_RESPONSE_HEAD) + 4 + len(_NODES_TAIL) + 5
# The size of a name of one character, with its length field.
SMALLEST_NAME_BYTES: Final = 5


def begins_small_message(first_bytes: bytes, most_bytes: int) -> bool:
    """Return whether a stream begins with a small message, as far as it has arrived.

    Args:
        first_bytes: the first bytes of the stream, or the few that have arrived.
        most_bytes: how many bytes a small message and its frame take at most.
    """
    if len(first_bytes) < HEAD_SIZE:
        return True
    body_bytes: int = _unpack_i32(first_bytes)[0]
    beginning = first_bytes[HEAD_SIZE : HEAD_SIZE + len(_TYPE)]
    is_small = 0 < body_bytes <= most_bytes - HEAD_SIZE
    return is_small and _TYPE.startswith(beginning)


def decode(data: bytes, start: int, end: int) -> Message | None:
    """Read a request if it is written as Storm's clients write it.

    Args:
        data: some bytes of a stream.
        start: the offset at which the body of a frame begins.
        end: the offset at which the body ends.

    Returns:
        The message, or None if the body is not written like that.  It may then be
        another message, or no message at all.
    """
    kind = _PATH_HEADS.get(data[start : start + _PATH_HEAD_SIZE])
    if kind is not None:
        return _decode_path(kind, data, start + _PATH_HEAD_SIZE, end)
    pulse = decode_pulse(data, start, end)
    if pulse is not None:
        key, details, message_id = pulse
        return Message(messages.SEND_PULSE, Pulse(key, details), message_id)
    return None


def decode_pulse(data: bytes, start: int, end: int) -> tuple[str, bytes, int] | None:
    """Read a SEND_PULSE, the message that makes up nearly all of the traffic.

    Args:
        data: as for `decode`; `start` and `end` likewise.

    Returns:
        Its key, its details and its message id, or None as for `decode`.
    """
    # Each length is checked against the remaining bytes before the next field is read.
    if end - start < PULSE_OVERHEAD_BYTES:
        return None
    head, key_bytes = _unpack_pulse_head(data, start)
    key_at = start + _PULSE_HEAD_AND_LENGTH_SIZE
    details_head_at = key_at + key_bytes
    details_at = details_head_at + _DETAILS_HEAD_AND_LENGTH_SIZE
    if head != _PULSE_HEAD or key_bytes < 0 or details_at + _PULSE_TRAILER_SIZE > end:
        return None
    mark, details_bytes = _unpack_details_head(data, details_head_at)
    tail_at = details_at + details_bytes
    if (
        mark != DETAILS_HEAD
        or details_bytes < 0
        or tail_at + _PULSE_TRAILER_SIZE != end
    ):
        return None
    tail, message_id, stop = _unpack_pulse_trailer(data, tail_at)
    if tail != PULSE_TAIL or stop:
        return None
    try:
        key = data[key_at:details_head_at].decode()
    except UnicodeDecodeError:
        return None
    return key, data[details_at:tail_at], message_id


def encode_pulse_head(key: str) -> bytes:
    """Write the body of a SEND_PULSE up to the length field of its details."""
    key_bytes = key.encode()
    return (
        _PULSE_HEAD_AND_LENGTH.pack(_PULSE_HEAD, len(key_bytes))
        + key_bytes
        + DETAILS_HEAD
    )


def _decode_path(kind: int, data: bytes, size_at: int, end: int) -> Message | None:
    if size_at + 4 > end:
        return None
    path_at = size_at + 4
    tail_at = path_at + _unpack_i32(data, size_at)[0]
    id_at = tail_at + 4
    if (
        tail_at < path_at
        or id_at + _ID_AND_STOP_SIZE != end
        or data[tail_at:id_at] != PATH_TAIL
        or data[end - 1]
    ):
        return None
    try:
        path = data[path_at:tail_at].decode()
    except UnicodeDecodeError:
        return None
    return Message(kind, path, _unpack_i32(data, id_at)[0])


def encode(message: Message) -> tuple[bytes, ...] | None:
    """Write a reply without data, or with one pulse, as a frame.

    Returns:
        The chunks of the frame, with its length, or None for any other message.
        The details of a large pulse are a separate chunk and are not copied.
    """
    kind, data, message_id = message
    if message_id is None:
        return None
    id_and_stop = _pack_i32(message_id) + _STOP
    if data is None:
        head = _PLAIN_HEADS.get(kind)
        return None if head is None else (head + id_and_stop,)
    if kind == messages.GET_PULSE_RESPONSE and isinstance(data, Pulse):
        return _encode_pulse(data, id_and_stop)
    return None


def encode_pulse_ack(message_id: int) -> bytes:
    """Write the SEND_PULSE_RESPONSE to a pulse, as a frame."""
    return PULSE_ACK_HEAD + _pack_i32(message_id) + _STOP


def encode_names(names: Sequence[str]) -> bytes:
    """Write some names of a list."""
    data = [name.encode() for name in names]
    sizes = map(_pack_i32, map(len, data))
    return b"".join(chain.from_iterable(zip(sizes, data, strict=True)))


def encode_around_names(
    count: int, size_bytes: int, message_id: int
) -> tuple[bytes, bytes]:
    """Write the parts of a GET_ALL_NODES_FOR_PATH_RESPONSE around its names.

    Args:
        count: how many names there are.
        size_bytes: the size of all names, as `encode_names` writes them.
        message_id: the message id of the reply.

    Returns:
        The beginning of the frame, with its length, and the end of the frame.
    """
    head = _NODES_RESPONSE_HEAD + _pack_i32(count)
    tail = _NODES_TAIL + _pack_i32(message_id) + _STOP
    return _pack_i32(len(head) + size_bytes + len(tail)) + head, tail


def _encode_pulse(pulse: Pulse, id_and_stop: bytes) -> tuple[bytes, ...]:
    key = pulse.id.encode()
    details = pulse.details
    head = PULSE_RESPONSE_HEAD + _pack_i32(len(key)) + key
    tail = PULSE_TAIL + id_and_stop
    if details is None:
        return (_pack_i32(len(head) + len(tail)) + head + tail,)
    head += DETAILS_HEAD + _pack_i32(len(details))
    head = _pack_i32(len(head) + len(details) + len(tail)) + head
    if len(details) < LARGE_VALUE_BYTES:
        return (head + details + tail,)
    return head, details, tail
