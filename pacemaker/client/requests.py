"""The requests that a client can send, and how to read the reply to each.

A request is checked and encoded when it is created, on the caller's thread, so that a
path that cannot be sent fails for that caller only.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from pacemaker.errors import OutOfPlaceError
from pacemaker.wire import messages
from pacemaker.wire.frames import HEAD_SIZE
from pacemaker.wire.messages import Data, Message, Nodes, Pulse

T_co = TypeVar("T_co", covariant=True)

# The end of an encoded message: its id, which is the last field, and STOP.
_ID_AND_STOP: Final = struct.Struct(">ib")

MAX_MESSAGE_ID: Final = 2**31 - 1


@dataclass(frozen=True)
class Request(Generic[T_co]):
    """One request, ready to be sent under any message id.

    Attributes:
        type: its message type.
        reply_type: the expected type of the reply.
        read: turns the reply's data into the answer; raises OutOfPlaceError for
            data of another kind.
        data: the path, or the heartbeat with its path.
        may_be_held: whether a server that has just started may delay the reply until
            it knows the answer.

    Raises:
        ValueError: the path is not valid Unicode.
    """

    type: int
    reply_type: int
    read: Callable[[Data], T_co]
    data: str | Pulse
    may_be_held: bool = False
    _encoded: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        path = self.data.id if isinstance(self.data, Pulse) else self.data
        path.encode()  # Thrift's encoder would raise another error
        encoded = messages.encode(Message(self.type, self.data, 0))
        object.__setattr__(self, "_encoded", encoded[: -_ID_AND_STOP.size])

    @property
    def name(self) -> str:
        """The name of its type in Storm's IDL."""
        return messages.name_of(self.type)

    @property
    def body_bytes(self) -> int:
        """The size of its frame without the length field."""
        return len(self._encoded) + _ID_AND_STOP.size - HEAD_SIZE

    def frame(self, message_id: int) -> bytes:
        """Return the frame that carries it under a message id."""
        return self._encoded + _ID_AND_STOP.pack(message_id, 0)


def send_pulse(path: str, details: bytes) -> Request[None]:
    """Store a heartbeat."""
    pulse = Pulse(path, details)
    return _done(messages.SEND_PULSE, messages.SEND_PULSE_RESPONSE, pulse)


def get_pulse(path: str) -> Request[bytes | None]:
    """Read a heartbeat; None if none is stored."""

    def read(data: Data) -> bytes | None:
        if not isinstance(data, Pulse) or data.id != path:
            raise OutOfPlaceError("reply without a pulse, or with another path's")
        return data.details

    reply_type = messages.GET_PULSE_RESPONSE
    return Request(messages.GET_PULSE, reply_type, read, path, may_be_held=True)


def exists(path: str) -> Request[bool]:
    """Return whether a heartbeat is stored under exactly this path."""
    return Request(messages.EXISTS, messages.EXISTS_RESPONSE, _read_bool, path)


def list_nodes(path: str) -> Request[list[str]]:
    """List the names below a path, in any order."""
    reply_type = messages.GET_ALL_NODES_FOR_PATH_RESPONSE
    return Request(messages.GET_ALL_NODES_FOR_PATH, reply_type, _read_nodes, path)


def delete_path(path: str) -> Request[None]:
    """Delete a heartbeat and everything below its path."""
    return _done(messages.DELETE_PATH, messages.DELETE_PATH_RESPONSE, path)


def delete_pulse(path: str) -> Request[None]:
    """Delete the heartbeat under exactly this path."""
    return _done(messages.DELETE_PULSE_ID, messages.DELETE_PULSE_ID_RESPONSE, path)


def create_path(path: str) -> Request[None]:
    """Ask for an acknowledgement; nothing is stored."""
    return _done(messages.CREATE_PATH, messages.CREATE_PATH_RESPONSE, path)


def _done(request_type: int, reply_type: int, data: str | Pulse) -> Request[None]:
    return Request(request_type, reply_type, _read_nothing, data)


def _read_nothing(data: Data) -> None:
    """Ignore the data: Storm's acknowledgements have none."""


def _read_bool(data: Data) -> bool:
    if not isinstance(data, bool):
        raise OutOfPlaceError("reply without a boolean")
    return data


def _read_nodes(data: Data) -> list[str]:
    if not isinstance(data, Nodes):
        raise OutOfPlaceError("reply without a list of nodes")
    return data.pulse_ids or []
