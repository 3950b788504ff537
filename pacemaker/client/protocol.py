"""The client's half of the protocol on one connection, without I/O.

Bytes go in (`receive_data`); bytes and replies come out (`data_to_send`, `replies`).
If the server breaks the protocol, `error` says why, and the phase is CLOSED for good.

**Matching replies.**  Each request gets an id that no unanswered request has, including
abandoned ones.  So a late reply is recognised and discarded, and never given to another
request.  Storm's own client has 100 slots, reuses a slot after a deadline, and can then
mistake one worker's heartbeat for another's.  An unknown id or an unexpected type of
reply means that the two sides are out of step, and the connection ends.

**SASL.**  Requests wait until the exchange is complete: a request sent earlier would
leave the connection unauthenticated for good.  A step may be slow, so the protocol does
not run it.  It stays in STEPPING until its owner has called `run_step` and passed the
outcome to `finish_step`, as with `ServerProtocol`.

    AUTHENTICATING ──token──▶ STEPPING ──more──▶ AUTHENTICATING
                                  └──complete──▶ COMPLETION_EXPECTED ── -203 ──▶ OPEN
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum
from typing import Any, Final, NamedTuple

from pacemaker.client.requests import MAX_MESSAGE_ID, Request
from pacemaker.errors import AuthenticationError, OutOfPlaceError, PeerError
from pacemaker.sasl.mechanism import ClientMechanism, StepOutcome, take_step
from pacemaker.wire import control, messages
from pacemaker.wire.frames import FrameReader
from pacemaker.wire.messages import Message, describe

_logger: Final = logging.getLogger(__name__)

# Names in a list: far more topologies or workers than a cluster has.  The bytes
# of the reply are bounded by pacemaker.thrift.message.size.max.
MAX_VALUES: Final = 1_000_000


class ClientPhase(Enum):
    """What is expected next on a connection."""

    AUTHENTICATING = "authenticating"
    STEPPING = "stepping"
    COMPLETION_EXPECTED = "completion-expected"
    OPEN = "open"
    CLOSED = "closed"


_READING: Final = (
    ClientPhase.AUTHENTICATING,
    ClientPhase.COMPLETION_EXPECTED,
    ClientPhase.OPEN,
)


class Reply(NamedTuple):
    """The answer to one request.

    Attributes:
        message_id: the id of the request.
        value: the result of the request's `read`.
        is_refused: whether the server replied NOT_AUTHORIZED; there is no value then.
    """

    message_id: int
    value: Any
    is_refused: bool = False


class ClientProtocol:
    """One connection.  Only one thread at a time may call it.

    Args:
        max_body_bytes: the largest message that is read.
        mechanism: authenticates this side; None if no authentication is needed.
        next_id: the id of the first request.
        server: the server's name in the log.

    Attributes:
        phase: what is expected next.
        error: why the connection is CLOSED.
        replies_received: the number of replies received, including those to abandoned
            requests.
    """

    __slots__ = (
        "_abandoned",
        "_debug",
        "_expected_completions",
        "_frames",
        "_mechanism",
        "_next_id",
        "_outgoing",
        "_replies",
        "_server",
        "_token",
        "_unanswered",
        "_waiting",
        "error",
        "phase",
        "replies_received",
    )

    def __init__(
        self,
        max_body_bytes: int,
        mechanism: ClientMechanism | None = None,
        next_id: int = 0,
        server: str = "",
    ) -> None:
        # Logs each message.  Looked up once, so that it costs nothing if DEBUG is off.
        self._debug = _logger.debug if _logger.isEnabledFor(logging.DEBUG) else None
        self._server = server
        self._frames = FrameReader(max_body_bytes)
        self._mechanism = mechanism
        self._token = b""
        self._expected_completions = 0
        self._next_id = next_id
        self._unanswered: dict[int, Request[Any]] = {}
        # What to call when the reply to an abandoned request comes.
        self._abandoned: dict[int, Callable[[], None]] = {}
        self._replies: list[Reply] = []
        self._outgoing: list[bytes] = []
        # Frames of requests that wait until the exchange is complete.
        self._waiting: list[bytes] = []
        self.error: PeerError | None = None
        self.replies_received = 0
        if mechanism is None:
            self.phase = ClientPhase.OPEN
        elif mechanism.begins_with_request:
            self._send(control.control_message(control.SASL_TOKEN_MESSAGE_REQUEST))
            self.phase = ClientPhase.AUTHENTICATING
        else:
            self.phase = ClientPhase.STEPPING

    def __repr__(self) -> str:
        return (
            f"<ClientProtocol phase={self.phase.value}"
            f" unanswered={len(self._unanswered)} abandoned={len(self._abandoned)}>"
        )

    def request(self, request: Request[Any]) -> int:
        """Queue a request; it is sent once requests may be sent.

        Returns:
            The message id, which identifies the request in `Reply` and in
            `abandon`.
        """
        message_id = self._new_id()
        self._unanswered[message_id] = request
        if self._debug is not None:
            self._debug("%s: sends %s id=%d", self._server, request.name, message_id)
        queue = self._outgoing if self.phase is ClientPhase.OPEN else self._waiting
        queue.append(request.frame(message_id))
        return message_id

    def abandon(
        self, message_id: int, on_late_reply: Callable[[], None] = lambda: None
    ) -> None:
        """Abandon a request: discard its reply if it arrives later.

        Args:
            message_id: identifies the request.
            on_late_reply: called if it arrives.
        """
        if message_id in self._unanswered:
            self._abandoned[message_id] = on_late_reply

    @property
    def abandoned(self) -> int:
        """The number of abandoned requests whose reply may still arrive."""
        return len(self._abandoned)

    def receive_data(self, data: bytes) -> None:
        """Process bytes from the server."""
        if self.phase is not ClientPhase.CLOSED:
            self._frames.receive(data)
            self._resume()

    def replies(self) -> list[Reply]:
        """Return the replies received since the last call, in order."""
        replies, self._replies = self._replies, []
        return replies

    def data_to_send(self) -> bytes:
        """Return the bytes to send to the server."""
        outgoing, self._outgoing = self._outgoing, []
        return b"".join(outgoing)

    def run_step(self) -> StepOutcome:
        """Run the pending SASL step; it touches nothing else of this object."""
        token, self._token = self._token, b""
        return take_step(self._mechanism, token)

    def finish_step(self, outcome: StepOutcome) -> None:
        """Process the outcome of `run_step`, then any unread data."""
        if self.phase is not ClientPhase.STEPPING:
            return
        if isinstance(outcome, AuthenticationError):
            self._fail(outcome)
            return
        if outcome is not None:
            self._send(control.token_message(outcome))
        self.phase = ClientPhase.AUTHENTICATING
        if self._mechanism is not None and self._mechanism.complete:
            self._expected_completions = self._mechanism.completion_count
            self.phase = ClientPhase.COMPLETION_EXPECTED
        self._resume()

    def _resume(self) -> None:
        try:
            while self.phase in _READING:
                frame = self._frames.next()
                if frame is None:
                    return
                data, start, end = frame
                message = messages.decode(data[start:end], MAX_VALUES)
                if self._debug is not None:
                    self._debug("%s: received %s", self._server, describe(message))
                self._handle(message)
        except PeerError as exc:
            self._fail(exc)

    def _handle(self, message: Message) -> None:
        if self.phase is ClientPhase.OPEN:
            self._process_reply(message)
        elif (
            self.phase is ClientPhase.AUTHENTICATING
            and message.type == messages.SASL_MESSAGE_TOKEN
        ):
            self._token = control.read_token(message)
            self.phase = ClientPhase.STEPPING
        elif (
            self.phase is ClientPhase.COMPLETION_EXPECTED
            and message.type == messages.CONTROL_MESSAGE
            and control.read_code(message) == control.SASL_COMPLETE_REQUEST
        ):
            self._complete_once()
        else:
            name = messages.name_of(message.type)
            raise OutOfPlaceError("message out of place during authentication", name)

    def _complete_once(self) -> None:
        self._expected_completions -= 1
        if not self._expected_completions:
            self.phase, self._mechanism = ClientPhase.OPEN, None
            self._outgoing += self._waiting
            self._waiting = []

    def _process_reply(self, message: Message) -> None:
        name = messages.name_of(message.type)
        message_id = message.message_id
        request = None if message_id is None else self._unanswered.get(message_id)
        if request is None or message_id is None:
            raise OutOfPlaceError("reply to no request", f"{name}, id {message_id}")
        if message.type == messages.NOT_AUTHORIZED:
            reply = Reply(message_id, None, is_refused=True)
        elif message.type == request.reply_type:
            reply = Reply(message_id, request.read(message.data))
        else:
            raise OutOfPlaceError(f"reply of another type to {request.name}", name)
        del self._unanswered[message_id]
        self.replies_received += 1
        on_late_reply = self._abandoned.pop(message_id, None)
        if on_late_reply is None:
            self._replies.append(reply)
        else:
            on_late_reply()

    def _new_id(self) -> int:
        while self._next_id in self._unanswered:
            self._advance_id()
        message_id = self._next_id
        self._advance_id()
        return message_id

    def _advance_id(self) -> None:
        # Never negative: to Storm, -1 means "no id".
        self._next_id = (self._next_id + 1) & MAX_MESSAGE_ID

    def _send(self, message: Message) -> None:
        if self._debug is not None:
            self._debug("%s: sends %s", self._server, describe(message))
        self._outgoing.append(messages.encode(message))

    def _fail(self, error: PeerError) -> None:
        # The traceback would keep the message alive, and this object with it.
        self.error = error.with_traceback(None)
        self.phase = ClientPhase.CLOSED
        self._frames = FrameReader(0)
