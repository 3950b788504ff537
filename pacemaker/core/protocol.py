"""The protocol: the state of one connection to the server, without its socket.

Bytes go in (`receive_data`), bytes come out (`data_to_send`).  Requests are
answered strictly in order.  When the peer breaks the protocol, `error` says
why, the phase is CLOSED for good, and what was due before is still to be sent.

**Bounded output.**  A small request may have a large reply, so the protocol
stops reading once `MAX_DUE_BYTES` wait to be sent (`is_blocked`); the frames
behind stay unread, and `resume` goes on when the replies are on their way.  (Pulses
to one key are answered together; their replies are smaller than they are.)

**Bounded work.**  One call reads no more than a *slice* of messages, `SLICE_COST`
in all; what is left waits (`has_more`) until the owner calls `resume`, after it
has served others.  So nobody is kept waiting for what one peer has sent at once.

**SASL.**  A connection to a server with authentication begins in SASL_DUE.  A
step may be slow, so the protocol does not take it: it stands still in
STEPPING until its owner has run `run_step`, on whatever thread, and handed
the outcome to `finish_step`.  An ordinary message before the exchange is
complete takes SASL off the connection for good: it is served, and may never
read.  (Storm's ``SaslStormServerHandler``, ``KerberosSaslServerHandler``.)

    SASL_DUE ──token──▶ STEPPING ──more──▶ SASL_BEGUN ──token──▶ STEPPING
        │                   └──complete──▶ OPEN          ┌──────────┘
        └──── ordinary message ──────────▶ OPEN ◀── ordinary message

**Held reads.**  After a start, misses are held (`pacemaker.core.pending_reads`): such
a read is answered out of its order, later, by `resume`, which the owner is asked for
(`call_on_release`).

**Its whole state** is a `Snapshot`, from which another process goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum
from itertools import groupby
from typing import Final, NamedTuple, TypeAlias

from pacemaker.core.accounts import NOBODY, Account
from pacemaker.core.dispatch import Dispatcher, trace_of
from pacemaker.core.listing import Listing, shown
from pacemaker.core.pending_reads import HeldReads, Holding
from pacemaker.core.worker_pulses import MAX_KEY_CHARACTERS, WorkerPulses
from pacemaker.errors import AuthenticationError, OutOfPlaceError, PeerError
from pacemaker.sasl.mechanism import ServerMechanism
from pacemaker.wire import canonical, control, messages
from pacemaker.wire.frames import FrameReader
from pacemaker.wire.messages import NO_MESSAGE_ID, Message

_logger: Final = logging.getLogger(__name__)

# More than a reply to a worker or to Nimbus ever takes, and little enough for
# thousands of peers that do not read theirs.
MAX_DUE_BYTES: Final = 256 * 1024

# What one call may cost, in units of a pulse that is read the short way (some 4 us):
# a quarter of a millisecond.
SLICE_COST: Final = 64
# The same of other messages: of a request of Storm's, of one that is written in any
# other way, of a worker's pulses taken together, and of 32 KiB in any of them.
_REQUEST_COST: Final = 4
_ODD_COST: Final = 8
_WORKER_COST: Final = 16
_BYTES_PER_COST: Final = 32 * 1024

# Well-formed messages that are no request.  Storm 2.x leaves the connection open, and
# so do we as long as it can be a mistake; Storm's clients send none.
MAX_USELESS: Final = 100


class Phase(Enum):
    """What is due on a connection."""

    OPEN = "open"
    SASL_DUE = "sasl-due"
    SASL_BEGUN = "sasl-begun"
    STEPPING = "stepping"
    CLOSED = "closed"


# Looked up once: in CPython 3.11 each look at a member of an enum passes through
# a function in Python, which would take a quarter of what a pulse takes.
_OPEN: Final = Phase.OPEN
_CLOSED: Final = Phase.CLOSED

_READING: Final = (Phase.OPEN, Phase.SASL_DUE, Phase.SASL_BEGUN)

StepOutcome: TypeAlias = bytes | AuthenticationError | None


class Snapshot(NamedTuple):
    """The state of a connection between two requests.

    Attributes:
        authenticated: whether it may read.
        sasl_due: whether an exchange may still begin on it.
        user: who authenticated; None where nobody has.
        unread: bytes that came and were not yet read; the requests that are held,
            and one whose list is being written, come first in it, and are looked up
            again when they are read back.
        unsent: bytes that are due and were not yet sent.
    """

    authenticated: bool
    sasl_due: bool
    user: str | None
    unread: bytes
    unsent: bytes


class ServerProtocol:
    """One connection.  Only one thread at a time may call it.

    Args:
        dispatcher: answers the requests.
        max_body_bytes: the largest message that is read.
        mechanism: authenticates the peer; None where nobody has to.
        peer: the peer's name in the log.
        holding: holds the misses; None where they are never held.
        account: what the peer's address uses.

    Attributes:
        phase: what is due.
        has_more: whether frames may be unread only because a slice was full.
        has_charged: whether the last slice made new keys or was given lists, which
            the account has to have time for.
        authenticated: whether the peer may read.
        user: who it is, if it authenticated.
        error: why the connection is CLOSED, if the peer is at fault.
        account: counts what the peer uses.
    """

    __slots__ = (
        "_dispatcher",
        "_due",
        "_due_bytes",
        "_frames",
        "_last_key",
        "_listing",
        "_mechanism",
        "_reads",
        "_token",
        "_traced",
        "_useless",
        "_worker",
        "account",
        "authenticated",
        "error",
        "has_charged",
        "has_more",
        "peer",
        "phase",
        "user",
    )

    def __init__(
        self,
        dispatcher: Dispatcher,
        max_body_bytes: int,
        mechanism: ServerMechanism | None = None,
        peer: str = "",
        holding: Holding | None = None,
        account: Account = NOBODY,
    ) -> None:
        self._dispatcher = dispatcher
        self._frames = FrameReader(max_body_bytes)
        self._mechanism = mechanism
        self._token = b""
        self._due: list[bytes] = []
        self._due_bytes = 0
        self._reads: HeldReads | None = (
            None if holding is None else holding.new_reads(account)
        )
        # Answers the pulses of a peer that has sent two in succession to one key;
        # there is none while misses are held, or once CLOSED.
        self._worker: WorkerPulses | None = None
        self._last_key: str | None = None
        # A list that is being written; nothing is read meanwhile.
        self._listing: Listing | None = None
        # What the log has of this peer already (`trace_of`).
        self._traced: tuple[tuple[int, str], ...] = ()
        self._useless = 0
        self.has_more = False
        self.has_charged = False
        self.account = account
        self.peer = peer
        self.phase = Phase.OPEN if mechanism is None else Phase.SASL_DUE
        self.authenticated = mechanism is None
        self.user: str | None = None
        self.error: PeerError | None = None

    def __repr__(self) -> str:
        return (
            f"<ServerProtocol peer={self.peer!r} phase={self.phase.value}"
            f" authenticated={self.authenticated} user={self.user!r}>"
        )

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the peer, and carry out the requests that they complete.

        No more of them than a slice: see `has_more`.
        """
        if self.phase is not _CLOSED:
            self._frames.receive(data)
            self._read_frames()

    def answer_pulse(self, data: bytes) -> bytes | None:
        """Carry out the pulse of a worker, where that is all there is to do.

        The short way through for nearly everything that ever comes, with the
        outcome of `receive_data` and `data_to_send`.

        Returns:
            The reply, which is due to the peer now.  None where nothing was done, so
            that these two have to be called, and where the connection was ended.
        """
        worker = self._worker
        if worker is None or self._due or self._frames.unread_bytes:
            return None
        try:
            return worker.answer_one(data)
        except PeerError as exc:
            self.fail(exc)
            return None

    def resume(self) -> None:
        """Go on with what waits, as far as the bound on replies allows."""
        self._read_frames()
        if self._reads is not None and not self.has_more:
            # Only now: what lay unread may be the same reads, sent again.
            self._answer_released(self._reads)

    def call_on_release(self, function: Callable[[], None]) -> None:
        """Have a function called when held reads can be answered, by `resume`.

        It is not called any more once the phase is CLOSED, or after `drop_held`.
        """
        if self._reads is not None:
            self._reads.on_release = function

    def drop_held(self) -> None:
        """Drop the reads that are held: nobody will take their replies."""
        if self._reads is not None:
            self._reads.drop_all()
            self._reads = None

    def _read_frames(self) -> None:
        """Carry out a slice of the messages that are there."""
        if self._reads is not None:
            self._begin_batch(self._reads)
        account = self.account
        charged = account.new_keys + account.lists
        self._read_slice()
        self.has_charged = account.new_keys + account.lists != charged

    def _read_slice(self) -> None:
        self.has_more = False
        cost_left = SLICE_COST
        try:
            while self.phase in _READING and self._due_bytes < MAX_DUE_BYTES:
                if self._listing is not None:
                    self._go_on_listing(self._listing)
                    cost_left = 0
                if cost_left <= 0:
                    self.has_more = self._is_more_to_do
                    break
                if self._worker is not None and self._answer_worker(self._worker):
                    cost_left -= _WORKER_COST
                    continue
                frame = self._frames.next()
                if frame is None:
                    return
                cost_left -= self._read(*frame)
            self._frames.let_go()
        except PeerError as exc:
            self.fail(exc)

    def data_to_send(self) -> list[bytes]:
        """Hand over the bytes that are due to the peer, in few chunks, or in none."""
        if self._reads is not None and self.has_more and not self.is_blocked:
            # What is unread may be the same reads, sent again: one reply is due.
            return []
        due = self._due
        if due:
            self._due = []
            self._due_bytes = 0
        return due if len(due) < 2 else _join_small(due)

    @property
    def is_blocked(self) -> bool:
        """Whether frames may be unread only because too much is due."""
        return self._due_bytes >= MAX_DUE_BYTES

    @property
    def _is_more_to_do(self) -> bool:
        return self._listing is not None or self._frames.unread_bytes > 0

    @property
    def unread_bytes(self) -> int:
        """How many bytes came and were not yet read."""
        return self._frames.unread_bytes

    @property
    def held_bytes(self) -> int:
        """The memory of what came and was not yet read, and of a list in the making."""
        listed_bytes = 0 if self._listing is None else self._listing.size_bytes
        return self._frames.unread_bytes + listed_bytes

    @property
    def frame_bytes(self) -> int:
        """The stated size of the frame that has begun; 0 where none has."""
        return self._frames.frame_bytes

    @property
    def frames_rcvd(self) -> int:
        """How many complete frames `receive_data` has taken."""
        return self._frames.frames_rcvd

    @property
    def is_step_slow(self) -> bool:
        """Whether the step that is due may take long."""
        return self._mechanism is not None and self._mechanism.is_slow

    @property
    def is_step_last(self) -> bool:
        """Whether the step that `run_step` has taken completes the exchange."""
        return self._mechanism is not None and self._mechanism.complete

    def run_step(self) -> StepOutcome:
        """Take the step that is due; nothing else of this object is touched by it."""
        assert self._mechanism is not None  # noqa: S101  (the phase says so)
        token, self._token = self._token, b""
        try:
            return self._mechanism.step(token)
        except AuthenticationError as exc:
            return exc

    def finish_step(self, outcome: StepOutcome) -> None:
        """Take what `run_step` gave, and go on with what is unread."""
        if self.phase is not Phase.STEPPING:
            return
        if isinstance(outcome, AuthenticationError):
            self.fail(outcome)
            return
        if outcome is not None:
            self._send(control.token_message(outcome))
        self.phase = Phase.SASL_BEGUN
        if self._mechanism is not None and self._mechanism.complete:
            self._complete(self._mechanism)
        self.resume()

    def fail(self, error: PeerError) -> None:
        """End the connection: nothing more is read, what is due may still go out.

        The first reason stays, whatever else goes wrong before all is sent.
        """
        if self.error is None:
            # These would keep the message alive, and this object with it.
            error.__traceback__ = error.__cause__ = error.__context__ = None
            self.error = error
        self.phase = Phase.CLOSED
        self.has_more = False
        self._listing = None
        self._frames = FrameReader(0)
        self._worker = None
        self.drop_held()

    def snapshot(self, unsent: bytes = b"") -> Snapshot | None:
        """Write out the state, unless the connection is closed or amid SASL.

        Args:
            unsent: what was handed over by `data_to_send` and has not gone out.
        """
        if self.phase not in (Phase.OPEN, Phase.SASL_DUE):
            return None
        held = b"" if self._reads is None else self._reads.frames
        listed = b"" if self._listing is None else self._listing.frame
        return Snapshot(
            self.authenticated,
            self.phase is Phase.SASL_DUE,
            self.user,
            held + listed + self._frames.unread,
            unsent + b"".join(self._due),
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Read back a state into a new object; `resume` then goes on from it."""
        if not snapshot.sasl_due:
            self.phase, self._mechanism = Phase.OPEN, None
        self.authenticated = snapshot.authenticated
        self.user = snapshot.user
        self._frames.receive(snapshot.unread)
        if snapshot.unsent:
            self._queue(snapshot.unsent)

    def _read(self, data: bytes, start: int, end: int) -> int:
        """Carry out the message in the body of one frame; return what it costs."""
        size_cost = (end - start) // _BYTES_PER_COST
        if self.phase is _OPEN and self._reads is None:
            # The pulse of a worker, the short way through.
            pulse = canonical.read_pulse(data, start, end)
            if pulse is not None:
                key, details, message_id = pulse
                self._dispatcher.store_pulse(key, details, self.account)
                self._queue(canonical.write_pulse_response(message_id))
                self._note_key(key)
                return 1 + size_cost
        cost = _REQUEST_COST
        message = canonical.read(data, start, end)
        if message is None:
            cost = _ODD_COST
            message = messages.decode(data[start:end])
        if self._reads is not None and self.authenticated:
            self._handle_in_hold(self._reads, message)
        else:
            self._handle(message)
        return cost + size_cost

    def _note_key(self, key: str) -> None:
        """Take a peer that sends two pulses to one key in succession for its worker."""
        if len(key) > MAX_KEY_CHARACTERS:
            return
        if key != self._last_key:
            self._last_key = key
        elif self._worker is None or self._worker.key != key:
            self._worker = self._dispatcher.worker_pulses(key, self.account)

    def _answer_worker(self, worker: WorkerPulses) -> bool:
        """Answer the worker's pulses, if such come next; False where none does."""
        unread = self._frames.peek()
        answered = None if unread is None else worker.answer(*unread)
        if answered is None:
            return False
        end, count, replies = answered
        self._frames.skip(end, count)
        self._queue(replies)
        return True

    def _begin_batch(self, reads: HeldReads) -> None:
        if reads.is_over:
            self._reads = None
        elif not self._due:
            # The replies to the last one are handed over.
            reads.begin_batch()

    def _handle_in_hold(self, reads: HeldReads, message: Message) -> None:
        """Carry out a message, unless it has to wait."""
        kind, path, message_id = message
        if message_id is None or message_id == NO_MESSAGE_ID:
            self._handle(message)
            return
        for number in reads.supersede(message_id):
            self._due_bytes -= len(self._due[number])
            self._due[number] = b""
        if kind != messages.GET_PULSE or not isinstance(path, str):
            self._handle(message)
        elif reads.hold(path, message_id):
            _logger.debug("%s: held: id=%d %r", self.peer, message_id, path)
        else:
            first = len(self._due)
            self._handle(message)
            reads.note_answered(message_id, range(first, len(self._due)))

    def _answer_released(self, reads: HeldReads) -> None:
        while self._due_bytes < MAX_DUE_BYTES:
            read = reads.next_released()
            if read is None:
                return
            message = Message(messages.GET_PULSE, read.key, read.message_id)
            self._handle(message)

    def _handle(self, message: Message) -> None:
        if self.phase is not _OPEN:
            if self._begin_step(message):
                return
            self.phase, self._mechanism = Phase.OPEN, None
        reply = self._dispatcher.reply_to(message, self.authenticated, self.account)
        if not self.authenticated:
            self._trace(message)
        if isinstance(reply, Listing):
            self._listing = reply
        elif reply is not None:
            self._send(reply)
        else:
            self._note_useless(messages.name_of(message.type))

    def _note_useless(self, name: str) -> None:
        """Bear with some messages that are no request; say so once."""
        self._useless += 1
        if self._useless == 1:
            _logger.warning("%s: %s is no request; not answered", self.peer, name)
        if self._useless > MAX_USELESS:
            raise OutOfPlaceError(
                "too many messages that are no request",
                f"more than {MAX_USELESS}, the last a {name}",
            )

    def _begin_step(self, message: Message) -> bool:
        """Take a message of the exchange; False where it is an ordinary one."""
        if message.type == messages.CONTROL_MESSAGE:
            self._token = self._requested_token(control.read_code(message))
        elif message.type == messages.SASL_MESSAGE_TOKEN:
            if self.phase is Phase.SASL_DUE and self._begins_with_request:
                raise OutOfPlaceError("SASL token before its request")
            self._token = control.read_token(message)
        else:
            return False
        self.phase = Phase.STEPPING
        return True

    def _requested_token(self, code: int) -> bytes:
        is_due = self.phase is Phase.SASL_DUE and self._begins_with_request
        if code != control.SASL_TOKEN_MESSAGE_REQUEST or not is_due:
            raise OutOfPlaceError("control message out of place", str(code))
        return b""

    @property
    def _begins_with_request(self) -> bool:
        return self._mechanism is not None and self._mechanism.begins_with_request

    def _complete(self, mechanism: ServerMechanism) -> None:
        # Before any reply: a client fails on one that comes ahead of the -203.
        self.authenticated = True
        self.user = mechanism.user
        for _ in range(mechanism.completion_count):
            self._send(control.control_message(control.SASL_COMPLETE_REQUEST))
        self.phase, self._mechanism = Phase.OPEN, None

    def _go_on_listing(self, listing: Listing) -> None:
        """Write one slice of a list; a step takes as long as a slice may."""
        chunks = listing.step()
        if chunks is not None:
            self._listing = None
            for chunk in chunks:
                self._queue(chunk)

    def _trace(self, message: Message) -> None:
        """Log what a peer does without authentication, the first time of each kind."""
        trace = trace_of(message)
        if trace is None or trace in self._traced:
            return
        self._traced += (trace,)
        level, what = trace
        _logger.log(
            level,
            "%s: %s, the peer has not authenticated: %s %s"
            " (more on this connection are only counted)",
            self.peer,
            what,
            messages.name_of(message.type),
            shown(str(message.data)),
        )

    def _send(self, message: Message) -> None:
        for chunk in canonical.write(message) or (messages.encode(message),):
            self._queue(chunk)

    def _queue(self, data: bytes) -> None:
        self._due.append(data)
        self._due_bytes += len(data)


def _join_small(chunks: list[bytes]) -> list[bytes]:
    """Join what is small, leave what is large where it is."""
    joined: list[bytes] = []
    for is_large, run in groupby(chunks, key=_is_large):
        small_or_large = list(run)
        joined += small_or_large if is_large else [b"".join(small_or_large)]
    return joined


def _is_large(chunk: bytes) -> bool:
    return len(chunk) >= canonical.LARGE_BYTES
