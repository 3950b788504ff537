"""Who wait for the outcome of an upgrade, and how they are told.

The daemon listens on an abstract Unix socket, whose name says which process it
is: no file, no folder to be writable, and found from within a unit with a /tmp
of its own.  Who wants to know connects, then sends SIGUSR2 (whether it may is
the kernel's to decide), and reads one line until the end of the stream.  The
connection goes over to the new process, which writes that line; where the new
process has lost its state, the stream ends without one.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_logger: Final = logging.getLogger(__name__)

SERVES: Final = "serves"
REFUSED: Final = "refused: "

_MAX_WAITERS: Final = 16
_CREDENTIALS: Final = struct.Struct("3i")


def address_of(pid: int) -> str:
    """Return the address at which the daemon with this process id is asked.

    Containers may share a network and have a process 1 each, so the name has the
    number of the process namespace too.
    """
    namespace = Path("/proc/self/ns/pid").readlink()
    return f"\0storm-pacemaker-py/{namespace}/{pid}"


def credentials(connection: socket.socket) -> tuple[int, int]:
    """Return process id and user id of whom a Unix socket is connected to."""
    packed = connection.getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size
    )
    pid, uid, _ = _CREDENTIALS.unpack(packed)
    return pid, uid


def _may_wait(connection: socket.socket) -> bool:
    _, uid = credentials(connection)
    connection.setblocking(False)
    return uid in (0, os.geteuid())


class Waiters:
    """The socket, and the connections of those who wait.  Main thread only.

    Args:
        listener: takes them; None where there is no such socket.
        waiting: those that wait already.
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
        """Listen; where that fails a line of the log says so, and nobody can wait."""
        listener = None
        try:
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.setblocking(False)
            listener.bind(address_of(os.getpid()))
            listener.listen(_MAX_WAITERS)
        except OSError as exc:
            # No AF_UNIX in the sandbox, or /proc is not there.
            if listener is not None:
                listener.close()
            _logger.warning("`reload` cannot wait for this daemon: %s", exc.strerror)
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
        """The descriptor of the socket that takes them; -1 where there is none."""
        return -1 if self._listener is None else self._listener.fileno()

    @property
    def fds(self) -> tuple[int, ...]:
        """The descriptors of those who wait."""
        return tuple(each.fileno() for each in self._waiting)

    def accept(self) -> None:
        """Take those who have connected; they wait for the next outcome."""
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
        """Accept, with the descriptor in reserve if no other is free.

        A refusal for want of descriptors could not be told otherwise.
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
            # Nobody has asked: the kernel looks for a descriptor before it sees that.
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
        """Tell all who wait, and let them go."""
        line = " ".join(outcome.splitlines()) + "\n"
        for connection in self._waiting:
            with connection, contextlib.suppress(OSError):
                # Paths in a reason may hold what is no UTF-8.
                connection.send(line.encode(errors="backslashreplace"))
        self._waiting.clear()
        self._take_reserve()

    def close(self, outcome: str) -> None:
        """Tell all who wait or are about to, and listen no more."""
        self.accept()
        self.tell(outcome)
        self._release_reserve()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
