"""The clients that wait for the outcome of an upgrade, and how they are told.

The daemon listens on an abstract Unix socket whose name contains its process id.  Such
a socket needs no file and no writable directory, and it can be found from within a
unit that has a private /tmp.

A client connects, sends SIGUSR2 (the kernel decides whether it may), and then reads one
line until the end of the stream.  The connection is carried over to the new process,
which writes that line; if the upgrade is refused, the old process writes it.  If the
new process has lost its state, the stream ends without a line.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
from collections.abc import Sequence
from typing import Final

from pacemaker.server.process.local_socket import address_of, credentials

_logger: Final = logging.getLogger(__name__)

SERVES: Final = "serves"
REFUSED: Final = "refused: "

_MAX_WAITERS: Final = 16


def _may_wait(connection: socket.socket) -> bool:
    """Return whether this user could send the daemon a signal (kill(2))."""
    _, uid = credentials(connection)
    connection.setblocking(False)
    return uid in (0, os.geteuid())


class Waiters:
    """The socket and the connections of the waiting clients.  Main thread only.

    Args:
        listener: the socket that accepts them; None if there is none.
        waiting: the connections of clients that already wait.
    """

    def __init__(
        self, listener: socket.socket | None, waiting: Sequence[socket.socket] = ()
    ) -> None:
        self._listener = listener
        self._waiting = list(waiting)
        self._reserve_fd = -1
        self._take_reserve()

    @classmethod
    def open(cls) -> Waiters:
        """Listen; if that fails, log a warning, and nobody can wait."""
        listener = None
        try:
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.setblocking(False)
            listener.bind(address_of(os.getpid()))
            listener.listen(_MAX_WAITERS)
        except OSError as exc:
            # The sandbox does not allow AF_UNIX, or /proc is missing.
            if listener is not None:
                listener.close()
            _logger.warning(
                "`reload` cannot reach this daemon: %s; to upgrade it, send SIGUSR2",
                exc.strerror,
            )
            return cls(None)
        return cls(listener)

    @classmethod
    def inherit(cls, request_fd: int, waiter_fds: Sequence[int]) -> Waiters:
        """Take over what the process had before it was upgraded."""
        kind = (socket.AF_UNIX, socket.SOCK_STREAM, 0)
        own = [socket.socket(*kind, fileno=fd) for fd in (request_fd, *waiter_fds)]
        for sock in own:
            sock.set_inheritable(False)
            sock.setblocking(False)
        return cls(own[0], own[1:])

    @property
    def request_fd(self) -> int:
        """The descriptor of the listening socket; -1 if there is none."""
        return -1 if self._listener is None else self._listener.fileno()

    @property
    def fds(self) -> tuple[int, ...]:
        """The descriptors of the waiting clients' connections."""
        return tuple(each.fileno() for each in self._waiting)

    def accept(self) -> None:
        """Accept the clients that have connected; they wait for the next outcome."""
        # Each of them holds a descriptor until the outcome, so there is a limit.  The
        # others stay in the kernel's queue.
        while self._listener is not None and len(self._waiting) < _MAX_WAITERS:
            try:
                connection = self._accept_one(self._listener)
                if _may_wait(connection):
                    self._waiting.append(connection)
                else:
                    connection.close()
            except OSError:
                return

    def _accept_one(self, listener: socket.socket) -> socket.socket:
        """Accept a client, on the reserved descriptor if no other is free.

        Otherwise nobody could be told that an upgrade was refused for lack of
        descriptors.
        """
        try:
            return listener.accept()[0]
        except OSError as exc:
            if exc.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            self._release_reserve()
        try:
            return listener.accept()[0]
        except OSError:
            # Usually nobody has connected: the kernel reserves a descriptor before it
            # looks whether a connection waits.
            self._take_reserve()
            raise

    def _release_reserve(self) -> None:
        if self._reserve_fd >= 0:
            os.close(self._reserve_fd)
            self._reserve_fd = -1

    def _take_reserve(self) -> None:
        if self._reserve_fd < 0:
            with contextlib.suppress(OSError):
                self._reserve_fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def tell(self, outcome: str) -> None:
        """Tell all waiting clients the outcome, and close their connections."""
        line = " ".join(outcome.splitlines()) + "\n"
        for connection in self._waiting:
            with connection, contextlib.suppress(OSError):
                # Paths in a reason may contain bytes that are not UTF-8.
                connection.send(line.encode(errors="backslashreplace"))
        self._waiting.clear()
        self._take_reserve()

    def close(self, outcome: str) -> None:
        """Tell all clients that have connected, and stop listening."""
        self.accept()
        self.tell(outcome)
        self._release_reserve()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
