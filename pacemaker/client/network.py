"""The interface to the network: opening sockets and waiting for them.

A test can pass another `Network` to a connection and control its sockets.

A host name may have several addresses, and the first may be dead without an error, like
an IPv6 address with a broken route.  So the addresses are raced as RFC 8305 describes:
each gets a short head start over the next, and the first connection wins.
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

# The head start of one address over the next: the shortest that RFC 8305 recommends,
# because callers may wait for only a second.
ATTEMPT_DELAY_S: Final = 0.1
# The minimum in RFC 8305.
MIN_ATTEMPT_DELAY_S: Final = 0.01


class Network(Protocol):
    """What a connection needs from the network."""

    def resolve(self, address: ServerAddress) -> list[Any]:
        """Return the places where a server may be reached; this may take long.

        Raises:
            OSError: there is no such host.
        """

    def begin_to_connect(self, place: Any) -> socket.socket:
        """Return a non-blocking socket that is connecting to one of these places.

        It becomes writable when it has connected or failed (SO_ERROR).

        Raises:
            OSError: the place cannot be reached.
        """


class TcpNetwork:
    """The real network, over TCP."""

    def resolve(self, address: ServerAddress) -> list[Any]:
        """Look up the host; IPv6 and IPv4 addresses alternate in the result."""
        try:
            places = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
        except ValueError as exc:  # not a valid name for the resolver
            raise OSError(f"not a host name: {exc}") from exc
        return alternate_families(places)

    def begin_to_connect(self, place: Any) -> socket.socket:
        """Open a socket and start to connect it."""
        family, kind, protocol, _, sockaddr = place
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            # Each request is a small segment, and a caller waits for its answer.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(BlockingIOError):
                sock.connect(sockaddr)
        except BaseException:
            sock.close()
            raise
        return sock


class Waiter:
    """Lets a thread wait for a socket or for another thread's `wake`.

    Only that thread calls `wait` and `close`; any thread may call the other methods.
    """

    def __init__(self) -> None:
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        # Guards against use after close: a closed descriptor's number is soon reused.
        self._lock = threading.Lock()
        self._is_closed = False
        self.is_stopped = False

    def wake(self) -> None:
        """End the current wait, or else the next one, at once."""
        with self._lock:
            if not self._is_closed:
                os.eventfd_write(self._wake_fd, 1)

    def stop(self) -> None:
        """Tell the thread to stop."""
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
            The events of the socket, as in `select.poll`; 0 for none.
        """
        socks = () if sock is None else (sock,)
        return next(iter(self.wait_for_any(timeout_s, socks, for_events).values()), 0)

    def wait_for_any(
        self, timeout_s: float | None, socks: Iterable[socket.socket], for_events: int
    ) -> dict[int, int]:
        """Wait for events of several sockets, a `wake` or the timeout.

        Returns:
            The events by descriptor, for the sockets that have any.
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
        """Close the descriptor; `wake` has no effect from now on."""
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
    """Connect to whichever of a server's places accepts first.

    Args:
        waiter: this thread's waiter; its `stop` ends the attempt.
        timeout_s: the limit for all places together.  The host name lookup, which
            cannot be interrupted, comes on top.
        call_timeout_s: how long callers wait for the connection; all places are tried
            within half of it.  None means `timeout_s`.

    Raises:
        OSError: no place accepts the connection, or there are none.
    """
    places = network.resolve(address)
    patience_s = timeout_s if call_timeout_s is None else call_timeout_s
    delay_s = min(ATTEMPT_DELAY_S, patience_s / 2 / max(1, len(places)))
    with _Race(network, places, max(MIN_ATTEMPT_DELAY_S, delay_s)) as race:
        return race.run(waiter, time.monotonic() + timeout_s)


class _Race:
    """The attempts to connect to one server; closes the losing sockets.

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
        # A failed attempt needs no head start.
        self._next_s = 0.0
        return False


def alternate_families(places: Iterable[Any]) -> list[Any]:
    """Reorder the results of getaddrinfo so that the address families alternate.

    Then several dead addresses of one family delay the other only once.
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
    """Return the operating system's description of an error."""
    return error.strerror or str(error)
