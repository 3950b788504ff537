"""The seam to the network: sockets, and a thread's wait for them.

A test gives the connection another `Network`, whose sockets do what it wants.

A host's name may have several addresses, of which the first may be dead: one that
swallows what it is sent, as an IPv6 address does whose route is broken.  So the
addresses are raced as RFC 8305 describes: each gets a short head start over the
next, and the first connection wins.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Collection, Iterable
from types import TracebackType
from typing import Any, Final, Protocol

from pacemaker.client.address import ServerAddress

# The head start of one address over the next: the shortest of those that RFC 8305
# recommends, as callers may wait for one second only.
ATTEMPT_DELAY_S: Final = 0.1
# What RFC 8305 allows at least.
MIN_ATTEMPT_DELAY_S: Final = 0.01


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
        """Look the host up; its addresses of IPv6 and IPv4 take turns."""
        try:
            places = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
        except ValueError as exc:  # a name that cannot be asked for
            raise OSError(f"no name of a host: {exc}") from exc
        return alternate_families(places)

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
        socks = () if sock is None else (sock,)
        return next(iter(self.wait_for_any(timeout_s, socks, for_events).values()), 0)

    def wait_for_any(
        self, timeout_s: float | None, socks: Iterable[socket.socket], for_events: int
    ) -> dict[int, int]:
        """Wait for events of several sockets, a `wake` or the timeout.

        Returns:
            The events by descriptor, of the sockets that have some.
        """
        poll = select.poll()
        poll.register(self._wake_fd, select.POLLIN)
        for sock in socks:
            poll.register(sock, for_events)
        timeout_ms = None if timeout_s is None else max(0.0, timeout_s) * 1000
        events = dict(poll.poll(timeout_ms))
        if events.pop(self._wake_fd, 0):
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._wake_fd)
        return events

    def close(self) -> None:
        """Give the descriptor back; `wake` has no effect from here on."""
        with self._lock:
            self._is_closed = True
            os.close(self._wake_fd)


def connect(
    network: Network,
    address: ServerAddress,
    waiter: Waiter,
    timeout_s: float,
    call_timeout_s: float | None = None,
) -> socket.socket:
    """Connect to one of a server's places, whichever takes the connection first.

    Args:
        waiter: of this thread; its `stop` ends the attempt.
        timeout_s: how long all places may take together; a look-up of the
            host's name, which cannot be ended, comes on top.
        call_timeout_s: how long callers wait for the connection; all places are
            tried within half of it.  None for as long as `timeout_s`.

    Raises:
        OSError: none does, or there is none.
    """
    places = network.resolve(address)
    patience_s = timeout_s if call_timeout_s is None else call_timeout_s
    delay_s = min(ATTEMPT_DELAY_S, patience_s / 2 / max(1, len(places)))
    with _Race(network, places, max(MIN_ATTEMPT_DELAY_S, delay_s)) as race:
        return race.run(waiter, time.monotonic() + timeout_s)


class _Race:
    """The attempts to connect to one server; closes those that did not win.

    Args:
        places: where the server may be reached, the best first.
        delay_s: the head start of each place over the next.
    """

    def __init__(
        self, network: Network, places: Collection[Any], delay_s: float
    ) -> None:
        self._network = network
        self._places = deque(places)
        self._delay_s = delay_s
        self._next_s = 0.0
        self._running: dict[int, socket.socket] = {}
        self._failure = OSError("the host has no address")

    def __enter__(self) -> _Race:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for sock in self._running.values():
            sock.close()

    def run(self, waiter: Waiter, until_s: float) -> socket.socket:
        while self._places or self._running:
            now_s = time.monotonic()
            if waiter.is_stopped or now_s >= until_s:
                raise OSError("cannot be reached")
            if self._places and (now_s >= self._next_s or not self._running):
                self._begin(self._places.popleft(), now_s)
                continue
            wake_s = min(until_s, self._next_s) if self._places else until_s
            socks = self._running.values()
            for fd in waiter.wait_for_any(wake_s - now_s, socks, select.POLLOUT):
                if self._has_connected(fd):
                    return self._running.pop(fd)
        raise self._failure

    def _begin(self, place: Any, now_s: float) -> None:
        try:
            sock = self._network.begin_to_connect(place)
        except OSError as exc:
            self._failure = exc
            return
        self._running[sock.fileno()] = sock
        self._next_s = now_s + self._delay_s

    def _has_connected(self, fd: int) -> bool:
        sock = self._running[fd]
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not error:
            return True
        self._failure = OSError(error, os.strerror(error))
        del self._running[fd]
        sock.close()
        # An attempt that has failed needs no head start.
        self._next_s = 0.0
        return False


def alternate_families(places: Iterable[Any]) -> list[Any]:
    """Order the results of getaddrinfo so that families take turns, the first first.

    Several dead addresses of one family then delay the other only once.
    """
    by_family: dict[int, deque[Any]] = {}
    for place in places:
        by_family.setdefault(place[0], deque()).append(place)
    ordered: list[Any] = []
    queues = list(by_family.values())
    while queues:
        ordered += [queue.popleft() for queue in queues]
        queues = [queue for queue in queues if queue]
    return ordered


def reason_of(error: OSError) -> str:
    """Return the operating system's word for what is wrong."""
    return error.strerror or str(error)
