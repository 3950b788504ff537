"""What the client needs of the network and of time, and how it connects with that.

A connection is given a `Network`: `pacemaker.client.tcp.TcpNetwork`, or in a test
`pacemaker.testing.MemoryNetwork`, which has no sockets and a clock that the test moves.

A host name may have several addresses, and the first may be dead without an error, like
an IPv6 address with a broken route.  So the addresses are raced as RFC 8305 describes:
each gets a short head start over the next, and the first connection wins.
"""

from __future__ import annotations

import os
import select
import socket
import threading
from collections import deque
from collections.abc import Collection, Iterable
from types import TracebackType
from typing import Any, Final, Protocol, TypeVar

from pacemaker.client.address import ServerAddress

# The head start of one address over the next: the shortest that RFC 8305 recommends,
# because callers may wait for only a second.
ATTEMPT_DELAY_S: Final = 0.1
# The minimum in RFC 8305.
MIN_ATTEMPT_DELAY_S: Final = 0.01


AnySocket = TypeVar("AnySocket", bound="Socket")


class Clock(Protocol):
    """Time, which only ever moves forwards.  Any thread may call it."""

    def now_s(self) -> float:
        """Return the time in seconds since some moment."""

    def wait_for(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait until an event is set, or for the timeout; return whether it is set."""


class Socket(Protocol):
    """A non-blocking socket; its methods are those of `socket.socket`."""

    def fileno(self) -> int:
        """Return a number that no other open socket has."""

    def getsockopt(self, level: int, optname: int, /) -> int:
        """Return an option; of all options only SO_ERROR is asked for."""

    def recv(self, bufsize: int, /) -> bytes:
        """Return some bytes; none at the end of the stream."""

    def send(self, data: memoryview, /) -> int:
        """Send some bytes and return how many."""

    def close(self) -> None:
        """Close the socket."""

    def __enter__(self: AnySocket) -> AnySocket:
        """Return the socket; the end of the block closes it."""

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> object:
        """Close the socket."""


class Waiter(Protocol):
    """Lets a thread wait for a socket or for another thread's `wake`.

    Only that thread calls `wait`, `wait_for_any` and `close`; any thread may call the
    other methods.
    """

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called."""

    def wake(self) -> None:
        """End the current wait, or else the next one, at once."""

    def stop(self) -> None:
        """Tell the thread to stop, and wake it."""

    def wait(
        self, timeout_s: float | None, sock: Any = None, for_events: int = 0
    ) -> int:
        """Wait for events of a socket, a `wake` or the timeout.

        Returns:
            The events of the socket, as in `select.poll`; 0 for none.
        """

    def wait_for_any(
        self, timeout_s: float | None, socks: Iterable[Any], for_events: int
    ) -> dict[int, int]:
        """Wait for events of several sockets, a `wake` or the timeout.

        Returns:
            The events by descriptor, for the sockets that have any.
        """

    def close(self) -> None:
        """Free what the waiter holds; `wake` has no effect from now on."""


class Network(Protocol):
    """What a connection needs from outside."""

    @property
    def clock(self) -> Clock:
        """The time of its deadlines."""

    def new_waiter(self) -> Waiter:
        """Return a waiter for one thread and the sockets of this network.

        Raises:
            OSError: the process is out of descriptors.
        """

    def resolve(self, address: ServerAddress) -> list[Any]:
        """Return the endpoints where a server may be reached; this may take long.

        Raises:
            OSError: there is no such host.
        """

    def begin_to_connect(self, endpoint: Any) -> Socket:
        """Return a non-blocking socket that is connecting to one of these endpoints.

        It becomes writable when it has connected or failed (SO_ERROR).

        Raises:
            OSError: the endpoint cannot be reached.
        """


def connect(
    network: Network,
    address: ServerAddress,
    waiter: Waiter,
    timeout_s: float,
    call_timeout_s: float | None = None,
) -> Socket:
    """Connect to whichever of a server's endpoints accepts first.

    Args:
        waiter: this thread's waiter; its `stop` ends the attempt.
        timeout_s: the limit for all endpoints together.  The host name lookup, which
            cannot be interrupted, comes on top.
        call_timeout_s: how long callers wait for the connection; all endpoints are
            tried within half of it.  None means `timeout_s`.

    Raises:
        OSError: no endpoint accepts the connection, or there are none.
    """
    endpoints = network.resolve(address)
    patience_s = timeout_s if call_timeout_s is None else call_timeout_s
    delay_s = min(ATTEMPT_DELAY_S, patience_s / 2 / max(1, len(endpoints)))
    with _Race(network, endpoints, max(MIN_ATTEMPT_DELAY_S, delay_s)) as race:
        return race.run(waiter, network.clock.now_s() + timeout_s)


class _Race:
    """The attempts to connect to one server; closes the losing sockets.

    Args:
        endpoints: where the server may be reached, the best first.
        delay_s: the head start of each endpoint over the next.
    """

    def __init__(
        self, network: Network, endpoints: Collection[Any], delay_s: float
    ) -> None:
        self._network = network
        self._endpoints = deque(endpoints)
        self._delay_s = delay_s
        self._next_s = 0.0
        self._running: dict[int, Socket] = {}
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
        # Its traceback refers to a frame that refers to this object.  Such a cycle
        # would stay in a relay, where garbage is not collected.
        del self._failure

    def run(self, waiter: Waiter, until_s: float) -> Socket:
        while self._endpoints or self._running:
            now_s = self._network.clock.now_s()
            if waiter.is_stopped or now_s >= until_s:
                raise OSError("cannot be reached")
            if self._endpoints and (now_s >= self._next_s or not self._running):
                self._begin(self._endpoints.popleft(), now_s)
                continue
            wake_s = min(until_s, self._next_s) if self._endpoints else until_s
            socks = self._running.values()
            for fd in waiter.wait_for_any(wake_s - now_s, socks, select.POLLOUT):
                if self._has_connected(fd):
                    return self._running.pop(fd)
        raise self._failure

    def _begin(self, endpoint: Any, now_s: float) -> None:
        try:
            sock = self._network.begin_to_connect(endpoint)
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


def reason_of(error: OSError) -> str:
    """Return the operating system's description of an error."""
    return error.strerror or str(error)
