"""Pacemaker's protocol in bytes, for tests that must not trust the package.

Requests are built from their layout, not by the package's codec, and replies
are compared as bytes.  `Wire` is a client of nothing but a socket.
"""

from __future__ import annotations

import socket
import struct
from enum import IntEnum
from types import TracebackType


class Type(IntEnum):
    """The numbers of HBServerMessageType."""

    CREATE_PATH = 0
    CREATE_PATH_RESPONSE = 1
    EXISTS = 2
    EXISTS_RESPONSE = 3
    SEND_PULSE = 4
    SEND_PULSE_RESPONSE = 5
    GET_ALL_PULSE_FOR_PATH = 6
    GET_ALL_PULSE_FOR_PATH_RESPONSE = 7
    GET_ALL_NODES_FOR_PATH = 8
    GET_ALL_NODES_FOR_PATH_RESPONSE = 9
    GET_PULSE = 10
    GET_PULSE_RESPONSE = 11
    DELETE_PATH = 12
    DELETE_PATH_RESPONSE = 13
    DELETE_PULSE_ID = 14
    DELETE_PULSE_ID_RESPONSE = 15
    CONTROL_MESSAGE = 16
    SASL_MESSAGE_TOKEN = 17
    NOT_AUTHORIZED = 18


STOP = b"\0"


def framed(body: bytes) -> bytes:
    """Put the length before the body of a frame."""
    return struct.pack(">i", len(body)) + body


def i32(field_id: int, value: int) -> bytes:
    """Return a struct's field of the Thrift type i32."""
    return struct.pack(">bhi", 8, field_id, value)


def boolean(field_id: int, value: bool) -> bytes:
    """Return a struct's field of the Thrift type bool."""
    return struct.pack(">bh?", 2, field_id, value)


def binary(field_id: int, value: bytes | str) -> bytes:
    """Return a struct's field of the Thrift types string and binary."""
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack(">bhi", 11, field_id, len(raw)) + raw


def struct_field(field_id: int, *fields: bytes) -> bytes:
    """Return a struct's field that is itself a struct of these fields."""
    return struct.pack(">bh", 12, field_id) + b"".join(fields) + STOP


def message(type_: int, *data: bytes, message_id: int | None = None) -> bytes:
    """Return the frame of an HBMessage; `data` is the union's field, if it has any."""
    body = i32(1, type_)
    if data:
        body += struct_field(2, *data)
    if message_id is not None:
        body += i32(3, message_id)
    return framed(body + STOP)


def path_request(type_: int, path: str, message_id: int | None = None) -> bytes:
    """Return the frame of a request whose data is a path."""
    return message(type_, binary(1, path), message_id=message_id)


def pulse_data(path: str, details: bytes | None) -> bytes:
    """Return the union's field of a pulse; without details where they are None."""
    fields = [binary(1, path)] + ([] if details is None else [binary(2, details)])
    return struct_field(2, *fields)


def send_pulse(path: str, details: bytes, message_id: int | None = None) -> bytes:
    """Return the frame that stores a heartbeat."""
    return message(Type.SEND_PULSE, pulse_data(path, details), message_id=message_id)


def ack(type_: int, message_id: int = -1) -> bytes:
    """Return the frame of a reply without data."""
    return message(type_, message_id=message_id)


def pulse_reply(path: str, details: bytes | None, message_id: int = -1) -> bytes:
    """Return the frame that answers GET_PULSE."""
    data = pulse_data(path, details)
    return message(Type.GET_PULSE_RESPONSE, data, message_id=message_id)


def exists_reply(exists: bool, message_id: int = -1) -> bytes:
    """Return the frame that answers EXISTS."""
    return message(Type.EXISTS_RESPONSE, boolean(3, exists), message_id=message_id)


def control(code: int) -> bytes:
    """Return the frame of a control message."""
    return message(Type.CONTROL_MESSAGE, binary(7, struct.pack(">h", code)))


def token(value: bytes) -> bytes:
    """Return the frame of a SASL token."""
    blob = struct.pack(">hi", -500, len(value)) + value
    return message(Type.SASL_MESSAGE_TOKEN, binary(7, blob))


def token_of(frame: bytes) -> bytes:
    """Return the token of a frame, which must be one."""
    empty = len(token(b""))
    value = frame[empty - 2 : -2]
    assert frame == token(value)
    return value


def nodes_of(reply: bytes) -> tuple[bytes, frozenset[bytes], bytes]:
    """Split the reply to a list: what is before the names, they, the rest.

    The names come in any order, so replies are equal where these parts are.
    """
    head = framed(i32(1, Type.GET_ALL_NODES_FOR_PATH_RESPONSE))[4:]
    head += struct.pack(">bhbhb", 12, 2, 12, 5, 15) + struct.pack(">hb", 1, 11)
    assert reply[4:].startswith(head), reply.hex()
    at = 4 + len(head)
    (count,) = struct.unpack_from(">i", reply, at)
    at += 4
    names = []
    for _ in range(count):
        (size,) = struct.unpack_from(">i", reply, at)
        names.append(reply[at + 4 : at + 4 + size])
        at += 4 + size
    assert len(set(names)) == len(names), f"a name twice: {names}"
    return head, frozenset(names), reply[at:]


class ClosedError(AssertionError):
    """The server ended the connection where a reply was due."""


class Wire:
    """A connection to a Pacemaker that sends and receives bytes as they are."""

    def __init__(self, address: tuple[str, int], timeout_s: float = 20) -> None:
        self.socket = socket.create_connection(address, timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(data)

    def receive(self) -> bytes:
        """Return the next whole frame with its length."""
        head = self.exactly(4)
        (size,) = struct.unpack(">i", head)
        return head + self.exactly(size)

    def ask(self, frame: bytes) -> bytes:
        """Send a frame and return the frame that comes back."""
        self.send(frame)
        return self.receive()

    def ended(self) -> str:
        """Wait until the server ends the connection; bytes before that are an error.

        Returns:
            "eof" or "reset".

        """
        try:
            data = self.socket.recv(4096)
        except ConnectionResetError:
            return "reset"
        assert not data, f"a reply where none is due: {data.hex()}"
        return "eof"

    def exactly(self, size: int) -> bytes:
        """Return so many bytes, once they have come."""
        data = bytearray()
        while len(data) < size:
            try:
                part = self.socket.recv(size - len(data))
            except ConnectionResetError as exc:
                raise ClosedError(f"reset after {data.hex()}") from exc
            if not part:
                raise ClosedError(f"end after {data.hex()}")
            data += part
        return bytes(data)

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def __enter__(self) -> Wire:
        """Return the connection itself."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self.close()
