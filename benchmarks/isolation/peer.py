"""One honest connection, which sends frames and matches each reply to its request."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from benchmarks.isolation import wire
from pacemaker.client.protocol import ClientPhase, ClientProtocol

_READ_BYTES: Final = 256 * 1024
_LENGTH_BYTES: Final = 4


@dataclass(slots=True)
class Request:
    """A request that waits for its reply.

    Attributes:
        kind: pulse, read, list, join, delete, large, held or login.
        due_s: when it was scheduled to be sent, whether or not that was possible.
        sent_s: when it was sent.
        judge: returns the outcome, given the whole reply.
    """

    kind: str
    due_s: float
    sent_s: float
    judge: Callable[[bytes], str]


class Peer:
    """A non-blocking connection.

    Args:
        epoll: the epoll object that it registers with.
        sock: its socket, connected or connecting.
        login: authenticates the connection first; None if that is not needed.

    Attributes:
        is_connected: whether it is known to be connected: the kernel has reported it,
            or taken what was sent.
    """

    def __init__(
        self, epoll: select.epoll, sock: socket.socket, login: ClientProtocol | None
    ) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.login = login
        self.is_connected = False
        self.waiting: dict[int, Request] = {}
        self._epoll = epoll
        self._out = bytearray()
        self._in = bytearray()
        self._delayed: list[bytes] = []
        self._interest = select.EPOLLIN | select.EPOLLOUT
        epoll.register(self.fd, self._interest)
        if login is not None:
            self._out += login.data_to_send()

    def send(self, frame: bytes, message_id: int, request: Request) -> None:
        """Send a whole request."""
        self.waiting[message_id] = request
        self.send_part(frame)

    def send_part(self, data: bytes) -> None:
        """Send bytes of a request that has been, or will be, added to `waiting`."""
        if self.login is not None:
            self._delayed.append(data)
        else:
            self._out += data
            self.flush()

    def flush(self) -> None:
        """Write as much as the kernel takes.

        Raises:
            OSError: the connection has ended.
        """
        # The kernel takes nothing while the connection is being set up.
        with contextlib.suppress(BlockingIOError):
            while self._out:
                del self._out[: self.sock.send(self._out)]
                self.is_connected = True
        wanted = select.EPOLLIN | (select.EPOLLOUT if self._out else 0)
        if wanted != self._interest:
            self._interest = wanted
            self._epoll.modify(self.fd, wanted)

    def receive(self) -> list[bytes] | None:
        """Read the received bytes.

        Returns:
            The complete frames, or None at the end of the connection.

        Raises:
            OSError: the connection was reset.
        """
        try:
            data = self.sock.recv(_READ_BYTES)
        except BlockingIOError:
            return []
        if not data:
            return None
        if self.login is not None:
            return self._receive_login(self.login, data)
        self._in += data
        return self._frames()

    def _receive_login(self, login: ClientProtocol, data: bytes) -> list[bytes] | None:
        login.receive_data(data)
        while login.phase is ClientPhase.STEPPING:
            login.finish_step(login.run_step())
        self._out += login.data_to_send()
        if login.phase is ClientPhase.CLOSED:
            return None
        if login.phase is ClientPhase.OPEN:
            self.login = None
            self._out += b"".join(self._delayed)
            self._delayed.clear()
        self.flush()
        return []

    def _frames(self) -> list[bytes]:
        frames = []
        while len(self._in) >= _LENGTH_BYTES:
            size = _LENGTH_BYTES + struct.unpack_from(">i", self._in)[0]
            if len(self._in) < size:
                break
            # Copied once: a list of 10 MB must not delay what is to be sent next.
            with memoryview(self._in) as received:
                frames.append(bytes(received[:size]))
            del self._in[:size]
        return frames

    def take(self, frame: bytes) -> Request | None:
        """Remove and return the request of a reply; None if there is none."""
        return self.waiting.pop(wire.read_id(frame), None)

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(OSError):
            self._epoll.unregister(self.fd)
        self.sock.close()


def connect(host: str, port: int, address: str) -> socket.socket:
    """Begin to connect from an address, without waiting for the outcome."""
    sock = socket.socket()
    sock.setblocking(False)
    # Choose the port at connect(), not at bind(): that allows 28,000 connections for
    # each pair of addresses and not in all.
    sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        sock.bind((address, 0))
        with contextlib.suppress(BlockingIOError):
            sock.connect((host, port))
    except OSError:
        sock.close()
        raise
    return sock


# From Linux's headers; the `socket` module has no name for it.
_IP_BIND_ADDRESS_NO_PORT: Final = 24
