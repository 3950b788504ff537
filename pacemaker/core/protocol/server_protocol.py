"""The protocol: the state of one connection to the server, without its socket.

Bytes go in, and each call tells the owner what to do next: which bytes to send, and
what to wait for (`Wait`).  Requests are answered strictly in order, except for those
that `PendingRequests` answers later: held reads, and in a relay all reads, lists and
deletes.  When the peer breaks the protocol, `error` says why and the phase is CLOSED
for good.  The replies to earlier requests are still sent.

**The contract.**  `pacemaker.core.protocol.contract` says what the owner has to do
after each call, and when it may ask the fast path.

**Bounded output.**  A small request may have a large reply, so the protocol reads no
more frames once `Outgoing` is full (ROOM).  The frames that follow
stay unread until the replies are on their way.  (A worker's pulses to one key are
answered together, without this check between them: a reply is smaller than its pulse.)

**Bounded work.**  One call handles no more than a *slice* of messages, with a total
cost of `SLICE_COST`, and the rest waits (TURN).  So the other peers never wait for
everything that one peer has sent.

**SASL.**  `core.protocol.phases` has the phases and all transitions.  A step may be
slow, so the protocol does not run it itself (SASL_STEP).

**Held reads.**  After a start, misses are held (`core.protocol.miss_holder`).  A held
read is answered later and out of order: when it is released, the function passed to
`call_on_release` is called, and the owner calls `resume`.  A relay does the same with
all requests that other Pacemakers have to answer.  If such a request has no message id,
it must be answered in order (ANSWER).

**State.**  A `ProtocolSnapshot` is the whole state of a connection.  Another process
can continue the connection from it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from pacemaker.core.accounts.account import (
    KEYS_AND_LISTS_PER_CHARGE,
    UNKNOWN_PEER,
    Account,
)
from pacemaker.core.history.record import PeerRecord
from pacemaker.core.protocol.contract import FastPath, Output, Wait
from pacemaker.core.protocol.dispatch import Dispatcher
from pacemaker.core.protocol.fast_paths import BYTES_PER_COST, FastPaths
from pacemaker.core.protocol.large_list import LargeList
from pacemaker.core.protocol.outgoing import Outgoing
from pacemaker.core.protocol.peer_conduct import PeerConduct
from pacemaker.core.protocol.pending_requests import PendingRequests
from pacemaker.core.protocol.phases import (
    CAN_BE_CARRIED_OVER,
    READING,
    SASL_TYPES,
    Phase,
    PhaseEvent,
    event_of,
    first_phase,
    next_phase,
)
from pacemaker.core.protocol.protocol_snapshot import ProtocolSnapshot
from pacemaker.core.protocol.sasl_step import SaslStep
from pacemaker.errors import AuthenticationError, PeerError
from pacemaker.sasl.mechanism import ServerMechanism, StepOutcome
from pacemaker.wire import control, fast_codec, messages
from pacemaker.wire.frames import FrameReader
from pacemaker.wire.messages import NO_MESSAGE_ID, Message, describe

_logger: Final = logging.getLogger(__name__)

# What one call may cost: a quarter of a millisecond.  The unit is a pulse that takes
# the fast path (some 4 us).
SLICE_COST: Final = 64
# The costs of other messages in the same unit: a request as Storm writes it, and one
# written in any other way.
_REQUEST_COST: Final = 4
_GENERAL_COST: Final = 8

# Looked up once.  In CPython 3.11, each access to a member of an enum calls a function
# written in Python, which would take a quarter of the time of a pulse.
_OPEN: Final = Phase.OPEN
_CLOSED: Final = Phase.CLOSED
_REQUEST: Final = Wait.REQUEST


class ServerProtocol:
    """One connection.  Only one thread at a time may call it.

    `contract` describes the calls that return an `Output`.

    Args:
        dispatcher: answers the requests.
        max_body_bytes: the largest message that is read.
        mechanism: authenticates the peer; None if peers need not authenticate.
        peer: the peer's name in the log.
        pending_requests: the requests that are answered later; None if none will be.
        account: the account of the peer's address.
        peer_record: the connection, as the history knows it from before an upgrade;
            None for a new connection.

    Attributes:
        phase: what the connection expects next.
        fast_path: what may answer the next bytes; None if only `receive_data` may (see
            `contract`).  Read-only for the owner.
        frames: the bytes that were received but not read yet; read-only for the owner.
        sasl_step: the pending SASL step; None unless the phase is STEPPING.
        slice_cost: the cost of the last slice.  It is that of a whole slice if no
            message was completed, so that a peer that sends a few bytes at a time does
            not count as cheap.  `fast_path` leaves it; the owner may reset it.
        authenticated: whether the peer may read.
        user: the peer's user, if it has authenticated.
        error: why the connection is CLOSED, if the server ended it.  Usually the peer
            is at fault (see `PeerError`).
        account: the account of the peer's address.
        peer_record: the connection, as the history knows it.
    """

    __slots__ = (
        "_awaits_answer",
        "_charges",
        "_conduct",
        "_debug",
        "_dispatcher",
        "_fast_paths",
        "_has_more",
        "_is_charged",
        "_large_list",
        "_mechanism",
        "_outgoing",
        "_pending_requests",
        "account",
        "authenticated",
        "error",
        "fast_path",
        "frames",
        "peer",
        "peer_record",
        "phase",
        "sasl_step",
        "slice_cost",
        "user",
    )

    def __init__(
        self,
        dispatcher: Dispatcher,
        max_body_bytes: int,
        mechanism: ServerMechanism | None = None,
        peer: str = "",
        pending_requests: PendingRequests | None = None,
        account: Account = UNKNOWN_PEER,
        peer_record: PeerRecord | None = None,
    ) -> None:
        self._dispatcher = dispatcher
        # Logs each message.  Looked up once, so that it costs a pulse nothing if DEBUG
        # is off.  If it is on, pulses do not take the fast paths.
        self._debug = _logger.debug if _logger.isEnabledFor(logging.DEBUG) else None
        self._mechanism = mechanism
        self._outgoing = Outgoing()
        self._pending_requests = pending_requests
        # Whether a request without a message id is pending.  The replies to such
        # requests must be in order, so no frame is read until then.
        self._awaits_answer = False
        # Only set while nothing is pending, because replies are sent in order.
        self.fast_path: FastPath | None = None
        # A list that is being written.  No frame is read until it is complete.
        self._large_list: LargeList | None = None
        self._conduct = PeerConduct(peer)
        # Whether frames may be unread only because a slice was full.
        self._has_more = False
        # How many keys and lists this connection has charged to its account since it
        # last had to wait for credit, and whether the last slice charged any.
        self._charges = 0
        self._is_charged = False
        self.frames = FrameReader(max_body_bytes)
        self.sasl_step: SaslStep | None = None
        self.slice_cost = 0
        self.account = account
        self.peer = peer
        self.peer_record = PeerRecord(peer) if peer_record is None else peer_record
        # None is known while misses are held, and once the phase is CLOSED.
        self._fast_paths = FastPaths(dispatcher, account, self.peer_record)
        self.phase = first_phase(mechanism)
        self.authenticated = mechanism is None
        self.user: str | None = None
        self.error: PeerError | None = None

    def __repr__(self) -> str:
        return (
            f"<ServerProtocol peer={self.peer!r} phase={self.phase.value}"
            f" authenticated={self.authenticated} user={self.user!r}>"
        )

    def receive_data(self, data: bytes) -> Output:
        """Receive bytes from the peer, and carry out the requests that they complete.

        One call carries out one slice at most.

        Args:
            data: the bytes; never empty.

        Returns:
            What to send now, and what to wait for then (see `contract`).
        """
        if self.phase is not _CLOSED:
            self.frames.receive(data)
            self._read_frames()
        return self._output()

    def resume(self) -> Output:
        """Continue with unread frames and released reads, within the bounds.

        Returns:
            What to send now, and what to wait for then (see `contract`).
        """
        self._read_frames()
        if self._pending_requests is not None and not self._has_more:
            # Only after everything is read.  An unread frame may be the same read,
            # sent again; if the released one were answered first, the client would
            # get two replies.
            self._answer_released(self._pending_requests)
        return self._output()

    def finish_step(self, outcome: StepOutcome) -> Output:
        """Apply the outcome of the SASL step, and continue with the unread frames.

        Returns:
            What to send now, and what to wait for then (see `contract`).
        """
        step = self.sasl_step
        # The connection may have ended while the step ran.
        if step is None:
            return self._output()
        if isinstance(outcome, AuthenticationError):
            return self.fail(outcome)
        if outcome is not None:
            self._send(control.token_message(outcome))
        self.sasl_step = None
        if step.is_last:
            self._authenticate(step.mechanism)
        self._enter(PhaseEvent.COMPLETION if step.is_last else PhaseEvent.CHALLENGE)
        return self.resume()

    def fail(self, error: PeerError) -> Output:
        """End the connection: read nothing more, but keep the unsent replies.

        `error` stays the first one, whatever else fails before the replies are sent.

        Returns:
            What to send before the end, and `Wait.END`.
        """
        self._end(error)
        return self._output()

    def _end(self, error: PeerError) -> None:
        if self.error is None:
            if self._debug is not None:
                self._debug("%s: fails", self.peer, exc_info=error)
            # The traceback's frames would keep the message and this object alive, and
            # the cause may hold the peer's bytes.
            error.__traceback__ = error.__cause__ = error.__context__ = None
            self.error = error
        self._enter(PhaseEvent.FAILURE)
        self._has_more = False
        self._large_list = None
        self._fast_paths.clear()
        self.fast_path = None
        self.sasl_step = None
        self.frames = FrameReader(0)
        self.close()

    def close(self) -> None:
        """Drop the pending requests, because nobody will receive their replies."""
        if self._pending_requests is not None:
            self._pending_requests.drop_all()
            self._pending_requests = None

    def call_on_release(self, function: Callable[[], None]) -> None:
        """Set the function that is called when `resume` can answer pending requests.

        It is not called any more once the phase is CLOSED, or after `close`.
        """
        if self._pending_requests is not None:
            self._pending_requests.on_release = function

    @property
    def is_worker_or_reader(self) -> bool:
        """Whether the peer has read, or has sent two consecutive pulses to one key."""
        return self._fast_paths.first is not None

    @property
    def has_pending(self) -> bool:
        """Whether the peer waits for a request that is answered later."""
        pending = self._pending_requests
        return pending is not None and bool(
            pending.request_frames or pending.ack_frames
        )

    @property
    def buffered_bytes(self) -> int:
        """The memory of unread bytes, a list that is being written, kept replies."""
        size_bytes = self.frames.unread_bytes + self._outgoing.size_bytes
        if self._large_list is not None:
            size_bytes += self._large_list.memory_bytes
        if self._pending_requests is not None:
            size_bytes += self._pending_requests.answers_bytes
        return size_bytes

    def snapshot(self, unsent: bytes = b"") -> ProtocolSnapshot | None:
        """Return the state, or None if closed or during a SASL exchange.

        Args:
            unsent: what has been returned to be sent but has not been sent yet.
        """
        # A snapshot does not include the state of a mechanism, so an exchange that has
        # begun could not be continued.
        if self.phase not in CAN_BE_CARRIED_OVER:
            return None
        pending_requests = self._pending_requests
        held = b"" if pending_requests is None else pending_requests.request_frames
        acks = b"" if pending_requests is None else pending_requests.ack_frames
        listed = b"" if self._large_list is None else self._large_list.request_frame
        return ProtocolSnapshot(
            self.authenticated,
            self.phase is not _OPEN,
            self.user,
            held + listed + self.frames.unread,
            unsent + b"".join(self._outgoing.chunks) + acks,
        )

    def restore(self, snapshot: ProtocolSnapshot) -> None:
        """Restore a state into a new object; `resume` then continues from it."""
        if not snapshot.may_authenticate:
            self.phase, self._mechanism = _OPEN, None
        self.authenticated = snapshot.authenticated
        self.user = snapshot.user
        self.frames.receive(snapshot.unread)
        if snapshot.unsent:
            self._outgoing.add(snapshot.unsent)

    def _output(self) -> Output:
        """Return the unsent replies and what to wait for; forget the replies."""
        outgoing = self._outgoing
        if (
            self.phase is not _OPEN
            or self._has_more
            or self._is_charged
            or self._awaits_answer
            or outgoing.is_full
            or self.frames.unread_bytes
        ):
            wait = self._wait()
            self.fast_path = None
            if self._pending_requests is not None and wait is Wait.TURN:
                # Keep the replies until the whole batch is read.  An unread frame may
                # be one of the same reads, sent again.  Then `_answer_now_or_later`
                # removes the first reply, since the client expects only one.  (Not in
                # `ROOM`, though: nothing is read until the replies are sent, so this
                # would be a deadlock.)
                return (), wait
        else:
            # Nothing is unread, and all replies leave with this call.
            wait = _REQUEST
            self.fast_path = self._fast_paths.first
        return outgoing.take(), wait

    def _wait(self) -> Wait:
        """Decide what the owner has to wait for."""
        phase = self.phase
        if phase is _CLOSED:
            return Wait.END
        if phase is Phase.STEPPING:
            return Wait.SASL_STEP
        if self._outgoing.is_full:
            return Wait.ROOM
        if self._is_charged and self._charges >= KEYS_AND_LISTS_PER_CHARGE:
            # The connection's own count, not the account's.  Otherwise a worker that
            # adds its one key would wait for what others at its address have done.
            self._charges = 0
            return Wait.CREDIT
        if self._has_more:
            return Wait.TURN
        if self._awaits_answer:
            return Wait.ANSWER
        if phase is Phase.SASL_BEGUN or self.frames.unread_bytes:
            return Wait.MORE
        return _REQUEST

    def _read_frames(self) -> None:
        """Carry out a slice of the messages that have arrived."""
        if self._pending_requests is not None:
            self._begin_batch(self._pending_requests)
        account = self.account
        charged = account.uncharged_new_keys + account.uncharged_lists
        try:
            self._read_slice()
        except PeerError as exc:
            self._end(exc)
        charges = account.uncharged_new_keys + account.uncharged_lists - charged
        # Another thread may charge the account meanwhile, so it may be less than 0.
        self._is_charged = charges > 0
        if self._is_charged:
            self._charges += charges

    def _read_slice(self) -> None:
        self._has_more = False
        outgoing, fast_paths = self._outgoing, self._fast_paths
        cost = 0
        try:
            while self.phase in READING and not outgoing.is_full:
                if self._awaits_answer:
                    return
                # A list comes before the next frame, since replies are in order.
                # One step of it ends the slice, whatever was read before, but counts as
                # cheap: otherwise Nimbus's next reads would be served late.
                is_list = self._large_list is not None
                if self._large_list is not None:
                    self._go_on_with_list(self._large_list)
                    cost += 1
                if is_list or cost >= SLICE_COST:
                    self._has_more = self._large_list is not None or (
                        self.frames.unread_bytes > 0
                    )
                    break
                pulses_cost = fast_paths.answer_pulses(self.frames, outgoing)
                if pulses_cost:
                    cost += pulses_cost
                    continue
                frame = self.frames.next()
                if frame is None:
                    return
                cost += self._read_message(*frame)
            self.frames.drop_read(if_most=True)
        finally:
            self.slice_cost = cost or SLICE_COST

    def _store_pulse(self, data: bytes, start: int, end: int) -> bool:
        """Carry out a pulse the fast way; return whether it was one.

        Not while misses are held: then a message may have to supersede a held read with
        the same message id.
        """
        if self.phase is not _OPEN or self._pending_requests is not None or self._debug:
            return False
        pulse = fast_codec.decode_pulse(data, start, end)
        if pulse is None:
            return False
        key, details, message_id = pulse
        self._dispatcher.store_pulse(key, details, self.account, self.peer_record)
        self._outgoing.add(fast_codec.encode_pulse_ack(message_id))
        self._fast_paths.note_pulse(key)
        return True

    def _read_message(self, data: bytes, start: int, end: int) -> int:
        """Carry out the message in the body of one frame; return its cost."""
        size_cost = (end - start) // BYTES_PER_COST
        if self._store_pulse(data, start, end):
            return 1 + size_cost
        debug = self._debug
        cost = _REQUEST_COST
        message = fast_codec.decode(data, start, end)
        if message is None:
            cost = _GENERAL_COST
            message = messages.decode(data[start:end])
        if debug is not None:
            debug("%s: received %s", self.peer, describe(message))
        # In the usual case, a request in OPEN, nothing changes.
        if self.phase is not _OPEN or message.type in SASL_TYPES:
            self._change_phase(message)
            if self.phase is not _OPEN:
                return cost + size_cost
        if self._pending_requests is None:
            self._answer(message)
            is_read = self.authenticated and message.type == messages.GET_PULSE
            if is_read and debug is None:
                self._fast_paths.note_read()
        else:
            self._answer_now_or_later(self._pending_requests, message)
        return cost + size_cost

    def _begin_batch(self, pending_requests: PendingRequests) -> None:
        if pending_requests.is_over:
            self._pending_requests = None
        elif not self._outgoing.chunks:
            # The replies of the last batch were returned to be sent, so they can no
            # longer be removed.  While some are pending, the batch goes on: the
            # indices in it refer to `_outgoing`.
            pending_requests.begin_batch()

    def _answer_now_or_later(
        self, pending_requests: PendingRequests, message: Message
    ) -> None:
        """Carry out a message now, or let it be answered later."""
        message_id = message.message_id
        if message_id is None or message_id == NO_MESSAGE_ID:
            # Its reply cannot come out of order: the client could not tell which
            # request it belongs to.
            self._awaits_answer = pending_requests.answer_later(
                message, self.authenticated
            )
            if not self._awaits_answer:
                self._answer(message)
            return
        # Any request supersedes an earlier one with the same id: the client would
        # mistake the earlier reply for the reply to this request.
        self._outgoing.withdraw(pending_requests.supersede(message))
        if pending_requests.answer_later(message, self.authenticated):
            _logger.debug("%s: held: id=%d %r", self.peer, message_id, message.data)
            return
        chunks = self._outgoing.chunks
        first = len(chunks)
        self._answer(message)
        if self.authenticated and message.type == messages.GET_PULSE:
            pending_requests.note_answered(message_id, range(first, len(chunks)))

    def _answer_released(self, pending_requests: PendingRequests) -> None:
        while not self._outgoing.is_full and self._large_list is None:
            message = pending_requests.next_released()
            if message is None:
                return
            self._answer(message)
            if self._awaits_answer and message.message_id in (None, NO_MESSAGE_ID):
                # This was the reply that the unread frames waited for.  At most one
                # request without an id is pending, since nothing is read after it.
                self._awaits_answer = False
                self._has_more = self.frames.unread_bytes > 0
        if self._large_list is not None:
            # It is written, and the other released reads are answered, in later turns.
            self._has_more = True

    def _answer(self, message: Message) -> None:
        reply = self._dispatcher.reply_to(
            message, self.authenticated, self.account, self.peer_record
        )
        if not self.authenticated:
            self._conduct.note_unauthenticated(message)
        if isinstance(reply, LargeList):
            self._large_list = reply
        elif reply is not None:
            self._send(reply)
        else:
            self._conduct.note_useless(message)

    def _change_phase(self, message: Message) -> None:
        """Change the phase as a message requires, and prepare a step of SASL."""
        event = event_of(message)
        mechanism = self._mechanism
        self._enter(event, messages.name_of(message.type))
        if self.phase is Phase.STEPPING and mechanism is not None:
            token = control.read_token(message) if event is PhaseEvent.TOKEN else b""
            self.sasl_step = SaslStep(mechanism, token)

    def _enter(self, event: PhaseEvent, detail: str = "") -> None:
        """Enter the phase to which an event leads, or raise."""
        self.phase = next_phase(self.phase, event, detail)
        if self.phase is _OPEN:
            # Whether complete or given up, the exchange cannot begin again.
            self._mechanism = None

    def _authenticate(self, mechanism: ServerMechanism) -> None:
        """Authenticate the peer."""
        # Before any reply: a client fails if a reply arrives before the -203.
        self.authenticated = True
        self.user = mechanism.user
        # Only Nimbus, or an administrator, has the secret.
        self.peer_record.is_reader = True
        for _ in range(mechanism.completion_count):
            self._send(control.control_message(control.SASL_COMPLETE_REQUEST))

    def _go_on_with_list(self, large_list: LargeList) -> None:
        """Write the next part of a list, which takes as long as a whole slice."""
        chunks = large_list.step()
        if chunks is not None:
            self._large_list = None
            for chunk in chunks:
                self._outgoing.add(chunk)

    def _send(self, message: Message) -> None:
        if self._debug is not None:
            self._debug("%s: sends %s", self.peer, describe(message))
        for chunk in fast_codec.encode(message) or (messages.encode(message),):
            self._outgoing.add(chunk)
