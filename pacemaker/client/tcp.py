"""The real network and the real time."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import Any

from pacemaker.client.address import ServerAddress
from pacemaker.wakeup import WakeUp


class SystemClock:
    """The time of the system since its start."""

    def now_s(self) -> float:
        """Return the time in seconds."""
        return time.monotonic()

    def wait_for(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait until an event is set, or for the timeout; return whether it is set."""
        return event.wait(timeout_s)


class PollWaiter:
    """Lets a thread wait for a socket or for another thread's `wake`.

    It needs one descriptor.  Only that thread calls `wait` and `close`; any thread may
    call the other methods.
    """

    def __init__(self) -> None:
        self._wake_up = WakeUp()
        self.is_stopped = False

    def wake(self) -> None:
        """End the current wait, or else the next one, at once."""
        self._wake_up.wake()

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
        poll.register(self._wake_up.fd, select.POLLIN)
        for sock in socks:
            poll.register(sock, for_events)
        timeout_ms = None if timeout_s is None else max(0.0, timeout_s) * 1000
        events = dict(poll.poll(timeout_ms))
        if events.pop(self._wake_up.fd, 0):
            self._wake_up.clear()
        return events

    def close(self) -> None:
        """Close the descriptor; `wake` has no effect from now on."""
        self._wake_up.close()


class TcpNetwork:
    """The real network, over TCP."""

    clock = SystemClock()

    def new_waiter(self) -> PollWaiter:
        """Return a waiter for one thread."""
        return PollWaiter()

    def resolve(self, address: ServerAddress) -> list[Any]:
        """Look up the host; IPv6 and IPv4 addresses alternate in the result."""
        try:
            endpoints = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
        except ValueError as exc:  # not a valid name for the resolver
            raise OSError(f"not a host name: {exc}") from exc
        return alternate_families(endpoints)

    def begin_to_connect(self, endpoint: Any) -> socket.socket:
        """Open a socket and start to connect it."""
        family, kind, protocol, _, sockaddr = endpoint
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


def alternate_families(endpoints: Iterable[Any]) -> list[Any]:
    """Reorder the results of getaddrinfo so that the address families alternate.

    Then several dead addresses of one family delay the other only once.
    """
    by_family: dict[int, deque[Any]] = {}
    for endpoint in endpoints:
        by_family.setdefault(endpoint[0], deque()).append(endpoint)
    ordered: list[Any] = []
    queues = list(by_family.values())
    while queues:
        ordered += [queue.popleft() for queue in queues]
        queues = [queue for queue in queues if queue]
    return ordered
