"""The seam to the network: sockets, and a thread's wait for them.

A test gives the connection another `Network`, whose sockets do what it wants.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from typing import Any, Protocol

from pacemaker.client.address import ServerAddress


class Network(Protocol):
    """What a connection needs of the network."""

    def resolve(self, address: ServerAddress) -> list[Any]:
        """Return the places where a server may be reached; it may take long.

        Raises:
            OSError: there is no such host.
        """

    def begin_to_connect(self, place: Any) -> socket.socket:
        """Return a socket that is not blocking and connects to such a place.

        It is writable once it is connected or has failed (SO_ERROR).

        Raises:
            OSError: the place cannot be reached.
        """


class TcpNetwork:
    """The network as it is."""

    def resolve(self, address: ServerAddress) -> list[Any]:
        """Look the host up."""
        return socket.getaddrinfo(*address, type=socket.SOCK_STREAM)

    def begin_to_connect(self, place: Any) -> socket.socket:
        """Open a socket and begin to connect it."""
        family, kind, protocol, _, sockaddr = place
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            # Each request is a small segment that somebody waits for.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(BlockingIOError):
                sock.connect(sockaddr)
        except BaseException:
            sock.close()
            raise
        return sock


class Waiter:
    """One thread's waits, for a socket or for a word of another thread.

    That thread alone calls `wait` and `close`; any thread may call the others.
    """

    def __init__(self) -> None:
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        # Guards the end of the descriptor: a closed one is soon another's.
        self._lock = threading.Lock()
        self._is_closed = False
        self.is_stopped = False

    def wake(self) -> None:
        """Let the wait that is on, or else the next one, end at once."""
        with self._lock:
            if not self._is_closed:
                os.eventfd_write(self._wake_fd, 1)

    def stop(self) -> None:
        """Tell the thread to end."""
        self.is_stopped = True
        self.wake()

    def wait(
        self,
        timeout_s: float | None,
        sock: socket.socket | None = None,
        for_events: int = 0,
    ) -> int:
        """Wait for events of a socket, a `wake` or the timeout.

        Returns:
            The events of the socket, as `select.poll` has them; 0 for none.
        """
        poll = select.poll()
        poll.register(self._wake_fd, select.POLLIN)
        if sock is not None:
            poll.register(sock, for_events)
        timeout_ms = None if timeout_s is None else max(0.0, timeout_s) * 1000
        events = dict(poll.poll(timeout_ms))
        if events.pop(self._wake_fd, 0):
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._wake_fd)
        return next(iter(events.values()), 0)

    def close(self) -> None:
        """Give the descriptor back; `wake` has no effect from here on."""
        with self._lock:
            self._is_closed = True
            os.close(self._wake_fd)


def connect(
    network: Network, address: ServerAddress, waiter: Waiter, timeout_s: float
) -> socket.socket:
    """Connect to the first place of a server's that takes the connection.

    Args:
        waiter: of this thread; its `stop` ends the attempt.
        timeout_s: how long all places may take together; a look-up of the
            host's name, which cannot be ended, comes on top.

    Raises:
        OSError: none does, or there is none.
    """
    failure: OSError = OSError("the host has no address")
    places = network.resolve(address)
    until_s = time.monotonic() + timeout_s
    for place in places:
        try:
            return _connect_to(network, place, waiter, until_s)
        except OSError as exc:
            failure = exc
    raise failure


def _connect_to(
    network: Network, place: Any, waiter: Waiter, until_s: float
) -> socket.socket:
    with contextlib.ExitStack() as stack:
        sock = stack.enter_context(network.begin_to_connect(place))
        while not waiter.wait(until_s - time.monotonic(), sock, select.POLLOUT):
            if waiter.is_stopped or time.monotonic() >= until_s:
                raise OSError("cannot be reached")
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))
        stack.pop_all()
    return sock


def reason_of(error: OSError) -> str:
    """Return the operating system's word for what is wrong."""
    return error.strerror or str(error)
