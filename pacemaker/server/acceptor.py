"""The acceptor: takes connections from the backlog and hands each to an I/O thread."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from pacemaker.server import limits
from pacemaker.server.addresses import Accounts
from pacemaker.server.io_thread import IoThread
from pacemaker.server.listening import join_address

_logger: Final = logging.getLogger(__name__)

# That connection ended, or could not be, while it waited (accept(2)).  Any other
# error may come again at once, above all that there is no room in the process
# or the kernel (EMFILE, ENFILE, ENOBUFS, ENOMEM).
_OF_ONE_CONNECTION: Final = (
    errno.ECONNABORTED,
    errno.EPERM,
    errno.EPROTO,
    errno.ENOPROTOOPT,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.ENONET,
    errno.ETIMEDOUT,
)


class Acceptor(threading.Thread):
    """The thread that accepts.

    Args:
        listener: listens, and does not block.
        threads: the I/O threads; each new connection goes to the one that has
            the fewest.
        accounts: knows the accounts of the peers.
    """

    def __init__(
        self,
        listener: socket.socket,
        threads: Sequence[IoThread],
        accounts: Accounts,
    ) -> None:
        super().__init__(name="pacemaker-acceptor", daemon=True)
        self._listener = listener
        self._threads = threads
        self._accounts = accounts
        self._is_stopping = False
        self._calls: deque[Callable[[], None]] = deque()
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def stop(self) -> None:
        """Accept nothing more; any thread may call it, and more than once."""
        self._is_stopping = True
        os.eventfd_write(self._wake_fd, 1)

    def call(self, function: Callable[[], None]) -> None:
        """Have this thread call a function, between two connections.

        Only who also closes it may call this, or else the descriptor may be
        another's by then.
        """
        self._calls.append(function)
        os.eventfd_write(self._wake_fd, 1)

    def close(self) -> None:
        """Give back the descriptor, once the thread has ended."""
        os.close(self._wake_fd)

    def run(self) -> None:
        """Accept until `stop`; no error ends it."""
        with select.epoll() as both, select.epoll() as wake_alone:
            both.register(self._listener.fileno(), select.EPOLLIN)
            both.register(self._wake_fd, select.EPOLLIN)
            wake_alone.register(self._wake_fd, select.EPOLLIN)
            while not self._is_stopping:
                both.poll()
                self._run_calls()
                if not self._accept_some():
                    wake_alone.poll(limits.ACCEPT_PAUSE_S)

    def _run_calls(self) -> None:
        # Cleared first, so that what is queued behind that wakes the loop again.
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wake_fd)
        while self._calls:
            self._calls.popleft()()

    def _accept_some(self) -> bool:
        """Accept what waits; False where it has to pause first."""
        for _ in range(limits.ACCEPT_BATCH):
            if self._is_stopping:
                break
            try:
                sock, address = self._listener.accept()
            except BlockingIOError:
                break
            except OSError as exc:
                if exc.errno not in _OF_ONE_CONNECTION:
                    _logger.error("cannot accept connections: %s", exc.strerror)
                    return False
                _logger.debug("cannot accept a connection: %s", exc.strerror)
                continue
            self._hand_over(sock, address)
        return True

    def _hand_over(self, sock: socket.socket, address: tuple[str, int]) -> None:
        sock.setblocking(False)
        thread = min(self._threads, key=lambda each: each.load)
        account = self._accounts.open(address[0], address[1])
        thread.adopt(sock, join_address(address[0], address[1]), account)
