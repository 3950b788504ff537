"""Messages: the values that the protocol, dispatch and the clients exchange.

A `Message` is an ``HBMessage`` of Storm's IDL.  The union of its data becomes a Python
value whose type tells the field: str is ``path``, `Pulse` is ``pulse``, bool is
``boolval``, `Records` is ``records``, `Nodes` is ``nodes``, and bytes is
``message_blob``.

`decode` is the checked reader of all messages, and `encode` is their writer.
`pacemaker.wire.fast_codec` is a fast path for the most frequent ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

from thriftpy2.protocol.cybin import TCyBinaryProtocol
from thriftpy2.transport import TMemoryBuffer

from pacemaker.errors import MalformedError
from pacemaker.wire import binary, idl

_IDL: Final = idl.load("pacemaker.thrift")
_UNIONS: Final = idl.unions(_IDL)
_TYPES: Final = _IDL.HBServerMessageType
_NAMES: Final[dict[int, str]] = _TYPES._VALUES_TO_NAMES

CREATE_PATH: Final[int] = _TYPES.CREATE_PATH
CREATE_PATH_RESPONSE: Final[int] = _TYPES.CREATE_PATH_RESPONSE
EXISTS: Final[int] = _TYPES.EXISTS
EXISTS_RESPONSE: Final[int] = _TYPES.EXISTS_RESPONSE
SEND_PULSE: Final[int] = _TYPES.SEND_PULSE
SEND_PULSE_RESPONSE: Final[int] = _TYPES.SEND_PULSE_RESPONSE
GET_ALL_PULSE_FOR_PATH: Final[int] = _TYPES.GET_ALL_PULSE_FOR_PATH
GET_ALL_PULSE_FOR_PATH_RESPONSE: Final[int] = _TYPES.GET_ALL_PULSE_FOR_PATH_RESPONSE
GET_ALL_NODES_FOR_PATH: Final[int] = _TYPES.GET_ALL_NODES_FOR_PATH
GET_ALL_NODES_FOR_PATH_RESPONSE: Final[int] = _TYPES.GET_ALL_NODES_FOR_PATH_RESPONSE
GET_PULSE: Final[int] = _TYPES.GET_PULSE
GET_PULSE_RESPONSE: Final[int] = _TYPES.GET_PULSE_RESPONSE
DELETE_PATH: Final[int] = _TYPES.DELETE_PATH
DELETE_PATH_RESPONSE: Final[int] = _TYPES.DELETE_PATH_RESPONSE
DELETE_PULSE_ID: Final[int] = _TYPES.DELETE_PULSE_ID
DELETE_PULSE_ID_RESPONSE: Final[int] = _TYPES.DELETE_PULSE_ID_RESPONSE
CONTROL_MESSAGE: Final[int] = _TYPES.CONTROL_MESSAGE
SASL_MESSAGE_TOKEN: Final[int] = _TYPES.SASL_MESSAGE_TOKEN
NOT_AUTHORIZED: Final[int] = _TYPES.NOT_AUTHORIZED

# The message id of a reply to a request without an id: Storm's default of the field.
NO_MESSAGE_ID: Final = -1


# How many characters of a path the log shows.
_SHOWN_CHARACTERS: Final = 200


class Pulse(NamedTuple):
    """One heartbeat: its key, and its bytes, or None if nothing is stored there."""

    id: str
    details: bytes | None


class Records(NamedTuple):
    """The pulses of a GET_ALL_PULSE_FOR_PATH_RESPONSE, which Storm never sends."""

    pulses: list[Pulse] | None


class Nodes(NamedTuple):
    """The names in a GET_ALL_NODES_FOR_PATH_RESPONSE, in any order."""

    pulse_ids: list[str] | None


Data: TypeAlias = str | Pulse | bool | Records | Nodes | bytes | None


class Message(NamedTuple):
    """One HBMessage.

    Attributes:
        type: one of this module's constants.
        data: the value of the union, or None if it is absent.
        message_id: an i32, or None if it is absent.
    """

    type: int
    data: Data = None
    message_id: int | None = None


def name_of(message_type: int) -> str:
    """Return the IDL's name of a message type."""
    return _NAMES[message_type]


def quoted(path: str) -> str:
    """Return a path as the log shows it: escaped, and cut if it is long."""
    if len(path) > _SHOWN_CHARACTERS:
        return f"{path[:_SHOWN_CHARACTERS]!a}... ({len(path)} characters)"
    return ascii(path)


def describe(message: Message) -> str:
    """Return a message as one line for the log.

    Sizes stand in for bytes, so neither a heartbeat nor a SASL token is ever logged.
    """
    return f"{name_of(message.type)} id={message.message_id}{_about(message.data)}"


def _about(data: Data) -> str:
    if isinstance(data, str):
        return f" path={quoted(data)}"
    if isinstance(data, Pulse):
        size = "none" if data.details is None else len(data.details)
        return f" path={quoted(data.id)} size_bytes={size}"
    if isinstance(data, bool):
        return f" value={data}"
    if isinstance(data, Nodes):
        return f" names={len(data.pulse_ids or ())}"
    if isinstance(data, bytes):
        return f" size_bytes={len(data)}"
    return ""


def decode(body: bytes, max_values: int = binary.MAX_VALUES) -> Message:
    """Read one message from the body of a frame.

    Args:
        body: one HBMessage in TBinaryProtocol; bytes after it are ignored.
        max_values: the most fields and elements that it may have.

    Raises:
        MalformedError: the bytes are not an HBMessage, or its type is missing or
            unknown.
    """
    struct = binary.read_struct(body, _IDL.HBMessage, _UNIONS, max_values)
    if struct.type is None:
        raise MalformedError("message without a type")
    if struct.type not in _NAMES:
        raise MalformedError(
            "unknown message type",
            f"{struct.type}, allowed is {min(_NAMES)} to {max(_NAMES)}",
        )
    return Message(struct.type, _data_of(struct.data), struct.message_id)


def encode(message: Message) -> bytes:
    """Write one message as Storm's Java writes it.

    Returns:
        The frame, including its length.
    """
    transport = TMemoryBuffer()
    _struct_of(message).write(TCyBinaryProtocol(transport))
    body: bytes = transport.getvalue()
    return len(body).to_bytes(4, "big") + body


def _data_of(union: Any) -> Data:
    """Return the value of the union; None if it is absent or has no known field."""
    if union is None:
        return None
    for name, to_value in _TO_VALUE.items():
        field = getattr(union, name)
        if field is not None:
            value: Data = to_value(field)
            return value
    return None


def _pulse_of(struct: Any) -> Pulse:
    return Pulse(struct.id, struct.details)


def _records_of(struct: Any) -> Records:
    if struct.pulses is None:
        return Records(None)
    return Records([_pulse_of(pulse) for pulse in struct.pulses])


def _same(value: Any) -> Any:
    return value


_TO_VALUE: Final[dict[str, Callable[[Any], Any]]] = {
    "path": _same,
    "pulse": _pulse_of,
    "boolval": _same,
    "records": _records_of,
    "nodes": lambda struct: Nodes(struct.pulseIds),
    "message_blob": _same,
}


def _pulse_struct(pulse: Pulse) -> Any:
    return _IDL.HBPulse(id=pulse.id, details=pulse.details)


def _records_struct(records: Records) -> Any:
    pulses = records.pulses
    return _IDL.HBRecords(
        pulses=None if pulses is None else [_pulse_struct(pulse) for pulse in pulses]
    )


_TO_FIELD: Final[dict[type, tuple[str, Callable[[Any], Any]]]] = {
    str: ("path", _same),
    Pulse: ("pulse", _pulse_struct),
    bool: ("boolval", _same),
    Records: ("records", _records_struct),
    Nodes: ("nodes", lambda nodes: _IDL.HBNodes(pulseIds=nodes.pulse_ids)),
    bytes: ("message_blob", _same),
}


def _struct_of(message: Message) -> Any:
    data = None
    if message.data is not None:
        name, to_struct = _TO_FIELD[type(message.data)]
        data = _IDL.HBMessageData(**{name: to_struct(message.data)})
    return _IDL.HBMessage(type=message.type, data=data, message_id=message.message_id)
