"""A network in memory, to test programs that use the client without sockets.

    with MemoryNetwork() as network:
        servers = [network.server("pm1"), network.server("pm2")]
        settings = Settings(servers=("pm1", "pm2"))
        with PacemakerPool(settings, network=network) as pool:
            pool.send_pulse("/workerbeats/t-1/w-1", b"beat")
            servers[0].die()
            ...

Time is the network's `clock`; see `pacemaker.testing.clock`.
"""

from __future__ import annotations

import errno
import itertools
import os
import select
from collections.abc import Iterable
from types import TracebackType
from typing import Any

from pacemaker.client.address import ServerAddress
from pacemaker.config.settings import Settings
from pacemaker.testing.clock import MemoryClock
from pacemaker.testing.server import MemoryServer


class MemoryNetwork:
    """Servers by their addresses: a `pacemaker.client.network.Network`.

    A connection to an address without a server is refused.  The end of the ``with``
    block raises the first exception of a server's script.

    Attributes:
        clock: the time.
        servers: the servers by their addresses.
    """

    def __init__(self) -> None:
        self.clock = MemoryClock()
        self.servers: dict[ServerAddress, MemoryServer] = {}
        self._numbers = itertools.count()

    def server(self, host: str = "pm1", port: int = Settings().port) -> MemoryServer:
        """Add a server that answers as a Pacemaker does."""
        address = ServerAddress(host, port)
        server = self.servers[address] = MemoryServer(address, self.clock)
        return server

    def new_waiter(self) -> MemoryWaiter:
        """Return a waiter for one thread."""
        return MemoryWaiter(self.clock)

    def resolve(self, address: ServerAddress) -> list[Any]:
        """Return the address: each host has one endpoint."""
        return [address]

    def begin_to_connect(self, endpoint: Any) -> MemorySocket:
        """Connect to a server; this succeeds at once if the server can be reached."""
        with self.clock.changed:
            server = self.servers.get(endpoint)
            if server is None or server.is_dead:
                raise OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
            return MemorySocket(next(self._numbers), server)

    def __enter__(self) -> MemoryNetwork:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        errors = [error for each in self.servers.values() for error in each.errors]
        if errors and exc is None:
            raise errors[0]


class MemorySocket:
    """The client's end of a connection: a `pacemaker.client.network.Socket`.

    Args:
        number: its number, instead of a descriptor.
        server: the other end.
    """

    def __init__(self, number: int, server: MemoryServer) -> None:
        self._number = number
        self._changed = server.clock.changed
        self._peer = server.accept()

    def fileno(self) -> int:
        """Return its number."""
        return self._number

    def getsockopt(self, level: int, optname: int, /) -> int:
        """Return SO_ERROR, which is 0 for every connection that was made."""
        return 0

    def events(self, for_events: int) -> int:
        """Return which of some events have occurred, as in `select.poll`."""
        if self._peer is None:  # it never connects
            return 0
        found = select.POLLOUT
        if self._peer.outgoing or self._peer.is_closed:
            found |= select.POLLIN
        return found & for_events

    def recv(self, bufsize: int, /) -> bytes:
        """Return some bytes; none at the end of the stream."""
        with self._changed:
            peer = self._peer
            if peer is None:
                raise BlockingIOError
            if peer.is_reset:
                raise ConnectionResetError(
                    errno.ECONNRESET, os.strerror(errno.ECONNRESET)
                )
            if not peer.outgoing and not peer.is_closed:
                raise BlockingIOError
            data = bytes(peer.outgoing[:bufsize])
            del peer.outgoing[:bufsize]
            return data

    def send(self, data: memoryview, /) -> int:
        """Pass all bytes to the server, which processes them before this returns."""
        with self._changed:
            if self._peer is None:
                raise BlockingIOError
            if self._peer.is_closed:
                raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
            self._peer.receive(bytes(data))
            return len(data)

    def close(self) -> None:
        """End the connection."""
        with self._changed:
            if self._peer is not None:
                self._peer.hang_up()

    def __enter__(self) -> MemorySocket:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class MemoryWaiter:
    """A `pacemaker.client.network.Waiter` for the sockets of a network.

    Args:
        clock: the clock of the network.
    """

    def __init__(self, clock: MemoryClock) -> None:
        self._clock = clock
        self._changed = clock.changed  # guards everything below
        self._is_waiting = False
        self._is_woken = False
        self._socks: tuple[MemorySocket, ...] = ()
        self._for_events = 0
        self._until_s = float("inf")
        self.is_stopped = False
        # From now on, before its first wait, time does not move until it has settled.
        clock.add(self)

    @property
    def is_settled(self) -> bool:
        """Whether the thread waits for something that has not happened."""
        return self._is_waiting and not self._is_over()

    @property
    def until_s(self) -> float:
        """The time at which the wait ends even if nothing happens."""
        return self._until_s

    def wake(self) -> None:
        """End the current wait, or else the next one."""
        with self._changed:
            self._is_woken = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Tell the thread to stop, and wake it."""
        self.is_stopped = True
        self.wake()

    def wait(
        self, timeout_s: float | None, sock: Any = None, for_events: int = 0
    ) -> int:
        """Wait for events of a socket, a `wake` or the timeout."""
        socks = () if sock is None else (sock,)
        return next(iter(self.wait_for_any(timeout_s, socks, for_events).values()), 0)

    def wait_for_any(
        self, timeout_s: float | None, socks: Iterable[Any], for_events: int
    ) -> dict[int, int]:
        """Wait for events of several sockets, a `wake` or the timeout."""
        with self._changed:
            self._socks, self._for_events = tuple(socks), for_events
            self._until_s = float("inf")
            if timeout_s is not None:
                self._until_s = self._clock.now_s() + max(0.0, timeout_s)
            self._is_waiting = True
            self._changed.notify_all()
            self._changed.wait_for(self._is_over)
            self._is_waiting = self._is_woken = False
            return self._events()

    def close(self) -> None:
        """Let time move without regard to this thread."""
        self._clock.remove(self)

    def _is_over(self) -> bool:
        is_late = self._clock.now_s() >= self._until_s
        return self._is_woken or is_late or bool(self._events())

    def _events(self) -> dict[int, int]:
        found = {each.fileno(): each.events(self._for_events) for each in self._socks}
        return {number: events for number, events in found.items() if events}
