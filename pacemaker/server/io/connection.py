"""One connection: a socket and its protocol object, on the I/O thread that owns it.

Only the owning thread calls a connection.  A SASL helper is the exception: it reads
`is_stepping` and `owner`, and the protocol's `peer` and `sasl_step`.

At any time, a connection is in one `IoState`, which says what it waits for.
`_enter_for` derives the state from what the protocol waits for.

Usually, a whole request is read and its reply is written at once.  That path goes
through `on_readable` and `_write`, and the state stays READING.

Every connection ends through `end`.  `pacemaker.server.io.endings` lists all the ways.
"""

from __future__ import annotations

import logging
import os
import select
import socket
from collections.abc import Callable
from typing import Final

from pacemaker.core.accounts.account import Account
from pacemaker.core.protocol.contract import Output, Wait
from pacemaker.core.protocol.phases import Phase
from pacemaker.core.protocol.server_protocol import ServerProtocol
from pacemaker.errors import LimitError, PeerError
from pacemaker.server.io import limits
from pacemaker.server.io.chunks import Chunks, drop_sent
from pacemaker.server.io.connection_owner import ConnectionOwner
from pacemaker.server.io.deadlines import Deadlines
from pacemaker.server.io.endings import ENDINGS, CloseMode, Ending
from pacemaker.server.io.fairness.cost_classes import (
    NEW_CLASS,
    REFUSED_CLASS,
    next_class,
)
from pacemaker.server.io.io_states import ALWAYS_REPORTED, INTEREST, IoState
from pacemaker.server.io.sockets import (
    set_reset_on_close,
    shrink_receive_buffer,
    silence_s,
    undelivered_bytes,
    unread_bytes,
)
from pacemaker.server.upgrade_state import ConnectionState, PeerAddress
from pacemaker.wire import fast_codec, messages
from pacemaker.wire.frames import HEAD_SIZE

_logger: Final = logging.getLogger(__name__)

# Looked up once, as `pacemaker.core.protocol.server_protocol` does.
_OPEN: Final = Phase.OPEN
_REQUEST: Final = Wait.REQUEST

# Looked up once, as above.
_READING: Final = IoState.READING
_LINGERING: Final = IoState.LINGERING
_CLOSED: Final = IoState.CLOSED


class Connection:
    """A connection to one peer, from accept to close.

    Args:
        sock: the socket; it is non-blocking, and closing it sends a reset.
        protocol: a new protocol object.
        owner: the I/O thread that owns the connection.
        account: the account of the peer's address.
        address: the peer's address.

    Attributes:
        ending: why it ends; None while nothing has decided that.
    """

    __slots__ = (
        "_address",
        "_deadlines",
        "_has_small_buffer",
        "_is_at_end",
        "_is_greeted",
        "_linger_bytes",
        "_on_refusal_dropped",
        "_read_bytes",
        "_sock",
        "_unsent",
        "_wait",
        "account",
        "busy_time",
        "charged_s",
        "cost_class",
        "ending",
        "fd",
        "interest",
        "io_state",
        "is_deferred",
        "is_established",
        "newness",
        "owner",
        "protocol",
        "ready",
    )

    def __init__(
        self,
        sock: socket.socket,
        protocol: ServerProtocol,
        owner: ConnectionOwner[Connection],
        account: Account,
        address: PeerAddress,
    ) -> None:
        self._sock = sock
        self.owner = owner
        self.account = account
        self._address = address
        self._unsent: Chunks = ()
        # What the protocol waited for at the last `_enter_for`.
        self._wait = Wait.REQUEST
        self._is_at_end = False
        self._is_greeted = False
        self._has_small_buffer = False
        self._deadlines = Deadlines()
        # How much to read at once; 0 for what has arrived (`_arrived_bytes`).
        self._read_bytes = limits.READ_BYTES
        self._linger_bytes = limits.LINGER_BYTES
        self._on_refusal_dropped: Callable[[], None] | None = None
        # For fair turns: the events that epoll has reported and that are not served
        # yet, and what recent events have cost, or a guess until one is measured.
        self.ready = 0
        self.is_deferred = False
        self.cost_class = NEW_CLASS
        # In which busy time that cost was measured; `FairTurns` numbers them.
        self.busy_time = 0
        # Whether it was there before the present busy time.
        self.is_established = False
        # Less than 0 until its cost is known; the newest connection has the least.
        self.newness = 0
        # When its account was last charged for its keys and lists.
        self.charged_s = owner.now()
        self.fd = sock.fileno()
        self.io_state = _READING
        self.ending: Ending | None = None
        self.interest = select.EPOLLIN
        self.protocol = protocol
        protocol.call_on_release(self._on_release)

    def __repr__(self) -> str:
        return f"<Connection fd={self.fd} {self.io_state.value} {self.protocol!r}>"

    @property
    def is_closed(self) -> bool:
        """Whether its descriptor is closed, and may be another connection's by now."""
        return self.io_state is _CLOSED

    def peek(self, most_bytes: int) -> bytes:
        """Return what has arrived and will be read next; empty if nothing has."""
        try:
            # This must never wait, even if an inherited socket is a blocking one.
            return self._sock.recv(most_bytes, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except OSError:
            # If it is a reset, the kernel has now reported it, and reading will find
            # the end of the stream instead.
            return b""

    def note_cost(self, elapsed_s: float) -> None:
        """Record how long an event of this connection took to serve."""
        self.newness = 0
        if self.io_state is _LINGERING:
            self.cost_class = REFUSED_CLASS
            return
        slice_cost, self.protocol.slice_cost = self.protocol.slice_cost, 0
        self.cost_class = next_class(self.cost_class, elapsed_s, slice_cost)

    def shrink_receive_buffer(self) -> None:
        """Let the kernel keep little of what the peer sends, because it is of a crowd.

        It would keep megabytes for each connection, and small segments take ten times
        that: a thousand connections can use up what the kernel has for all sockets.
        """
        if not self._has_small_buffer:
            self._has_small_buffer = True
            shrink_receive_buffer(self._sock)

    def on_event(self, events: int) -> None:
        """Handle the events that epoll reports, in all but the usual case."""
        if events & select.EPOLLOUT:
            self._on_writable()
        elif events & select.EPOLLIN:
            self.on_readable()
        elif events & ALWAYS_REPORTED:
            self._lose_peer("reset")
        elif events & select.EPOLLRDHUP:
            self._lose_peer("end of stream")

    def on_readable(self) -> None:
        """Read once and answer the requests that the bytes complete."""
        try:
            data = os.read(self.fd, self._read_bytes or self._arrived_bytes())
        except BlockingIOError:
            return
        except OSError as exc:
            self._lose_peer(exc.strerror or "read failed")
            return
        # No other check is needed.  If there is a fast path, the protocol waits for a
        # request, and its last reply has been sent, because nothing is read while one
        # is unsent (`_enter_for`).  The connection is greeted (`_greet`), and does not
        # linger, because a protocol that has failed has no fast path.
        fast_path = self.protocol.fast_path
        if fast_path is None:
            self._on_data(data)
            return
        try:
            reply = fast_path.answer_one(data)
        except PeerError as exc:
            self._advance(self.protocol.fail(exc))
            return
        if reply is None:
            self._on_data(data)
            return
        # The usual case.  `_write` would do the same, but a call of it takes a fiftieth
        # of the time of a pulse.
        try:
            sent_bytes = os.write(self.fd, reply)
        except OSError:
            # It tries again, and handles the error if there still is one.
            self._write((reply,))
            return
        if sent_bytes != len(reply):
            self._keep_unsent((reply,), sent_bytes)

    def _arrived_bytes(self) -> int:
        """Return how much of a large frame to read: what has arrived of it, at least 1.

        A read allocates as much as it asks for, and gives back what it did not need.
        If every read asked for the whole rest, it would fit into none of the holes that
        parts of other frames have left in the heap.  With 64 MiB of such frames and 64
        MiB of stored ones, the heap grew to 260 MiB, instead of 160.  (But asking costs
        time, and more reads are needed: 4 % for a heartbeat of 1 MiB.)
        """
        frames = self.protocol.frames
        left_bytes = frames.frame_bytes - frames.unread_bytes
        return max(1, min(left_bytes, limits.LARGE_READ_BYTES, unread_bytes(self.fd)))

    def _on_data(self, data: bytes) -> None:
        """Answer the requests that some bytes complete; no bytes are the peer's end."""
        if not data or self.io_state is _LINGERING:
            self._on_end(data)
            return
        if not self._is_greeted:
            self._greet(data)
        self._advance(self.protocol.receive_data(data))

    def _on_end(self, data: bytes) -> None:
        """Handle the peer's end of stream, or what it sends after its own refusal."""
        if self.io_state is _LINGERING:
            self._linger_bytes -= len(data)
            if not data or self._linger_bytes < 0:
                self.end(Ending.FINISHED)
        else:
            self._is_at_end = True
            self._enter_for(self._wait)

    def _greet(self, data: bytes) -> None:
        """Log the peer, unless these bytes are those of a health check.

        A health check sends CREATE_PATH, which changes nothing, and disconnects.  Two
        lines every few seconds would make up most of the log.

        The bytes must be exactly one CREATE_PATH.  If others could follow, a peer could
        get a fast path with them, and would never be logged.

        It stays expendable, as if it had sent nothing: it has its reply.
        """
        if _is_create_path(data):
            _logger.debug("%s: connected, with CREATE_PATH", self.protocol.peer)
            return
        self.owner.note_first_bytes(self)
        self._is_greeted = True
        _logger.info("%s: connected", self.protocol.peer)

    def _on_writable(self) -> None:
        if self._unsent and not self._write(self._unsent):
            return
        self.go_on()

    def go_on(self) -> None:
        """Process the next slice of the received requests and send the replies."""
        self._advance(self.protocol.resume())

    def _on_release(self) -> None:
        """Answer the held reads, after any replies that are still unsent."""
        # A connection that waits to send, or for its turn, calls `go_on` later, which
        # answers the released reads in their order.
        is_idle = self._wait is Wait.ANSWER and not self._unsent
        if self.interest == select.EPOLLIN or is_idle:
            self.go_on()
        else:
            # The answers wait for room, and count as buffered until then.
            self._report_buffered_bytes()

    def _advance(self, output: Output) -> None:
        """Send the replies, and do what the protocol waits for then."""
        chunks, wait = output
        if chunks and not self._write(chunks):
            return
        if wait is not _REQUEST or self._wait is not _REQUEST:
            self._enter_for(wait)

    def _write(self, chunks: Chunks) -> bool:
        """Send as much as the kernel takes; return whether that was all of it."""
        try:
            if len(chunks) == 1:
                sent = os.write(self.fd, chunks[0])
                if sent == len(chunks[0]):
                    self._unsent = ()
                    return True
            else:
                # Always far fewer than IOV_MAX, as the protocol joins small chunks.
                sent = os.writev(self.fd, chunks)
        except BlockingIOError:
            sent = 0
        except OSError as exc:
            self._lose_peer(exc.strerror or "write failed")
            return False
        return self._keep_unsent(chunks, sent)

    def _keep_unsent(self, chunks: Chunks, sent_bytes: int) -> bool:
        """Keep what the kernel has not taken; return whether that is nothing."""
        left = drop_sent(chunks, sent_bytes)
        # Only a new wait or a byte taken restarts the clock of `SEND_TIMEOUT_S`.  If
        # every attempt did, a peer that takes nothing would never time out.
        if left and (sent_bytes or not self._unsent):
            self._deadlines.note_sent(self.owner.now(), undelivered_bytes(self.fd))
        self._unsent = left
        if left:
            self._enter_for(Wait.ROOM)
        return not left

    def _enter_for(self, wait: Wait) -> None:
        """Enter the state that follows from what the protocol waits for.

        Args:
            wait: what the protocol waits for.
        """
        self._wait = wait
        # Unsent replies come before everything else, even before the end: nothing can
        # be written after the FIN that `end` sends.  Nothing is read meanwhile, so
        # a peer that does not take its replies cannot make this process queue more.
        if self._unsent or wait is Wait.ROOM:
            # All replies may have been sent by now.  Then the descriptor is writable,
            # and the next turn continues with the unread frames.
            self._enter(IoState.SENDING)
        elif wait is Wait.END:
            self.end(Ending.PEER_ERROR)
        elif self._is_at_end:
            self.end(Ending.FINISHED, reason="end of stream")
        elif wait is Wait.SASL_STEP:
            self._deadlines.begin_sasl(self.owner.now())
            self._enter(IoState.STEPPING)
            self.owner.run_sasl_step(self)
        elif wait is Wait.ANSWER:
            self._enter(IoState.WAITING)
        elif wait is Wait.TURN or wait is Wait.CREDIT:
            self._enter(IoState.WAITING)
            self.owner.yield_turn(self, wait is Wait.CREDIT)
        else:
            self._enter(_READING)
        # A short SASL step ends within `run_sasl_step`, and may close the connection.
        if not self.is_closed:
            self._report_buffered_bytes()

    def _report_buffered_bytes(self) -> None:
        """Tell the thread how many bytes it holds, and whether it has a deadline."""
        protocol, deadlines = self.protocol, self._deadlines
        if protocol.phase is _OPEN:
            deadlines.end_sasl()
        frames = protocol.frames
        unread_bytes = frames.unread_bytes
        if not unread_bytes or self._wait is not Wait.MORE:
            # Nothing is read while replies are unsent or a slice is left over, so the
            # time limit of the frame only starts after that.
            deadlines.end_frame()
        elif deadlines.is_new_frame(frames.frames_received):
            deadlines.begin_frame(frames.frames_received, self.owner.now())
        left_bytes = frames.frame_bytes - unread_bytes
        if left_bytes <= limits.READ_BYTES:
            self._read_bytes = limits.READ_BYTES
        elif self.owner.is_memory_plentiful:
            # Few reads, each as large as the rest of the frame.
            self._read_bytes = min(left_bytes, limits.LARGE_READ_BYTES)
        else:
            self._read_bytes = 0
        buffered_bytes = protocol.buffered_bytes + self.unsent_bytes
        has_deadline = deadlines.has_sasl or self.io_state is _LINGERING
        if self.owner.note_buffered_bytes(self, buffered_bytes, has_deadline):
            self.evict()

    @property
    def unsent_bytes(self) -> int:
        """The number of reply bytes that the kernel has not taken yet."""
        return sum(map(len, self._unsent))

    def overdue(self, now_s: float) -> str | None:
        """Return which time limit the peer has exceeded; None if it has not."""
        deadlines = self._deadlines
        if self.io_state is _LINGERING:
            return deadlines.linger_overdue(now_s)
        if self._unsent:
            deadlines.look_for_progress(now_s, undelivered_bytes(self.fd))
            return deadlines.replies_overdue(now_s)
        if self.is_refusal_withheld:
            # Closing it would tell the peer of the refusal before its turn.
            return None
        return deadlines.request_overdue(now_s, self.protocol.frames.frame_bytes)

    def postpone(self, lost_s: float) -> None:
        """Extend every time limit by the seconds in which this process did not run."""
        self._deadlines.postpone(lost_s)

    def evict(self) -> None:
        """End the connection to make room in the budget of all buffers."""
        buffered_bytes = self.protocol.buffered_bytes + self.unsent_bytes
        if buffered_bytes and not self.is_closed:
            reason = "buffers are full (--buffer-budget, --address-limit buffered=)"
            detail = "its bytes weigh the most by size and age"
            self.end(Ending.EVICTED, LimitError(reason, detail))
            self.owner.note_evicted(buffered_bytes)

    @property
    def is_idle(self) -> bool:
        """Whether its peer has been silent long enough for it to be closed.

        Not while a request is unfinished or unanswered: a read may be held for longer.
        """
        if self.io_state is not _READING or self._wait is not _REQUEST:
            return False
        if unread_bytes(self.fd) or self.protocol.has_pending:
            return False
        return silence_s(self._sock) >= limits.IDLE_S

    def close_if_expendable(self) -> bool:
        """Close it, unless it has sent something by now; return whether it is closed.

        What a new worker has sent may still be in the kernel.
        """
        if self.io_state is not _LINGERING and (
            unread_bytes(self.fd) or (self._is_greeted and not self.is_idle)
        ):
            return False
        self.close_to_make_room("no room for silent connections")
        return True

    def close_to_make_room(self, reason: str) -> None:
        """Close it at once, because its descriptor is needed.

        If it lingers, its own refusal was logged before, and `end` ignores the error
        given here.
        """
        error = LimitError(reason, "raise the limit of descriptors (LimitNOFILE=)")
        self.end(Ending.MADE_ROOM, error)

    @property
    def is_stepping(self) -> bool:
        """Whether a SASL step's outcome is still wanted.  Any thread may ask."""
        return not self.is_closed and self.protocol.phase is Phase.STEPPING

    def finish_step(self, output: Output) -> None:
        """Continue after the protocol has received the outcome of a SASL step."""
        self._on_refusal_dropped = None
        self._advance(output)

    def withhold_refusal(self, on_dropped: Callable[[], None]) -> None:
        """Stay open and silent until `finish_step` tells the peer that it failed.

        The connection still waits for the peer's end of stream.  So a peer cannot
        occupy a descriptor here for longer than it keeps one of its own open.

        Args:
            on_dropped: called if the connection ends before the peer is told.
        """
        self._on_refusal_dropped = on_dropped
        self._enter(IoState.WITHHOLDING)

    @property
    def is_refusal_withheld(self) -> bool:
        """Whether the peer failed to authenticate and has not been told yet."""
        return self._on_refusal_dropped is not None

    def carried_state(self) -> ConnectionState | None:
        """Return the state from which another process can continue, or None.

        Three kinds of connection cannot be carried over and are reset: one in the
        middle of a SASL exchange, one that is ending anyway, and one with so large an
        unfinished frame that copying it would delay everybody else.
        """
        # The size comes first: taking a snapshot copies the bytes.
        is_large = self.protocol.frames.unread_bytes > limits.MAX_CARRIED_UNREAD_BYTES
        if is_large or self.io_state in (_LINGERING, _CLOSED):
            return None
        snapshot = self.protocol.snapshot(b"".join(self._unsent))
        if snapshot is None:
            return None
        frame_began_s, progress_s = self._deadlines.times()
        return ConnectionState(
            fd=self.fd,
            address=self._address,
            is_greeted=self._is_greeted,
            frame_began_s=frame_began_s,
            progress_s=progress_s if self._unsent else 0.0,
            snapshot=snapshot,
        )

    def restore(self, state: ConnectionState) -> None:
        """Continue, with a new protocol object, from the state of another process."""
        snapshot = state.snapshot
        # The replies that were already unsent go out first, and their time limit
        # still counts from the old process.
        if snapshot.unsent:
            self._unsent = (snapshot.unsent,)
            progress_s = state.progress_s or self.owner.now()
            self._deadlines.note_sent(progress_s, undelivered_bytes(self.fd))
            snapshot = snapshot._replace(unsent=b"")
        self._is_greeted = state.is_greeted
        if state.is_greeted:
            self.owner.note_first_bytes(self)
        self._deadlines.restore_frame(state.frame_began_s)
        self.protocol.restore(snapshot)
        if snapshot.unread or self._unsent:
            self._on_writable()

    def drain(self) -> bool:
        """Answer what has arrived, because of a stop.

        Returns:
            Whether the stop may reset the connection: every request is answered, and
            the peer has every reply.
        """
        if self.interest == select.EPOLLIN:
            self.on_readable()
        if self.is_closed or self.is_refusal_withheld:
            return True
        if self.interest != select.EPOLLIN:
            # A request is not answered yet, or its reply is not sent yet.
            return False
        return not unread_bytes(self.fd) and not undelivered_bytes(self.fd)

    def end(
        self, ending: Ending, error: PeerError | None = None, reason: str = ""
    ) -> None:
        """End the connection: now, or once the replies that come before are sent.

        Args:
            ending: which of the ways; `ENDINGS` says what it means.
            error: what the peer is refused for, if this decides it.
            reason: for the log, if there is no error.
        """
        rule = ENDINGS[ending]
        if ending is Ending.FAULT:
            # Even if it is closed already: the exception is a bug all the same.
            rule.log(_logger, self.protocol.peer, exc_info=True)
        if self.is_closed:
            return
        if self.ending is None or ending is Ending.FAULT:
            # The peer's error may have been found before, and may not be logged yet,
            # because replies are still unsent.
            is_refused = self.protocol.error is not None and ending is not Ending.FAULT
            self.ending = Ending.PEER_ERROR if is_refused else ending
        if self.io_state is _LINGERING:
            # Everything is logged and sent.  PEER_ERROR is only `_enter_for` repeating
            # itself; any other ending ends the lingering.
            if ending is not Ending.PEER_ERROR:
                self._close()
        elif error is not None:
            self._refuse(error, rule.close)
        else:
            self._log_end(reason)
            self._close_by(rule.close)

    def _refuse(self, error: PeerError, close: CloseMode) -> None:
        """End the connection for a reason on the server's side."""
        output = self.protocol.fail(error)
        if close is CloseMode.LINGER and not self._unsent:
            # Once the replies are sent, `_enter_for` calls `end` again.
            self._advance(output)
            return
        self._log_end()
        self._close_by(CloseMode.RESET if self._unsent else close)

    def _lose_peer(self, reason: str) -> None:
        """End the connection because the peer can send and receive nothing more."""
        ending = Ending.FINISHED if self._is_at_end else Ending.PEER_LEFT
        self.end(ending, reason=reason)

    def _log_end(self, reason: str = "") -> None:
        """Log the ending that was decided first; `end` has logged a fault already."""
        if self.ending is not None and self.ending is not Ending.FAULT:
            protocol, is_silent = self.protocol, not self._is_greeted
            values = protocol.peer, protocol.error or reason
            ENDINGS[self.ending].log(_logger, *values, is_silent=is_silent)

    def abandon(self) -> None:
        """Reset it without telling its thread, which ends with all its connections."""
        self.ending = Ending.STOPPED
        self.io_state = _CLOSED
        self.protocol.close()
        self._sock.close()

    def _close_by(self, close: CloseMode) -> None:
        """Close the socket at once, or send a FIN and linger."""
        if close is CloseMode.RESET:
            self._close()
            return
        try:
            set_reset_on_close(self._sock, False)
            # After the peer's FIN nothing more arrives, so `close` sends a FIN.  Before
            # it, bytes could still arrive, and the kernel would answer those with a
            # reset: shut down only this direction, and linger.
            if close is CloseMode.FIN or self._is_at_end:
                self._close()
                return
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            # The peer is already gone.
            self._close()
            return
        self._deadlines.begin_linger(self.owner.now())
        self._read_bytes = limits.READ_BYTES
        self._enter(_LINGERING)
        self.owner.note_lingering(self)

    def _close(self) -> None:
        """Close at once, with a reset unless `_close_by` has switched that off."""
        if not self.is_closed:
            self.io_state = _CLOSED
            self.protocol.close()
            self._unsent = ()
            self.owner.forget(self)
            self._sock.close()
            if self._on_refusal_dropped is not None:
                on_dropped, self._on_refusal_dropped = self._on_refusal_dropped, None
                on_dropped()

    def _enter(self, state: IoState) -> None:
        """Enter a state; the only other one is CLOSED, which `_close` enters."""
        self.io_state = state
        interest = INTEREST[state]
        if interest != self.interest:
            self.interest = interest
            self.owner.set_interest(self.fd, interest)


def _is_create_path(data: bytes) -> bool:
    """Return whether bytes are one frame with a CREATE_PATH, as Storm writes it."""
    body_bytes = len(data) - HEAD_SIZE
    if body_bytes < 0 or data[:HEAD_SIZE] != body_bytes.to_bytes(HEAD_SIZE, "big"):
        return False
    message = fast_codec.decode(data, HEAD_SIZE, len(data))
    return message is not None and message.type == messages.CREATE_PATH
