"""One connection: a socket and its protocol object, on the I/O thread that owns it.

Only that thread calls it (and SASL's helpers, `is_stepping`).  A connection is
in one of six conditions, which decide what it waits for:

* *reading*: the peer's next bytes;
* *waiting its turn*: it has sent more than a slice of requests at once, or more new
  keys than its account may make in the time; others are served first;
* *sending*: room for replies that the peer has not yet taken; meanwhile
  nothing more is read from it;
* *stepping*: a SASL step that is taken elsewhere;
* *lingering*: its last bytes are out, the peer was told so (FIN), and what
  still comes is thrown away, lest a reset destroy the replies on their way;
* *closed*.

The usual case, a whole request read and its reply written at once, passes
`on_readable` and `_advance` and touches nothing else.
"""

from __future__ import annotations

import fcntl
import logging
import os
import select
import socket
import struct
import termios
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeAlias

from pacemaker.core import limits
from pacemaker.core.accounts import Account
from pacemaker.core.carried_over import ConnectionState
from pacemaker.core.protocol import Phase, ServerProtocol
from pacemaker.errors import LimitError, PeerError
from pacemaker.server.io.sockets import end_with_reset
from pacemaker.wire import messages
from pacemaker.wire.frames import HEAD_SIZE

_logger: Final = logging.getLogger(__name__)

# What is to be written: whole chunks, but for the first, which may be a part.
_Chunks: TypeAlias = "Sequence[bytes | memoryview]"

# Looked up once, as `pacemaker.core.protocol` does.
_OPEN: Final = Phase.OPEN

# How the body of a request begins that asks for CREATE_PATH: with the type's field.
_CREATE_PATH: Final = struct.pack(">bhi", 8, 1, messages.CREATE_PATH)

# An event that takes less is of the lowest class: a pulse, a read, a small list.
_CHEAP_S: Final = 0.0001

_ALWAYS: Final = select.EPOLLERR | select.EPOLLHUP


class Owner(Protocol):
    """What a connection asks of the I/O thread that owns it."""

    @property
    def watched(self) -> set[Connection]:
        """Those that hold bytes or are due to end."""

    def now(self) -> float:
        """Return the time, in seconds that only grow."""

    def wait_for(self, fd: int, interest: int) -> None:
        """Change what is awaited on a connection's descriptor."""

    def watch(self, connection: Connection, held_bytes: int, is_due: bool) -> bool:
        """Look after a connection; True where it has to end for what it holds."""

    def take_step(self, connection: Connection) -> None:
        """Have the SASL step taken that is due on a connection."""

    def forget(self, connection: Connection) -> None:
        """Let go of a connection that is about to be closed."""

    def call(self, function: Callable[[], None]) -> None:
        """Have the thread call a function; any thread may ask."""

    def evict(self, connection: Connection) -> None:
        """Have the thread end a connection for what it holds; any thread may ask."""

    def note_evicted(self, size_bytes: int) -> None:
        """Take note of what a connection held that was evicted."""

    def call_later(self, delay_s: float, function: Callable[[], None]) -> None:
        """Call a function after a delay."""

    def put_off(self, connection: Connection) -> None:
        """Have a connection go on after others were served."""

    def greeted(self, connection: Connection) -> None:
        """Take note that a connection has sent its first bytes."""


class Connection:
    """A peer, from its acceptance to its end.

    Args:
        sock: the socket, not blocking, that ends with a reset when closed.
        protocol: a new protocol object.
        owner: the I/O thread that owns the connection.
        account: what its peer's address uses.
    """

    __slots__ = (
        "_frame_began_s",
        "_frame_number",
        "_is_at_end",
        "_is_greeted",
        "_linger_bytes",
        "_linger_until_s",
        "_on_untold",
        "_progress_s",
        "_read_bytes",
        "_sasl_began_s",
        "_sock",
        "_undelivered_bytes",
        "_unsent",
        "account",
        "cost_class",
        "fd",
        "interest",
        "is_closed",
        "is_deferred",
        "owner",
        "protocol",
        "ready",
    )

    def __init__(
        self,
        sock: socket.socket,
        protocol: ServerProtocol,
        owner: Owner,
        account: Account,
    ) -> None:
        self._sock = sock
        self.owner = owner
        self.account = account
        self._unsent: _Chunks = ()
        self._is_at_end = False
        self._is_greeted = False
        self._frame_number = 0
        self._frame_began_s = 0.0
        self._progress_s = 0.0
        self._read_bytes = limits.READ_BYTES
        self._undelivered_bytes = 0
        self._sasl_began_s = 0.0
        self._linger_until_s = 0.0
        self._linger_bytes = limits.LINGER_BYTES
        self._on_untold: Callable[[], None] | None = None
        # For fair turns: what epoll has reported and was not served yet, and about how
        # much the last events have cost; 1 until one was measured.
        self.ready = 0
        self.is_deferred = False
        self.cost_class = 1
        self.fd = sock.fileno()
        self.interest = select.EPOLLIN
        self.is_closed = False
        self.protocol = protocol
        protocol.call_on_release(self._on_release)

    def __repr__(self) -> str:
        return f"<Connection fd={self.fd} closed={self.is_closed} {self.protocol!r}>"

    def note_cost(self, elapsed_s: float) -> None:
        """Take note of how long an event of this connection took to serve.

        A class is twice the cost of the one below it.  It rises at once and falls by
        one for each event: so one event that this process was interrupted in is soon
        forgotten.
        """
        self.account.spent_s += elapsed_s
        cost_class = int(elapsed_s / _CHEAP_S).bit_length()
        self.cost_class = max(cost_class, self.cost_class - 1)

    def on_event(self, events: int) -> None:
        """Do what epoll reports, for all but the usual case."""
        if events & select.EPOLLOUT:
            self._on_writable()
        elif events & select.EPOLLIN:
            self.on_readable()
        elif events & _ALWAYS:
            self._end_by_peer("reset")
        elif events & select.EPOLLRDHUP:
            self._end_by_peer("end of stream")

    def on_readable(self) -> None:
        """Read once, answer what it completes."""
        try:
            data = os.read(self.fd, self._read_bytes)
        except BlockingIOError:
            return
        except OSError as exc:
            self._end_by_peer(exc.strerror or "read failed")
            return
        if self._linger_until_s:
            self._linger_bytes -= len(data)
            if not data or self._linger_bytes < 0:
                self.abort()
        elif data:
            if not self._is_greeted:
                self._greet(data)
            reply = self.protocol.answer_pulse(data)
            if reply is not None:
                self._write((reply,))
                return
            self.protocol.receive_data(data)
            self._advance()
        else:
            self._is_at_end = True
            self._settle(False)

    def _greet(self, data: bytes) -> None:
        """Take note of a peer's first bytes, or of the first that say who it is.

        A health check asks for CREATE_PATH, which changes nothing, and goes: two
        lines each few seconds would be most of the log.
        """
        self.owner.greeted(self)
        if data[HEAD_SIZE:].startswith(_CREATE_PATH):
            _logger.debug("%s: connected, with CREATE_PATH", self.protocol.peer)
            return
        self._is_greeted = True
        _logger.info("%s: connected", self.protocol.peer)

    def _on_writable(self) -> None:
        if self._unsent and not self._write(self._unsent):
            return
        self.go_on()

    def go_on(self) -> None:
        """Carry out the next slice of what has come, and send what it gives."""
        self.protocol.resume()
        self._advance()

    def _on_release(self) -> None:
        """Answer reads that were held; where replies are unsent, behind them."""
        if self.interest == select.EPOLLIN:
            self.go_on()

    def _advance(self) -> None:
        """Send what is due; look further only where something is unusual."""
        protocol = self.protocol
        is_blocked = protocol.is_blocked
        chunks = protocol.data_to_send()
        if chunks and not self._write(chunks):
            return
        if (
            is_blocked
            or self.interest != select.EPOLLIN
            or protocol.phase is not _OPEN
            or protocol.unread_bytes
            or protocol.has_more
            or protocol.has_charged
            or self in self.owner.watched
        ):
            self._settle(is_blocked)

    def _write(self, chunks: _Chunks) -> bool:
        """Send as much as the kernel takes; False where that is not all of it."""
        try:
            if len(chunks) == 1:
                sent = os.write(self.fd, chunks[0])
                if sent == len(chunks[0]):
                    self._unsent = ()
                    return True
            else:
                # Far fewer than IOV_MAX: the protocol joins small ones.
                sent = os.writev(self.fd, chunks)
        except BlockingIOError:
            sent = 0
        except OSError as exc:
            self._end_by_peer(exc.strerror or "write failed")
            return False
        left = _without(chunks, sent)
        if left and (sent or not self._unsent):
            self._progress_s = self.owner.now()
            self._undelivered_bytes = _undelivered_bytes(self.fd)
        self._unsent = left
        if left:
            self._settle(False)
        return not left

    def _settle(self, is_blocked: bool) -> None:
        """Find the condition of the connection, and what it waits for."""
        phase = self.protocol.phase
        if self._unsent or is_blocked:
            self._wait_for(select.EPOLLOUT)
        elif phase is Phase.CLOSED or self._is_at_end:
            self._finish()
        elif phase is Phase.STEPPING:
            self._sasl_began_s = self._sasl_began_s or self.owner.now()
            self._wait_for(0)
            self.owner.take_step(self)
        elif self._is_to_wait:
            self._wait_for(0)
            self.owner.put_off(self)
        else:
            self._wait_for(select.EPOLLIN)
        if not self.is_closed:
            self._watch()

    @property
    def _is_to_wait(self) -> bool:
        """Whether others come first, or the account has to have time for what it did.

        What other connections of the account did delays this one by nothing.
        """
        protocol = self.protocol
        return protocol.has_more or (protocol.has_charged and self.account.is_charged)

    def _watch(self) -> None:
        """Have the thread watch it while it holds bytes or is due to end."""
        protocol = self.protocol
        if protocol.phase is _OPEN:
            self._sasl_began_s = 0.0
        unread_bytes = protocol.unread_bytes
        if not unread_bytes or self._unsent or protocol.has_more:
            # Nothing is read while replies are unsent, or others are served first:
            # the frame has its time from then on.
            self._frame_began_s = 0.0
        elif not self._frame_began_s or self._frame_number != protocol.frames_rcvd:
            self._frame_number = protocol.frames_rcvd
            self._frame_began_s = self.owner.now()
        # A large frame comes in few reads, each as large as what is left of it.
        left_bytes = protocol.frame_bytes - unread_bytes
        self._read_bytes = min(
            max(left_bytes, limits.READ_BYTES), limits.LARGE_READ_BYTES
        )
        held_bytes = protocol.held_bytes + self.unsent_bytes
        is_due = bool(self._sasl_began_s or self._linger_until_s)
        if self.owner.watch(self, held_bytes, is_due):
            self.evict()

    @property
    def unsent_bytes(self) -> int:
        """How many bytes of replies the kernel has not taken yet."""
        return sum(map(len, self._unsent))

    def overdue(self, now_s: float) -> str | None:
        """Return what the peer has taken too long for, if anything."""
        if self._linger_until_s:
            return "lingering" if now_s > self._linger_until_s else None
        if self._unsent:
            self._look_for_progress(now_s)
            is_late = now_s - self._progress_s > limits.SEND_TIMEOUT_S
            return "replies not taken" if is_late else None
        if self.is_refusal_untold:
            # Its end would tell the peer before its turn.
            return None
        if self._sasl_began_s and now_s - self._sasl_began_s > limits.SASL_TIMEOUT_S:
            return "SASL exchange not finished"
        if self._frame_began_s:
            allowed_s = limits.FRAME_TIMEOUT_S
            allowed_s += self.protocol.frame_bytes / limits.FRAME_BYTES_PER_S
            is_late = now_s - self._frame_began_s > allowed_s
            return "frame not complete" if is_late else None
        return None

    def _look_for_progress(self, now_s: float) -> None:
        """See whether the peer has taken any of what the kernel has.

        There is no room to write before a third of the kernel's buffer is free,
        which a slow peer may need minutes for.
        """
        undelivered_bytes = _undelivered_bytes(self.fd)
        if undelivered_bytes < self._undelivered_bytes:
            self._progress_s = now_s
            self._undelivered_bytes = undelivered_bytes

    def postpone(self, lost_s: float) -> None:
        """Move every time limit by seconds in which this process did not run."""
        if self._linger_until_s:
            self._linger_until_s += lost_s
        if self._frame_began_s:
            self._frame_began_s += lost_s
        if self._sasl_began_s:
            self._sasl_began_s += lost_s
        self._progress_s += lost_s

    def expire(self, reason: str) -> None:
        """End the connection for what is overdue."""
        if self._linger_until_s:
            self.abort()
        else:
            self.refuse(LimitError("out of time", reason))

    def evict(self) -> None:
        """End the connection to make room in the budget of all buffers."""
        held_bytes = self.protocol.held_bytes + self.unsent_bytes
        if held_bytes and not self.is_closed:
            reason = "all buffers are full (--buffer-budget)"
            detail = "its bytes weigh the most by size and age"
            self.refuse(LimitError(reason, detail))
            self.owner.note_evicted(held_bytes)

    def refuse(self, error: PeerError) -> None:
        """End the connection for a reason of the server's."""
        self.protocol.fail(error)
        if self._unsent:
            self._log_end()
            self.abort()
        else:
            self._advance()

    @property
    def is_stepping(self) -> bool:
        """Whether anybody waits for the SASL step; any thread may ask."""
        return not self.is_closed and self.protocol.phase is Phase.STEPPING

    def finish_step(self) -> None:
        """Go on after a SASL step whose outcome the protocol has taken."""
        self._on_untold = None
        self._advance()

    def await_refusal(self, on_untold: Callable[[], None]) -> None:
        """Stay open and silent until the peer is told that it failed: `finish_step`.

        Meanwhile its end is awaited, so that it holds no descriptor of ours for
        longer than one of its own.

        Args:
            on_untold: is called if the connection ends before that.
        """
        self._on_untold = on_untold
        self._wait_for(select.EPOLLRDHUP)

    @property
    def is_refusal_untold(self) -> bool:
        """Whether the peer has failed to authenticate and is not told so yet."""
        return self._on_untold is not None

    def state(self) -> ConnectionState | None:
        """Write out what another process goes on from, or None where none can.

        A reset is what is left to a connection amid SASL, to one that is to end
        anyway, and to a frame so large that carrying it over would hold up all.
        """
        snapshot = self.protocol.snapshot(b"".join(self._unsent))
        if snapshot is None or self._linger_until_s or self.is_closed:
            return None
        if self.protocol.unread_bytes > limits.CARRIED_UNREAD_BYTES:
            return None
        return ConnectionState(
            fd=self.fd,
            peer=self.protocol.peer,
            is_greeted=self._is_greeted,
            frame_began_s=self._frame_began_s,
            progress_s=self._progress_s if self._unsent else 0.0,
            snapshot=snapshot,
        )

    def restore(self, state: ConnectionState) -> None:
        """Go on, with a new protocol object, from where another process was."""
        snapshot = state.snapshot
        # What has been due for longest goes out first, and has its time from then.
        if snapshot.unsent:
            self._unsent = (snapshot.unsent,)
            self._progress_s = state.progress_s or self.owner.now()
            self._undelivered_bytes = _undelivered_bytes(self.fd)
            snapshot = snapshot._replace(unsent=b"")
        self._is_greeted = state.is_greeted
        if state.is_greeted:
            self.owner.greeted(self)
        self._frame_began_s = state.frame_began_s
        self.protocol.restore(snapshot)
        if snapshot.unread or self._unsent:
            self._on_writable()

    def is_quiet(self) -> bool:
        """Whether a stop may reset it: all that came is answered and delivered."""
        if self.interest == select.EPOLLIN:
            self.on_readable()
        if self.is_closed or self.is_refusal_untold:
            return True
        if self.interest != select.EPOLLIN:
            # Something that came is not answered yet, or not yet sent.
            return False
        return not _unread_bytes(self.fd) and not _undelivered_bytes(self.fd)

    def abort(self) -> None:
        """Close at once: with a reset, unless `_finish` took that off."""
        if not self.is_closed:
            self.is_closed = True
            self.protocol.drop_held()
            self._unsent = ()
            self.owner.forget(self)
            self._sock.close()
            if self._on_untold is not None:
                on_untold, self._on_untold = self._on_untold, None
                on_untold()

    def _finish(self) -> None:
        """Close so that the bytes on their way arrive."""
        if self._linger_until_s:
            return
        self._log_end()
        try:
            end_with_reset(self._sock, False)
            if self._is_at_end:
                self.abort()
                return
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            # The peer is gone already.
            self.abort()
            return
        self._linger_until_s = self.owner.now() + limits.LINGER_S
        self._read_bytes = limits.READ_BYTES
        self._wait_for(select.EPOLLIN)

    def _end_by_peer(self, reason: str) -> None:
        if self.protocol.error is not None and not self._linger_until_s:
            # Why it was to be closed matters more than how it went.
            self._log_end()
        elif not self._linger_until_s:
            level = logging.INFO if self._is_greeted else logging.DEBUG
            _logger.log(level, "%s: ended by the peer: %s", self.protocol.peer, reason)
        self.abort()

    def _log_end(self) -> None:
        peer, error = self.protocol.peer, self.protocol.error
        if error is not None:
            _logger.warning("%s: closed: %s", peer, error)
        elif self._is_greeted:
            _logger.info("%s: ended by the peer: end of stream", peer)
        else:
            _logger.debug("%s: ended by the peer without a byte", peer)

    def _wait_for(self, interest: int) -> None:
        if interest != self.interest:
            self.interest = interest
            self.owner.wait_for(self.fd, interest)


def _unread_bytes(fd: int) -> int:
    """Ask the kernel how many bytes have come and were not read (SIOCINQ)."""
    return _ask_kernel(fd, termios.FIONREAD)


def _undelivered_bytes(fd: int) -> int:
    """Ask the kernel how many bytes the peer has not yet acknowledged (SIOCOUTQ)."""
    return _ask_kernel(fd, termios.TIOCOUTQ)


def _ask_kernel(fd: int, question: int) -> int:
    size_bytes: int = struct.unpack("i", fcntl.ioctl(fd, question, b"\0\0\0\0"))[0]
    return size_bytes


def _without(chunks: _Chunks, sent_bytes: int) -> _Chunks:
    """Return what is left of some chunks once so many bytes are sent."""
    if len(chunks) == 1 and sent_bytes == len(chunks[0]):
        return ()
    for number, chunk in enumerate(chunks):
        if sent_bytes < len(chunk):
            return [memoryview(chunk)[sent_bytes:], *chunks[number + 1 :]]
        sent_bytes -= len(chunk)
    return ()
