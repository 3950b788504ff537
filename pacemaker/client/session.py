"""A session: one connection to the server, from its first byte to its last.

It lives on the thread of its `PacemakerConnection`, which alone calls it; the
socket, the protocol and the calls in flight are known to no other thread, and
need no lock.

**Is the server alive?**  A process that stands still, or a network that
swallows what it is given, looks like a slow one.  So at the beginning, and
while it is doubted (`Standing`), the server is asked for a proof of life: a
CREATE_PATH, which is answered to everyone at once and stores nothing.  Any reply
is a proof.  A server that gives none within `PROOF_TIMEOUT_S` is given up, and
tried anew over another connection.
"""

from __future__ import annotations

import select
import socket
import time
from typing import Any, Final, Protocol

from pacemaker.client import requests
from pacemaker.client.call import Call
from pacemaker.client.network import Waiter, reason_of
from pacemaker.client.protocol import ClientProtocol, Phase
from pacemaker.client.standing import Standing
from pacemaker.errors import AuthenticationError, NotAuthorizedError

# As many as Storm's client has message ids.
MAX_IN_FLIGHT: Final = 100

# How long connecting and authenticating may take, and a proof of life.  Calls
# do not wait for it longer than their own deadline.
PROOF_TIMEOUT_S: Final = 5.0

# Requests that were given up, and that the server still owes a reply.  One that
# holds reads after a start owes some; this many are never paid.
MAX_ABANDONED: Final = 10_000

# Servers of other protocols, HTTP and TLS among them, close or wait for more.
IS_IT_ONE: Final = "is it a Pacemaker that listens there?"

READ_BYTES: Final = 256 * 1024

_PROOF_OF_LIFE: Final = requests.create_path("/")
_READABLE: Final = select.POLLIN | select.POLLHUP | select.POLLERR


class SessionLostError(Exception):
    """The session has ended by itself; the text says why."""


class SessionOwner(Protocol):
    """What a session needs of its connection; any thread may change it."""

    @property
    def name(self) -> str:
        """The server's name in errors."""

    @property
    def is_closing(self) -> bool:
        """Whether the session has to end."""

    def take_calls(self, most: int) -> list[Call[Any]]:
        """Take calls that wait to be sent."""

    def take_abandoned(self) -> list[Call[Any]]:
        """Take calls that were sent and then given up."""


class Session:
    """One connection to the server.

    Args:
        owner: gives the calls.
        standing: learns how the server is, and says whether it is doubted.
        sock: a socket that is connected and not blocking; the session closes it.
        protocol: a new protocol object.
        waiter: the thread's.
    """

    def __init__(
        self,
        owner: SessionOwner,
        standing: Standing,
        sock: socket.socket,
        protocol: ClientProtocol,
        waiter: Waiter,
    ) -> None:
        self._owner = owner
        self._standing = standing
        self._sock = sock
        self._protocol = protocol
        self._waiter = waiter
        self._calls: dict[int, Call[Any]] = {}
        self._unsent = memoryview(b"")
        self._replies_seen = 0
        self._proof_due_s: float | None = None
        self._ask_for_proof()

    def __repr__(self) -> str:
        return f"<Session in_flight={len(self._calls)} {self._protocol!r}>"

    @property
    def was_alive(self) -> bool:
        """Whether the server has ever answered a request."""
        return self._replies_seen > 0

    def take_in_flight(self) -> list[Call[Any]]:
        """Take the calls that were sent and not answered."""
        calls, self._calls = list(self._calls.values()), {}
        return calls

    def run(self) -> None:
        """Serve until the owner is closing.

        Raises:
            SessionLostError: the connection has ended, or had to.
        """
        with self._sock:
            while not self._owner.is_closing:
                try:
                    self._turn()
                except OSError as exc:
                    raise SessionLostError(self._doubted(reason_of(exc))) from exc

    def _turn(self) -> None:
        protocol = self._protocol
        # Taken on this thread, however slow GSSAPI is: the server says nothing
        # while a token is due to it, so there is nothing to read meanwhile, and
        # whoever waits for the exchange waits by a deadline of its own.
        while protocol.phase is Phase.STEPPING:
            protocol.finish_step(protocol.run_step())
            self._proof_due_s = time.monotonic() + PROOF_TIMEOUT_S
        if protocol.phase is Phase.OPEN:
            self._take_abandoned()
            if not self._standing.is_available:
                self._ask_for_proof()
            self._take_calls()
        self._send()
        self._check()
        for_events = select.POLLIN | (select.POLLOUT if self._unsent else 0)
        if self._waiter.wait(self._patience_s(), self._sock, for_events) & _READABLE:
            self._receive()
        elif self._proof_due_s is not None and time.monotonic() >= self._proof_due_s:
            raise SessionLostError(self._doubted(f"silent for {PROOF_TIMEOUT_S:g} s"))

    def _doubted(self, reason: str) -> str:
        """Ask after a server that ended, or said nothing, before any reply."""
        if self.was_alive or self._protocol.phase is not Phase.OPEN:
            return reason
        return f"{reason}; {IS_IT_ONE}"

    def _take_calls(self) -> None:
        # While bytes are unsent, calls wait where they can still be taken back.
        self._send()
        room = 0 if self._unsent else MAX_IN_FLIGHT - len(self._calls)
        if room <= 0:
            return
        for call in self._owner.take_calls(room):
            call.message_id = self._protocol.request(call.request)
            self._calls[call.message_id] = call

    def _take_abandoned(self) -> None:
        for call in self._owner.take_abandoned():
            # A call of an earlier session may have the id of one of this.
            if self._calls.get(call.message_id) is call:
                del self._calls[call.message_id]
                self._protocol.abandon(call.message_id)

    def _ask_for_proof(self) -> None:
        if self._proof_due_s is None:
            self._proof_due_s = time.monotonic() + PROOF_TIMEOUT_S
            self._protocol.request(_PROOF_OF_LIFE)

    def _patience_s(self) -> float | None:
        if self._proof_due_s is None:
            return None
        return self._proof_due_s - time.monotonic()

    def _check(self) -> None:
        error = self._protocol.error
        if isinstance(error, AuthenticationError):
            raise SessionLostError(f"the authentication failed: {error}") from error
        if error is not None:
            raise SessionLostError(f"broke the protocol: {error}") from error
        if self._protocol.abandoned > MAX_ABANDONED:
            raise SessionLostError(f"owes {self._protocol.abandoned} replies")

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
            data = self._sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            if self._protocol.phase is Phase.OPEN:
                raise SessionLostError(self._doubted("closed by the server"))
            raise SessionLostError(
                "closed by the server during the authentication; does it have the"
                " same pacemaker.auth.method, and are the credentials right?"
            )
        self._protocol.receive_data(data)
        if self._protocol.replies_rcvd != self._replies_seen:
            self._replies_seen = self._protocol.replies_rcvd
            self._proof_due_s = None
            self._standing.on_reply()
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
