"""The acceptor: it accepts connections and hands each to an I/O thread.

It has no thread of its own.  The first I/O thread, its *host*, calls it between two
turns.  A thread would get the interpreter back too late after each system call while an
I/O thread is busy.  Then connections are accepted more slowly than an attacker opens
them, and the kernel's queue, which knows no order by address, delays new workers.
"""

from __future__ import annotations

import errno
import logging
import os
import resource
import select
import socket
import time
from collections.abc import Sequence
from functools import partial
from typing import Final

from pacemaker.core.accounts.account import Account
from pacemaker.core.accounts.admission import (
    OVER_LIMIT,
    OVER_SHARE,
    TOO_FAST,
    AdmissionControl,
    AdmissionDecision,
)
from pacemaker.core.accounts.registry import AccountRegistry
from pacemaker.errors import LimitError
from pacemaker.server.io import limits
from pacemaker.server.io.endings import ENDINGS, Ending
from pacemaker.server.io.handoff import Replaced
from pacemaker.server.io.io_thread import IoThread
from pacemaker.server.io.sockets import set_storms_options, unmapped
from pacemaker.server.upgrade_state import PeerAddress

_logger: Final = logging.getLogger(__name__)

# These errors concern one connection, which ended or failed while it waited in the
# listen backlog (accept(2)).  Any other error may come again at once, above all those
# that say that the process or the kernel has no room (EMFILE, ENFILE, ENOBUFS, ENOMEM).
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

# More descriptors than this process has for all that is no connection.
_OTHER_DESCRIPTORS: Final = 64


class Acceptor:
    """Accepts connections.  Only its host calls `accept_waiting`.

    Args:
        listeners: the listening sockets, non-blocking.
        threads: the I/O threads; each new connection goes to the one that has
            the fewest.  The first is the host.
        accounts: the accounts of the peers.
        admission: decides which connections are accepted.
        reserved: how many descriptors connections leave for everything else.

    Attributes:
        refused: the number of refused connections.
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        threads: Sequence[IoThread],
        accounts: AccountRegistry,
        admission: AdmissionControl,
        reserved: int = limits.RESERVED_DESCRIPTORS,
    ) -> None:
        self._listeners = {listener.fileno(): listener for listener in listeners}
        # Listeners whose backlog may hold connections that are older than the socket
        # options of the listener and so did not inherit them.  The backlog is a queue:
        # once it has been empty, every later connection has the options.
        self._with_old_backlog = set(self._listeners)
        self._host = threads[0]
        self._threads = threads
        self._accounts = accounts
        self._admission = admission
        self._reserved = reserved
        self.refused = 0
        self._last_refused: tuple[str, LimitError] | None = None
        # Whether the host waits for connections, and how often it has begun to.
        self._is_waiting = False
        self._waits = 0
        self._is_stopping = False
        # The threads that may not have closed all the connections that make room yet.
        self._making_room: set[IoThread] = set()
        # Readable while a connection waits at any of the listeners.
        self._epoll = select.epoll()
        for fd in self._listeners:
            self._epoll.register(fd, select.EPOLLIN)

    def start(self) -> None:
        """Begin to accept, once the host runs.  Any thread may call this."""
        self._host.call(self._go_on)

    def stop(self) -> None:
        """Stop accepting.  Any thread may call this, and more than once."""
        self._is_stopping = True

    def close(self) -> None:
        """Close the descriptor, once the host has ended."""
        self._epoll.close()

    def accept_waiting(self, most_s: float) -> None:
        """Accept some of the connections that wait.  No error ends the host.

        Args:
            most_s: about how long this may take.
        """
        if not self._is_waiting:
            return
        if self._is_stopping:
            self._ignore_all()
            return
        try:
            may_go_on = self._accept_from_all(most_s)
        except Exception:
            _logger.exception("cannot accept connections: internal error")
            may_go_on = False
        if not may_go_on:
            # The listeners stay ready, and an error that comes again at once must not
            # keep a core busy.
            self._ignore_all()
            self._end_pause_later()

    def _end_pause_later(self) -> None:
        end_pause = partial(self._end_pause, self._waits)
        self._host.call_later(limits.ACCEPT_PAUSE_S, end_pause)

    def _end_pause(self, waits: int) -> None:
        # A thread that has made room may have ended it earlier, and a next one begun.
        if waits == self._waits:
            self._go_on()

    def _go_on(self) -> None:
        """Have the host wait for connections, unless it does so already."""
        if self._is_waiting or self._is_stopping:
            return
        try:
            self._host.attend(self._epoll.fileno(), self.accept_waiting)
        except OSError as exc:
            _logger.error("cannot accept connections: %s", exc.strerror)
            self._end_pause_later()
        else:
            self._is_waiting = True
            self._waits += 1

    def _ignore_all(self) -> None:
        """Have the host wait for no connections."""
        if self._is_waiting:
            self._is_waiting = False
            self._host.ignore(self._epoll.fileno())

    def _accept_from_all(self, most_s: float) -> bool:
        """Accept at each listener; return False to pause before the next time.

        Args:
            most_s: about how long this may take.
        """
        ready = self._epoll.poll(0)
        accepted = [self._accept_some(fd, most_s / len(ready)) for fd, _ in ready]
        return all(accepted)

    def _accept_some(self, fd: int, most_s: float) -> bool:
        """Accept one connection at one listener, and more for `most_s`.

        Returns:
            False to pause before the next time.
        """
        listener = self._listeners[fd]
        # Read the limit each time: that of a running process can be raised.
        room_ends = _room_ends(self._reserved)
        end_s = time.monotonic() + most_s
        while not self._is_stopping:
            try:
                # Check before accepting, so that a connection for which there is no
                # room stays in the kernel's backlog and is served once there is room.
                # Accepting and closing it would only make its client reconnect.
                self._check_room(room_ends)
                sock, address = listener.accept()
            except BlockingIOError:
                self._with_old_backlog.discard(fd)
                break
            except OSError as exc:
                if exc.errno not in _OF_ONE_CONNECTION:
                    self._expect_room(exc.strerror)
                    return False
                _logger.debug("cannot accept a connection: %s", exc.strerror)
            else:
                self._admit(sock, address, fd)
            if time.monotonic() >= end_s:
                break
        self._log_refused()
        return True

    def _expect_room(self, problem: str | None) -> None:
        """Let a thread that is making room end the coming pause; if none is, log it.

        It answers a turn later, with room for some at least: it runs its calls in
        order, and what it opens may replace others.  If nothing is left to be done that
        makes room, the pause lasts.
        """
        thread = next((each for each in self._threads if each.is_opening), None)
        if thread is None and self._making_room:
            thread = self._making_room.pop()
        if thread is None:
            _logger.error("cannot accept connections: %s", problem)
        else:
            thread.call(lambda: self._host.call(self._go_on))

    def _check_room(self, room_ends: int) -> None:
        """Check that the next free descriptor is one that connections may use.

        Raises:
            OSError: it is not, or no descriptor is free.
        """
        # With plenty of room, this is certain, and finding out is a third of the work.
        if self._accounts.connections < room_ends // 2 - _OTHER_DESCRIPTORS:
            return
        next_fd = os.dup(self._epoll.fileno())
        os.close(next_fd)
        if next_fd >= room_ends:
            raise OSError(
                errno.EMFILE,
                f"{room_ends} descriptors are in use, and the rest is reserved for"
                " upgrades; raise the limit (ulimit -n, LimitNOFILE=)",
            )

    def _admit(
        self, sock: socket.socket, address: tuple[str, int], listener_fd: int
    ) -> None:
        """Hand a connection over.  An error closes this connection and no other."""
        peer = PeerAddress(unmapped(address[0]), address[1])
        account = self._accounts.add_connection(*peer)
        try:
            sock.setblocking(False)
            if listener_fd in self._with_old_backlog:
                set_storms_options(sock)
            self._hand_over(sock, peer, account)
            return
        except LimitError as exc:
            self.refused += 1
            # `_log_refused` logs it.
            self._last_refused = (peer.name, exc)
        except Exception:
            ENDINGS[Ending.NOT_OPENED].log(_logger, peer.name, exc_info=True)
        self._accounts.remove_connection(account)
        sock.close()

    def _log_refused(self) -> None:
        """Log the last refused connection; a line for each one would cost too much."""
        if self._last_refused is not None:
            ENDINGS[Ending.NOT_ADMITTED].log(_logger, *self._last_refused)
            self._last_refused = None

    def _hand_over(
        self, sock: socket.socket, peer: PeerAddress, account: Account
    ) -> None:
        """Give a connection to an I/O thread.

        Raises:
            LimitError: it is refused, because there is no room for it, or because its
                address has as many connections as the administrator allows.
        """
        decision = self._admission.decide(account, time.monotonic())
        if decision is AdmissionDecision.REPLACE_OWN:
            thread = self._with_own_room(account, OVER_SHARE)
            thread.add_connection(sock, peer, account, Replaced.EXPENDABLE_OF_ADDRESS)
            return
        if decision is AdmissionDecision.MAKE_OWN_ROOM:
            self._with_own_room(account, TOO_FAST).make_room(account)
        elif decision is AdmissionDecision.MAKE_ROOM:
            thread = max(self._threads, key=lambda each: each.expendable_count)
            if thread.expendable_count <= 0:
                self._replace_costly(sock, peer, account)
                return
            self._making_room.add(thread)
            thread.make_room()
        elif decision is AdmissionDecision.REFUSE:
            most = self._admission.most_of_address
            raise LimitError(OVER_LIMIT, f"connections={most} for {account.name}")
        thread = self._threads[0]
        if len(self._threads) > 1:
            thread = min(self._threads, key=lambda each: each.load)
        thread.add_connection(sock, peer, account)

    def _replace_costly(
        self, sock: socket.socket, peer: PeerAddress, account: Account
    ) -> None:
        """Give a connection to a thread that can close a costly one for it.

        Raises:
            LimitError: none can.
        """
        self._look_for_idle()
        thread = max(self._threads, key=lambda each: each.costly_count)
        if not thread.costly_count:
            reason = "raise the limit (LimitNOFILE=)"
            raise LimitError("too many connections", reason)
        thread.add_connection(sock, peer, account, Replaced.COSTLY)

    def _with_own_room(self, account: Account, reason: str) -> IoThread:
        """Return a thread that has an expendable connection of this account's address.

        Raises:
            LimitError: none has one; the error says why it has to be this address.
        """
        for thread in self._threads:
            if thread.can_make_room(account):
                self._making_room.add(thread)
                return thread
        self._look_for_idle()
        raise _too_many(reason, account)

    def _look_for_idle(self) -> None:
        """Let the threads look for room, for those that try again."""
        for thread in self._threads:
            thread.look_for_idle()


def _too_many(reason: str, account: Account) -> LimitError:
    return LimitError(reason, f"{account.connections - 1} from {account.name}")


def _room_ends(reserved: int) -> int:
    """Return the first of the descriptors that are reserved for all other uses."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    share = int(most * limits.MAX_RESERVED_SHARE)
    return most - min(reserved, share)
