"""A session: one connection to the server, from its first byte to its last.

Only the thread of its `PacemakerConnection` calls a session.  So the socket, the
protocol and the calls in flight need no lock.

**Is the server alive?**  A process that hangs, or a network that drops packets, looks
like a slow server.  So at the beginning, and while the server is in doubt
(`Liveness`), the session asks for a proof of life: a CREATE_PATH, which a server
answers at once, for any client, without storing anything.  Any reply counts as a proof.
If none arrives within `connection_limits.PROOF_TIMEOUT_S`, the session ends, and the
connection tries again over a new socket.
"""

from __future__ import annotations

import select
from typing import Any, Final, Protocol

from pacemaker.client import connection_limits, requests
from pacemaker.client.call import Call
from pacemaker.client.liveness import Liveness
from pacemaker.client.network import Clock, Socket, Waiter, reason_of
from pacemaker.client.protocol import ClientPhase, ClientProtocol
from pacemaker.errors import AuthenticationError, NotAuthorizedError

# As many as Storm's client has message ids.
MAX_IN_FLIGHT: Final = 100

# Servers of other protocols, such as HTTP and TLS, close or wait for more data.
NOT_A_PACEMAKER_HINT: Final = "is it a Pacemaker that listens there?"

_PROOF_OF_LIFE: Final = requests.create_path("/")
_READABLE: Final = select.POLLIN | select.POLLHUP | select.POLLERR


class SessionLostError(Exception):
    """The session has ended on its own; the text says why."""


class SessionOwner(Protocol):
    """What a session needs from its connection; any thread may change it."""

    @property
    def name(self) -> str:
        """The server's name in errors."""

    @property
    def is_closing(self) -> bool:
        """Whether the session must end."""

    def take_calls(self, most: int) -> list[Call[Any]]:
        """Remove and return calls that wait to be sent."""

    def take_abandoned(self) -> list[Call[Any]]:
        """Remove and return calls that were sent and then abandoned."""


class Session:
    """One connection to the server.

    Args:
        owner: provides the calls.
        liveness: records whether the server answers.
        sock: a connected non-blocking socket; the session closes it.
        protocol: a new protocol object.
        waiter: the thread's waiter.
        clock: the time.
    """

    def __init__(
        self,
        owner: SessionOwner,
        liveness: Liveness,
        sock: Socket,
        protocol: ClientProtocol,
        waiter: Waiter,
        clock: Clock,
    ) -> None:
        self._owner = owner
        self._liveness = liveness
        self._sock = sock
        self._protocol = protocol
        self._waiter = waiter
        self._clock = clock
        self._calls: dict[int, Call[Any]] = {}
        self._unsent = memoryview(b"")
        self._replies_seen = 0
        self._proof_deadline_s: float | None = None
        self._ask_for_proof()

    def __repr__(self) -> str:
        return f"<Session in_flight={len(self._calls)} {self._protocol!r}>"

    @property
    def was_alive(self) -> bool:
        """Whether the server has ever answered a request."""
        return self._replies_seen > 0

    def take_in_flight(self) -> list[Call[Any]]:
        """Remove and return the calls that were sent and not answered."""
        calls, self._calls = list(self._calls.values()), {}
        return calls

    def run(self) -> None:
        """Send calls and process replies until the owner is closing.

        Raises:
            SessionLostError: the connection has ended or must end.
        """
        with self._sock:
            while not self._owner.is_closing:
                try:
                    self._turn()
                except OSError as exc:
                    raise SessionLostError(self._with_hint(reason_of(exc))) from exc

    def _turn(self) -> None:
        protocol = self._protocol
        # Steps run on this thread, even if GSSAPI is slow.  The server sends nothing
        # while it waits for a token, so there is nothing to read meanwhile, and
        # callers that wait for the exchange have their own deadlines.
        while protocol.phase is ClientPhase.STEPPING:
            protocol.finish_step(protocol.run_step())
            self._proof_deadline_s = (
                self._clock.now_s() + connection_limits.PROOF_TIMEOUT_S
            )
        if protocol.phase is ClientPhase.OPEN:
            self._take_abandoned()
            if not self._liveness.is_available:
                self._ask_for_proof()
            self._take_calls()
        self._send()
        self._raise_if_unusable()
        for_events = select.POLLIN | (select.POLLOUT if self._unsent else 0)
        if self._waiter.wait(self._patience_s(), self._sock, for_events) & _READABLE:
            self._receive()
        elif (
            self._proof_deadline_s is not None
            and self._clock.now_s() >= self._proof_deadline_s
        ):
            raise SessionLostError(
                self._with_hint(f"silent for {connection_limits.PROOF_TIMEOUT_S:g} s")
            )

    def _with_hint(self, reason: str) -> str:
        """Add a hint if the server ended, or stayed silent, before any reply."""
        if self.was_alive or self._protocol.phase is not ClientPhase.OPEN:
            return reason
        return f"{reason}; {NOT_A_PACEMAKER_HINT}"

    def _take_calls(self) -> None:
        # While bytes are unsent, calls stay in the queue, where they can be withdrawn.
        self._send()
        room = 0 if self._unsent else MAX_IN_FLIGHT - len(self._calls)
        if room <= 0:
            return
        for call in self._owner.take_calls(room):
            call.message_id = self._protocol.request(call.request)
            self._calls[call.message_id] = call

    def _take_abandoned(self) -> None:
        for call in self._owner.take_abandoned():
            # A call from an earlier session may have the same id as one of this
            # session.
            if self._calls.get(call.message_id) is call:
                del self._calls[call.message_id]
                self._protocol.abandon(call.message_id)

    def _ask_for_proof(self) -> None:
        if self._proof_deadline_s is None:
            self._proof_deadline_s = (
                self._clock.now_s() + connection_limits.PROOF_TIMEOUT_S
            )
            self._protocol.request(_PROOF_OF_LIFE)

    def _patience_s(self) -> float | None:
        if self._proof_deadline_s is None:
            return None
        return self._proof_deadline_s - self._clock.now_s()

    def _raise_if_unusable(self) -> None:
        error = self._protocol.error
        if isinstance(error, AuthenticationError):
            raise SessionLostError(f"authentication failed: {error}") from error
        if error is not None:
            raise SessionLostError(f"the server broke the protocol: {error}") from error
        if self._protocol.abandoned > connection_limits.MAX_ABANDONED:
            raise SessionLostError(f"{self._protocol.abandoned} replies are overdue")

    def _send(self) -> None:
        if not self._unsent:
            self._unsent = memoryview(self._protocol.data_to_send())
        if self._unsent:
            try:
                sent_bytes = self._sock.send(self._unsent)
            except BlockingIOError:
                return
            self._unsent = self._unsent[sent_bytes:]

    def _receive(self) -> None:
        try:
            data = self._sock.recv(connection_limits.READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            if self._protocol.phase is ClientPhase.OPEN:
                raise SessionLostError(self._with_hint("closed by the server"))
            raise SessionLostError(
                "closed by the server during authentication; does it have the same"
                " pacemaker.auth.method, and are the credentials right?"
            )
        self._protocol.receive_data(data)
        if self._protocol.replies_received != self._replies_seen:
            self._replies_seen = self._protocol.replies_received
            self._proof_deadline_s = None
            self._liveness.on_reply()
        self._answer_calls()

    def _answer_calls(self) -> None:
        for message_id, value, is_refused in self._protocol.replies():
            call = self._calls.pop(message_id, None)
            if call is None:
                continue  # a proof of life
            if is_refused:
                error = NotAuthorizedError(self._owner.name, "may not read")
                call.fail(error)
            else:
                call.succeed(value)
