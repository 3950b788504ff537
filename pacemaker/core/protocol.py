"""The protocol: the state of one connection to the server, without its socket.

Bytes go in (`receive_data`), and bytes come out (`data_to_send`).  Requests are
answered strictly in order, except for held reads.  When the peer breaks the protocol,
`error` says why and the phase is CLOSED for good.  The replies that were pending by
then can still be sent.

**Bounded output.**  A small request may have a large reply, so the protocol stops
reading once `MAX_DUE_BYTES` wait to be sent (`is_blocked`).  The frames that follow
stay unread until the replies are on their way and the owner calls `resume`.  (A
worker's pulses to one key are answered together, without this check between them:
their replies are smaller than they are.)

**Bounded work.**  One call reads no more than a *slice* of messages, which cost
`SLICE_COST` together.  The rest waits (`has_more`) until the owner has served other
connections and calls `resume`.  So however much one peer sends at once, the other
peers do not have to wait for all of it.

**SASL.**  A connection to a server with authentication begins in SASL_DUE.  A step may
be slow, so the protocol does not take it itself.  It pauses in STEPPING until its
owner has called `run_step`, on any thread, and has passed the outcome to
`finish_step`.  An ordinary message before the exchange is complete ends SASL on this
connection for good: the connection is served, but it may never read.  (Storm's
``SaslStormServerHandler``, ``KerberosSaslServerHandler``.)

    SASL_DUE ──token──▶ STEPPING ──more──▶ SASL_BEGUN ──token──▶ STEPPING
        │                   └──complete──▶ OPEN          ┌──────────┘
        └──── ordinary message ──────────▶ OPEN ◀── ordinary message

**Held reads.**  After a start, misses are held (`pacemaker.core.pending_reads`).  A
held read is answered later and out of order: when it is released, the function passed
to `call_on_release` is called, and the owner calls `resume`.

**State.**  A `Snapshot` is the whole state of a connection.  Another process can
continue the connection from it.
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
from pacemaker.core.pending_reads import LaterAnswers, PendingReads
from pacemaker.core.worker_pulses import MAX_KEY_CHARACTERS, WorkerPulses
from pacemaker.errors import AuthenticationError, OutOfPlaceError, PeerError
from pacemaker.sasl.mechanism import ServerMechanism
from pacemaker.wire import canonical, control, messages
from pacemaker.wire.frames import FrameReader
from pacemaker.wire.messages import NO_MESSAGE_ID, Message

_logger: Final = logging.getLogger(__name__)

# More than any reply to a worker or to Nimbus takes, and so little that thousands of
# peers may leave their replies unread.
MAX_DUE_BYTES: Final = 256 * 1024

# What one call may cost: a quarter of a millisecond.  The unit is a pulse that takes
# the fast path (some 4 us).
SLICE_COST: Final = 64
# The costs of other messages in the same unit: a request as Storm writes it, a request
# written in any other way, one run of a worker's pulses that are answered together, and
# each 32 KiB of any message.
_REQUEST_COST: Final = 4
_ODD_COST: Final = 8
_WORKER_COST: Final = 16
_BYTES_PER_COST: Final = 32 * 1024

# How many well-formed messages that are not requests a peer may send.  Storm's clients
# send none.  Storm 2.x leaves the connection open, and so do we, as long as it may be
# a mistake.
MAX_USELESS: Final = 100


class Phase(Enum):
    """What a connection expects next."""

    OPEN = "open"
    SASL_DUE = "sasl-due"
    SASL_BEGUN = "sasl-begun"
    STEPPING = "stepping"
    CLOSED = "closed"


# Looked up once.  In CPython 3.11, each access to a member of an enum calls a function
# written in Python, which would take a quarter of the time of a pulse.
_OPEN: Final = Phase.OPEN
_CLOSED: Final = Phase.CLOSED

_READING: Final = (Phase.OPEN, Phase.SASL_DUE, Phase.SASL_BEGUN)

StepOutcome: TypeAlias = bytes | AuthenticationError | None


class Snapshot(NamedTuple):
    """The state of a connection between two requests.

    Attributes:
        authenticated: whether it may read.
        sasl_due: whether an exchange may still begin on it.
        user: the authenticated user; None if nobody has authenticated.
        unread: bytes that were received but not read yet.  The held reads and the
            request whose list is being written come first, as frames: the next
            process carries them out again.
        unsent: bytes that must still be sent.
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
        mechanism: authenticates the peer; None if peers need not authenticate.
        peer: the peer's name in the log.
        holding: answers some requests later; None if none is answered later.
        account: the account of the peer's address.

    Attributes:
        phase: what the connection expects next.
        has_more: whether frames may be unread only because a slice was full.
        has_charged: whether the last slice created keys or requested lists.  The owner
            then has to settle the account before the connection goes on.
        authenticated: whether the peer may read.
        user: the peer's user, if it has authenticated.
        error: why the connection is CLOSED, if the peer is at fault.
        account: the account of the peer's address.
    """

    __slots__ = (
        "_dispatcher",
        "_due",
        "_due_bytes",
        "_frames",
        "_is_waiting",
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
        holding: LaterAnswers | None = None,
        account: Account = NOBODY,
    ) -> None:
        self._dispatcher = dispatcher
        self._frames = FrameReader(max_body_bytes)
        self._mechanism = mechanism
        self._token = b""
        self._due: list[bytes] = []
        self._due_bytes = 0
        self._reads: PendingReads | None = (
            None if holding is None else holding.new_reads(account)
        )
        # Whether a request without a message id is answered later.  The replies to such
        # requests must be in order, so no frame is read until then.
        self._is_waiting = False
        # Answers the pulses of a peer that has sent two consecutive pulses to one key.
        # It is None while misses are held and once the phase is CLOSED.
        self._worker: WorkerPulses | None = None
        self._last_key: str | None = None
        # A list that is being written.  No frame is read until it is complete.
        self._listing: Listing | None = None
        # What has been logged about this peer already (`trace_of`).
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
        """Receive bytes from the peer, and carry out the requests that they complete.

        One call carries out one slice at most: see `has_more`.
        """
        if self.phase is not _CLOSED:
            self._frames.receive(data)
            self._read_frames()

    def answer_pulse(self, data: bytes) -> bytes | None:
        """Carry out one pulse of a worker, if the bytes are exactly that.

        This is a fast path for nearly everything that arrives.  It has the same effect
        as `receive_data` followed by `data_to_send`.

        Returns:
            The reply, which must be sent now.  None if nothing was done, so that the
            caller has to use those two methods, or if the connection has failed.
        """
        worker = self._worker
        # Pending replies and unread bytes come first: replies are sent in order.
        if worker is None or self._due or self._frames.unread_bytes:
            return None
        try:
            return worker.answer_one(data)
        except PeerError as exc:
            self.fail(exc)
            return None

    def resume(self) -> None:
        """Continue with unread frames and released reads, within the bounds."""
        self._read_frames()
        if self._reads is not None and not self.has_more:
            # Only after everything is read.  An unread frame may be the same read,
            # sent again; if the released one were answered first, the client would
            # get two replies.
            self._answer_released(self._reads)

    def call_on_release(self, function: Callable[[], None]) -> None:
        """Set the function that is called when `resume` can answer held reads.

        It is not called any more once the phase is CLOSED, or after `drop_held`.
        """
        if self._reads is not None:
            self._reads.on_release = function

    def drop_held(self) -> None:
        """Drop the held reads, because nobody will receive their replies."""
        if self._reads is not None:
            self._reads.drop_all()
            self._reads = None

    def _read_frames(self) -> None:
        """Carry out a slice of the messages that have arrived."""
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
                if self._is_waiting:
                    return
                # A list comes before the next frame, since replies are in order.
                # One step of it is a whole slice, whatever was read before.
                if self._listing is not None:
                    self._go_on_listing(self._listing)
                    cost_left = 0
                if cost_left <= 0:
                    self.has_more = self._is_more_to_do
                    break
                # The cost is the same for any number of pulses: they are checked, but
                # only the last one is stored.
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
        """Return the bytes to send to the peer, in a few chunks, and forget them."""
        if self._reads is not None and self.has_more and not self.is_blocked:
            # Keep the replies until the whole batch is read.  An unread frame may be
            # one of the same reads, sent again.  Then `_handle_in_hold` removes the
            # first reply, since the client expects only one.  If the protocol is
            # blocked, it reads nothing until replies are sent: keeping them would be
            # a deadlock.
            return []
        due = self._due
        if due:
            self._due = []
            self._due_bytes = 0
        return due if len(due) < 2 else _join_small(due)

    @property
    def is_blocked(self) -> bool:
        """Whether frames may be unread only because too many bytes wait to be sent."""
        return self._due_bytes >= MAX_DUE_BYTES

    @property
    def is_waiting(self) -> bool:
        """Whether frames may be unread because an answer comes later."""
        return self._is_waiting

    @property
    def _is_more_to_do(self) -> bool:
        return self._listing is not None or self._frames.unread_bytes > 0

    @property
    def unread_bytes(self) -> int:
        """How many bytes were received but not read yet."""
        return self._frames.unread_bytes

    @property
    def held_bytes(self) -> int:
        """The memory of unread bytes and of a list that is being written."""
        listed_bytes = 0 if self._listing is None else self._listing.size_bytes
        return self._frames.unread_bytes + listed_bytes

    @property
    def frame_bytes(self) -> int:
        """The stated size of the frame that has begun; 0 if none has begun."""
        return self._frames.frame_bytes

    @property
    def frames_rcvd(self) -> int:
        """How many complete frames have been read."""
        return self._frames.frames_rcvd

    @property
    def is_step_slow(self) -> bool:
        """Whether the next SASL step may take long."""
        return self._mechanism is not None and self._mechanism.is_slow

    @property
    def is_step_last(self) -> bool:
        """Whether the step taken by `run_step` has completed the exchange."""
        return self._mechanism is not None and self._mechanism.complete

    def run_step(self) -> StepOutcome:
        """Take the pending SASL step.

        It may run on any thread: while the phase is STEPPING, nothing else uses the
        mechanism and the token, and this touches no other state.
        """
        assert self._mechanism is not None  # noqa: S101  (the phase says so)
        token, self._token = self._token, b""
        try:
            return self._mechanism.step(token)
        except AuthenticationError as exc:
            return exc

    def finish_step(self, outcome: StepOutcome) -> None:
        """Apply the outcome of `run_step`, and continue with the unread frames."""
        # The connection may have ended while the step ran.
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
        """End the connection: read nothing more, but keep the pending replies.

        `error` stays the first one, whatever else fails before the replies are sent.
        """
        if self.error is None:
            # The traceback's frames would keep the message and this object alive.
            error.__traceback__ = error.__cause__ = error.__context__ = None
            self.error = error
        self.phase = Phase.CLOSED
        self.has_more = False
        self._listing = None
        self._frames = FrameReader(0)
        self._worker = None
        self.drop_held()

    def snapshot(self, unsent: bytes = b"") -> Snapshot | None:
        """Return the state, or None if closed or during a SASL exchange.

        Args:
            unsent: what `data_to_send` has returned but has not been sent yet.
        """
        # A snapshot has no place for the state of a mechanism, so nobody could continue
        # an exchange that has begun.
        if self.phase not in (Phase.OPEN, Phase.SASL_DUE):
            return None
        reads = self._reads
        held = b"" if reads is None else reads.frames
        acks = b"" if reads is None else reads.acks
        listed = b"" if self._listing is None else self._listing.frame
        return Snapshot(
            self.authenticated,
            self.phase is Phase.SASL_DUE,
            self.user,
            held + listed + self._frames.unread,
            unsent + b"".join(self._due) + acks,
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Restore a state into a new object; `resume` then continues from it."""
        if not snapshot.sasl_due:
            self.phase, self._mechanism = Phase.OPEN, None
        self.authenticated = snapshot.authenticated
        self.user = snapshot.user
        self._frames.receive(snapshot.unread)
        if snapshot.unsent:
            self._queue(snapshot.unsent)

    def _read(self, data: bytes, start: int, end: int) -> int:
        """Carry out the message in the body of one frame; return its cost."""
        size_cost = (end - start) // _BYTES_PER_COST
        # The fast path of a worker's pulse.  Not while misses are held: then a message
        # may have to supersede a held read with the same message id.
        if self.phase is _OPEN and self._reads is None:
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
        if self.phase is not _OPEN and self._begin_step(message):
            return cost + size_cost
        if self._reads is None:
            self._handle(message)
        else:
            self._handle_or_hold(self._reads, message)
        return cost + size_cost

    def _note_key(self, key: str) -> None:
        """Treat a peer that sends two consecutive pulses to one key as its worker."""
        # Not after one pulse: what `WorkerPulses` prepares would be wasted on a peer
        # that writes a different key each time.
        if len(key) > MAX_KEY_CHARACTERS:
            return
        if key != self._last_key:
            self._last_key = key
        elif self._worker is None or self._worker.key != key:
            self._worker = self._dispatcher.worker_pulses(key, self.account)

    def _answer_worker(self, worker: WorkerPulses) -> bool:
        """Answer the worker's pulses that come next; return False if none does."""
        unread = self._frames.peek()
        answered = None if unread is None else worker.answer(*unread)
        if answered is None:
            return False
        end, count, replies = answered
        self._frames.skip(end, count)
        self._queue(replies)
        return True

    def _begin_batch(self, reads: PendingReads) -> None:
        if reads.is_over:
            self._reads = None
        elif not self._due:
            # The replies of the last batch were returned by `data_to_send`, so they
            # can no longer be removed.  While some are pending, the batch goes on: the
            # indices in it refer to `_due`.
            reads.begin_batch()

    def _handle_or_hold(self, reads: PendingReads, message: Message) -> None:
        """Carry out a message now, or let it be answered later."""
        message_id = message.message_id
        has_id = message_id is not None and message_id != NO_MESSAGE_ID
        if has_id:
            # Any request ends an earlier read with its id, not only a read: the client
            # would take the reply to the read for the reply to this request.  The chunk
            # is emptied and not removed, so that the other indices stay right.
            for number in reads.supersede(message):
                self._due_bytes -= len(self._due[number])
                self._due[number] = b""
        if reads.hold(message, self.authenticated):
            self._is_waiting = not has_id
            _logger.debug(
                "%s: held: id=%s %r", self.peer, message.message_id, message.data
            )
            return
        first = len(self._due)
        self._handle(message)
        if has_id and self.authenticated and message.type == messages.GET_PULSE:
            reads.note_answered(message_id or 0, range(first, len(self._due)))

    def _answer_released(self, reads: PendingReads) -> None:
        while self._due_bytes < MAX_DUE_BYTES and self._listing is None:
            message = reads.next_released()
            if message is None:
                return
            self._handle(message)
            if self._is_waiting and message.message_id in (None, NO_MESSAGE_ID):
                self._is_waiting = False
                self.has_more = self._is_more_to_do
            if self._listing is not None:
                # It is written, and the other released reads are answered, later.
                self.has_more = True

    def _handle(self, message: Message) -> None:
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
        """Tolerate some messages that are not requests; log only the first."""
        self._useless += 1
        if self._useless == 1:
            _logger.warning("%s: %s is no request; not answered", self.peer, name)
        if self._useless > MAX_USELESS:
            raise OutOfPlaceError(
                "too many messages that are no request",
                f"more than {MAX_USELESS}, the last a {name}",
            )

    def _begin_step(self, message: Message) -> bool:
        """Begin the step of a SASL message.

        Returns:
            False for an ordinary message, which ends SASL on this connection.
        """
        if message.type == messages.CONTROL_MESSAGE:
            self._token = self._requested_token(control.read_code(message))
        elif message.type == messages.SASL_MESSAGE_TOKEN:
            if self.phase is Phase.SASL_DUE and self._begins_with_request:
                raise OutOfPlaceError("SASL token before its request")
            self._token = control.read_token(message)
        else:
            self.phase, self._mechanism = Phase.OPEN, None
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
        # Before any reply: a client fails if a reply arrives before the -203.
        self.authenticated = True
        self.user = mechanism.user
        for _ in range(mechanism.completion_count):
            self._send(control.control_message(control.SASL_COMPLETE_REQUEST))
        self.phase, self._mechanism = Phase.OPEN, None

    def _go_on_listing(self, listing: Listing) -> None:
        """Take one step of a list, which takes as long as a slice may take."""
        chunks = listing.step()
        if chunks is not None:
            self._listing = None
            for chunk in chunks:
                self._queue(chunk)

    def _trace(self, message: Message) -> None:
        """Log the first unauthenticated action of each kind on this connection."""
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
    """Join neighbouring small chunks; do not copy large ones."""
    joined: list[bytes] = []
    for is_large, run in groupby(chunks, key=_is_large):
        small_or_large = list(run)
        joined += small_or_large if is_large else [b"".join(small_or_large)]
    return joined


def _is_large(chunk: bytes) -> bool:
    return len(chunk) >= canonical.LARGE_BYTES
