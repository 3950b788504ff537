"""The sockets of a run: thousands of connections to one server, one thread, epoll.

A connection that ends is opened anew after a pause that grows as the one of
Storm's client does: 0.1 s at first, at most 5 s, with chance in it.
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

from pacemaker.client.network import Network, reason_of
from pacemaker.errors import PeerError
from pacemaker.simulate.tally import Tally

FIRST_DELAY_S: Final = 0.1
MAX_DELAY_S: Final = 5.0

READ_BYTES: Final = 16 * 1024

_READABLE: Final = select.EPOLLIN
_WRITABLE: Final = select.EPOLLOUT


class Peer(Protocol):
    """What speaks over a connection: `WorkerProtocol` and `NimbusProtocol`."""

    def connected(self, now_s: float) -> bytes:
        """Return what a new connection begins with."""

    def receive_data(self, data: bytes, now_s: float) -> bytes:
        """Take bytes from the server and return what there is to send."""


class Link:
    """One peer's connection, which may be lost and come back.

    Attributes:
        peer: who speaks over it.
        is_connected: whether bytes can be sent.
    """

    __slots__ = ("attempts", "is_connected", "peer", "sock", "unsent")

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.sock: socket.socket | None = None
        self.is_connected = False
        self.unsent = bytearray()
        self.attempts = 0


class Links:
    """All connections of a run.

    Args:
        network: opens sockets.
        place: where the server is, as `Network.resolve` gives it.
        tally: counts bytes, and connections that end.
        rng: where the chance in the pauses comes from.
        clock: the time, as of `time.monotonic`.

    Attributes:
        connecting: how many connections are being opened.
    """

    def __init__(
        self,
        network: Network,
        place: Any,
        tally: Tally,
        rng: random.Random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._network = network
        self._place = place
        self._tally = tally
        self._rng = rng
        self._clock = clock
        self._epoll = select.epoll()
        self._by_fd: dict[int, Link] = {}
        # When to open which link again; the number decides between equals.
        self._again: list[tuple[float, int, Link]] = []
        self._losses = 0
        self.connecting = 0

    def open(self, link: Link) -> None:
        """Begin to connect a link, that `poll` then carries on with."""
        try:
            link.sock = self._network.begin_to_connect(self._place)
        except OSError as exc:
            self._lose(link, reason_of(exc))
            return
        self.connecting += 1
        fd = link.sock.fileno()
        self._by_fd[fd] = link
        self._epoll.register(fd, _WRITABLE)

    def send(self, link: Link, data: bytes) -> bool:
        """Send bytes, now or when the kernel has room.

        Nothing is sent where the link is not connected: its peer is asked again
        when it is.

        Returns:
            Whether all of them went at once.
        """
        if not link.is_connected or link.sock is None:
            return False
        if link.unsent:
            link.unsent += data
            return False
        try:
            sent_bytes = link.sock.send(data)
        except BlockingIOError:
            sent_bytes = 0
        except OSError as exc:
            self._lose(link, reason_of(exc))
            return False
        self._tally.sent_bytes += sent_bytes
        if sent_bytes == len(data):
            return True
        link.unsent += data[sent_bytes:]
        self._epoll.modify(link.sock.fileno(), _READABLE | _WRITABLE)
        return False

    def poll(self, until_s: float) -> None:
        """Wait for the server until a moment, and take what there is to take.

        All that one turn finds is taken as having come at its beginning.
        """
        if self._again:
            until_s = min(until_s, self._again[0][0])
        timeout_s = until_s - self._clock()
        if timeout_s > 0:
            # epoll itself waits in whole milliseconds, which pulses would be late by.
            select.select([self._epoll], (), (), timeout_s)
        events = self._epoll.poll(0)
        now_s = self._clock()
        for fd, event in events:
            link = self._by_fd.get(fd)
            if link is None:
                continue  # lost in this turn
            if not link.is_connected:
                self._finish_connecting(link, now_s)
                continue
            if event & _WRITABLE:
                self._flush(link)
            if event & ~_WRITABLE and link.is_connected:
                self._receive(link, now_s)
        while self._again and self._again[0][0] <= now_s:
            self.open(heapq.heappop(self._again)[2])

    def close(self) -> None:
        """End all connections, for good; a second call has no effect."""
        self._again.clear()
        for link in list(self._by_fd.values()):
            self._forget(link)
        self._epoll.close()

    @property
    def ends(self) -> tuple[str, str] | None:
        """The addresses of our end and of the server's, where one is connected."""
        for link in self._connected():
            assert link.sock is not None  # noqa: S101  (it is connected)
            return link.sock.getsockname()[0], link.sock.getpeername()[0]
        return None

    def _connected(self) -> Iterator[Link]:
        return (link for link in self._by_fd.values() if link.is_connected)

    def _finish_connecting(self, link: Link, now_s: float) -> None:
        assert link.sock is not None  # noqa: S101  (it has a descriptor)
        error = link.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self._lose(link, os.strerror(error))
            return
        self.connecting -= 1
        link.is_connected = True
        self._epoll.modify(link.sock.fileno(), _READABLE)
        self._speak(link, lambda: link.peer.connected(now_s))

    def _flush(self, link: Link) -> None:
        assert link.sock is not None  # noqa: S101  (it is connected)
        try:
            sent_bytes = link.sock.send(link.unsent)
        except BlockingIOError:
            return
        except OSError as exc:
            self._lose(link, reason_of(exc))
            return
        self._tally.sent_bytes += sent_bytes
        del link.unsent[:sent_bytes]
        if not link.unsent:
            self._epoll.modify(link.sock.fileno(), _READABLE)

    def _receive(self, link: Link, now_s: float) -> None:
        assert link.sock is not None  # noqa: S101  (it is connected)
        try:
            data = link.sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError as exc:
            self._lose(link, reason_of(exc))
            return
        if not data:
            self._lose(link, "closed by the server")
            return
        self._tally.rcvd_bytes += len(data)
        link.attempts = 0
        self._speak(link, lambda: link.peer.receive_data(data, now_s))

    def _speak(self, link: Link, say: Callable[[], bytes]) -> None:
        try:
            due = say()
        except PeerError as exc:
            self._lose(link, f"broke the protocol: {exc.reason}")
            return
        if due:
            self.send(link, due)

    def _lose(self, link: Link, reason: str) -> None:
        self._tally.losses[reason] += 1
        self._forget(link)
        delay_s = min(MAX_DELAY_S, FIRST_DELAY_S * 2**link.attempts)
        link.attempts = min(link.attempts + 1, 10)
        self._losses += 1
        at_s = self._clock() + self._rng.uniform(delay_s / 2, delay_s)
        heapq.heappush(self._again, (at_s, self._losses, link))

    def _forget(self, link: Link) -> None:
        if link.sock is not None:
            if not link.is_connected:
                self.connecting -= 1
            # Closing takes it out of the epoll.
            del self._by_fd[link.sock.fileno()]
            link.sock.close()
        link.sock = None
        link.is_connected = False
        link.unsent = bytearray()
