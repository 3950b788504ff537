"""The sockets of a run: thousands of connections to one server, one thread, epoll.

A lost connection is opened again after a random pause that grows as in Storm's client,
from 0.1 s to at most 5 s.
"""

from __future__ import annotations

import heapq
import os
import random
import select
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from pacemaker.client.network import reason_of
from pacemaker.client.tcp import TcpNetwork
from pacemaker.errors import PeerError
from pacemaker.simulate.tally import Tally

FIRST_DELAY_S: Final = 0.1
MAX_DELAY_S: Final = 5.0

READ_BYTES: Final = 16 * 1024

_READABLE: Final = select.EPOLLIN
_WRITABLE: Final = select.EPOLLOUT


class SimulatedClient(Protocol):
    """The protocol on a connection: `WorkerProtocol` or `NimbusProtocol`."""

    def bytes_on_connect(self, now_s: float) -> bytes:
        """Return the bytes to send on a new connection."""

    def receive_data(self, data: bytes, now_s: float) -> bytes:
        """Process bytes from the server; return the bytes to send."""


class PeerConnection:
    """One peer's connection, which may be lost and reopened.

    Attributes:
        peer: the protocol on it.
        is_connected: whether bytes can be sent.
    """

    __slots__ = ("attempts", "is_connected", "peer", "sock", "unsent")

    def __init__(self, peer: SimulatedClient) -> None:
        self.peer = peer
        self.sock: socket.socket | None = None
        self.is_connected = False
        self.unsent = bytearray()
        self.attempts = 0


class PeerConnections:
    """All connections of a run.

    Args:
        network: opens sockets.
        endpoint: the server's address, from `TcpNetwork.resolve`.
        tally: counts bytes and lost connections.
        rng: the random source of the pauses.
        clock: returns the time, like `time.monotonic`.

    Attributes:
        connecting: the number of connections that are being opened.
    """

    def __init__(
        self,
        network: TcpNetwork,
        endpoint: Any,
        tally: Tally,
        rng: random.Random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._network = network
        self._endpoint = endpoint
        self._tally = tally
        self._rng = rng
        self._clock = clock
        self._epoll = select.epoll()
        self._by_fd: dict[int, PeerConnection] = {}
        # When to reopen which connection; the number breaks ties.
        self._again: list[tuple[float, int, PeerConnection]] = []
        self._losses = 0
        self.connecting = 0

    def open(self, connection: PeerConnection) -> None:
        """Start to connect; `poll` completes it."""
        try:
            connection.sock = self._network.begin_to_connect(self._endpoint)
        except OSError as exc:
            self._lose(connection, reason_of(exc))
            return
        self.connecting += 1
        fd = connection.sock.fileno()
        self._by_fd[fd] = connection
        self._epoll.register(fd, _WRITABLE)

    def send(self, connection: PeerConnection, data: bytes) -> bool:
        """Send bytes, now or when the kernel has room.

        While it is not connected, the bytes are dropped: once it is again, its peer's
        `connected` provides what to send.

        Returns:
            Whether all bytes were sent at once.
        """
        if not connection.is_connected or connection.sock is None:
            return False
        if connection.unsent:
            connection.unsent += data
            return False
        try:
            sent_bytes = connection.sock.send(data)
        except BlockingIOError:
            sent_bytes = 0
        except OSError as exc:
            self._lose(connection, reason_of(exc))
            return False
        self._tally.sent_bytes += sent_bytes
        if sent_bytes == len(data):
            return True
        connection.unsent += data[sent_bytes:]
        self._epoll.modify(connection.sock.fileno(), _READABLE | _WRITABLE)
        return False

    def poll(self, until_s: float) -> None:
        """Wait for events until a given time, and process them.

        All events of one poll share the timestamp taken at its start.
        """
        if self._again:
            until_s = min(until_s, self._again[0][0])
        timeout_s = until_s - self._clock()
        if timeout_s > 0:
            # epoll waits in whole milliseconds, which would make pulses late.
            select.select([self._epoll], (), (), timeout_s)
        events = self._epoll.poll(0)
        now_s = self._clock()
        for fd, event in events:
            connection = self._by_fd.get(fd)
            if connection is None:
                continue  # lost in this turn
            if not connection.is_connected:
                self._finish_connecting(connection, now_s)
                continue
            if event & _WRITABLE:
                self._flush(connection)
            if event & ~_WRITABLE and connection.is_connected:
                self._receive(connection, now_s)
        while self._again and self._again[0][0] <= now_s:
            self.open(heapq.heappop(self._again)[2])

    def close(self) -> None:
        """Close all connections for good; a second call has no effect."""
        self._again.clear()
        for connection in list(self._by_fd.values()):
            self._forget(connection)
        self._epoll.close()

    @property
    def ends(self) -> tuple[str, str] | None:
        """The local and the server's address; None if nothing is connected."""
        for connection in self._connected():
            assert connection.sock is not None  # noqa: S101  (it is connected)
            return connection.sock.getsockname()[0], connection.sock.getpeername()[0]
        return None

    def _connected(self) -> Iterator[PeerConnection]:
        return (
            connection for connection in self._by_fd.values() if connection.is_connected
        )

    def _finish_connecting(self, connection: PeerConnection, now_s: float) -> None:
        assert connection.sock is not None  # noqa: S101  (it has a descriptor)
        error = connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self._lose(connection, os.strerror(error))
            return
        self.connecting -= 1
        connection.is_connected = True
        self._epoll.modify(connection.sock.fileno(), _READABLE)
        self._speak(connection, lambda: connection.peer.bytes_on_connect(now_s))

    def _flush(self, connection: PeerConnection) -> None:
        assert connection.sock is not None  # noqa: S101  (it is connected)
        try:
            sent_bytes = connection.sock.send(connection.unsent)
        except BlockingIOError:
            return
        except OSError as exc:
            self._lose(connection, reason_of(exc))
            return
        self._tally.sent_bytes += sent_bytes
        del connection.unsent[:sent_bytes]
        if not connection.unsent:
            self._epoll.modify(connection.sock.fileno(), _READABLE)

    def _receive(self, connection: PeerConnection, now_s: float) -> None:
        assert connection.sock is not None  # noqa: S101  (it is connected)
        try:
            data = connection.sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError as exc:
            self._lose(connection, reason_of(exc))
            return
        if not data:
            self._lose(connection, "closed by the server")
            return
        self._tally.rcvd_bytes += len(data)
        connection.attempts = 0
        self._speak(connection, lambda: connection.peer.receive_data(data, now_s))

    def _speak(self, connection: PeerConnection, say: Callable[[], bytes]) -> None:
        try:
            outgoing = say()
        except PeerError as exc:
            self._lose(connection, f"the server broke the protocol: {exc.reason}")
            return
        if outgoing:
            self.send(connection, outgoing)

    def _lose(self, connection: PeerConnection, reason: str) -> None:
        self._tally.losses[reason] += 1
        self._forget(connection)
        delay_s = min(MAX_DELAY_S, FIRST_DELAY_S * 2**connection.attempts)
        connection.attempts = min(connection.attempts + 1, 10)
        self._losses += 1
        at_s = self._clock() + self._rng.uniform(delay_s / 2, delay_s)
        heapq.heappush(self._again, (at_s, self._losses, connection))

    def _forget(self, connection: PeerConnection) -> None:
        if connection.sock is not None:
            if not connection.is_connected:
                self.connecting -= 1
            # Closing also removes it from the epoll.
            del self._by_fd[connection.sock.fileno()]
            connection.sock.close()
        connection.sock = None
        connection.is_connected = False
        connection.unsent = bytearray()
