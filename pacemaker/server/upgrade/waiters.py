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

    @classmethod
    def open(cls) -> Waiters:
        """Listen; where that fails a line of the log says so, and nobody can wait."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.setblocking(False)
            listener.bind(address_of(os.getpid()))
            listener.listen(_MAX_WAITERS)
        except OSError as exc:
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
                connection, _ = self._listener.accept()
            except OSError:
                return
            _, uid = credentials(connection)
            if uid in (0, os.geteuid()):
                connection.setblocking(False)
                self._waiting.append(connection)
            else:
                connection.close()

    def tell(self, outcome: str) -> None:
        """Tell all who wait, and let them go."""
        line = " ".join(outcome.splitlines()) + "\n"
        for connection in self._waiting:
            with connection, contextlib.suppress(OSError):
                connection.send(line.encode())
        self._waiting.clear()

    def close(self, outcome: str) -> None:
        """Tell all who wait or are about to, and listen no more."""
        self.accept()
        self.tell(outcome)
        if self._listener is not None:
            self._listener.close()
