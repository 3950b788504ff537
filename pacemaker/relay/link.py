"""A link: one connection to one Pacemaker, on the links' thread.

A link connects by itself, and again after a loss, with a backoff.  It is *up* once the
Pacemaker has answered its first request, the announcement.  A Pacemaker that hangs, or
a network that drops packets, looks like an idle one, so a link on which nothing has
arrived for a while asks for a sign of life (`link_probes`).

Slow steps (looking up a host's name, connecting, a step of Kerberos) each run on a
thread of their own, which ends when the step does.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import select
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, Final, Protocol, cast

from pacemaker.client import connection_limits
from pacemaker.client.address import ServerAddress
from pacemaker.client.backoff import Backoff
from pacemaker.client.network import connect, reason_of
from pacemaker.client.protocol import ClientPhase, ClientProtocol
from pacemaker.client.requests import Request
from pacemaker.client.tcp import TcpNetwork
from pacemaker.errors import PacemakerError
from pacemaker.relay.link_probes import LinkProbes
from pacemaker.relay.reply_tokens import ReplyTokens
from pacemaker.sasl.mechanism import ClientMechanismFactory, StepOutcome

_logger: Final = logging.getLogger(__name__)

# While this much waits to be sent, nothing is added: pulses that wait in the outbox can
# still be replaced by newer ones.
MAX_UNSENT_BYTES: Final = 256 * 1024
# The value of SO_LINGER: on, for 0 seconds.
_DISCARD_UNSENT: Final = struct.pack("ii", 1, 0)


class LinkPhase(Enum):
    """How far a link has come."""

    IDLE = "idle"  # not opened yet
    WAITING = "waiting"  # until the next attempt to connect
    CONNECTING = "connecting"  # on a thread of its own
    CONNECTED = "connected"  # no request was answered yet
    UP = "up"
    CLOSED = "closed"  # for good


class LinkOwner(Protocol):
    """What a link needs from its thread."""

    def now(self) -> float:
        """Return the monotonic time in seconds."""

    def call(self, function: Callable[[], None]) -> None:
        """Queue a call on this thread.  Any thread may call this."""

    def run_aside(self, function: Callable[[], None], name: str) -> None:
        """Run a function on a thread of its own."""

    def register(self, link: Link, fd: int) -> None:
        """Wait for the events of a socket that was just connected."""

    def set_interest(self, fd: int, events: int) -> None:
        """Change the events that are waited for."""

    def unregister(self, fd: int) -> None:
        """Stop waiting for events, because the socket is about to be closed."""


class LinkUser(Protocol):
    """What uses a link."""

    def on_up(self) -> None:
        """Take note that requests are answered."""

    def on_down(self, reason: str) -> None:
        """Take note that the link is down, or could not come up."""

    def on_reply(self, token: Any, value: Any) -> None:
        """Use the answer to a request."""

    def on_room(self) -> None:
        """Send more, because there is room."""


@dataclass(frozen=True)
class ProofRequests:
    """Requests of the link itself, which show that the Pacemaker answers.

    Attributes:
        announcement: sent first, and again whenever the link has been silent.
        read_right: a request that needs the right to read; None if the link only
            writes.
    """

    announcement: Request[Any]
    read_right: Request[Any] | None = None


class _LostError(Exception):
    """The link has to end; the text says why."""


class Link:
    """One connection to one Pacemaker.  Only the links' thread calls it.

    Args:
        name: the name in the log, such as ``pm1:6699 (pulses)``.
        address: where the Pacemaker is.
        owner: the thread.
        user: what uses the link.
        proof: the link's own requests.
        max_body_bytes: pacemaker.thrift.message.size.max.
        mechanism_factory: authenticates this side; None if it need not.

    Attributes:
        problem: why it is not up, for the log.
        losses: how often it was lost after it had come up.
    """

    def __init__(
        self,
        name: str,
        address: ServerAddress,
        owner: LinkOwner,
        user: LinkUser,
        proof: ProofRequests,
        max_body_bytes: int,
        mechanism_factory: ClientMechanismFactory | None = None,
    ) -> None:
        self.name = name
        self.address = address
        self.problem = "not connected yet"
        self.losses = 0
        self._owner = owner
        self._user = user
        self._proof = proof
        self._max_body_bytes = max_body_bytes
        self._mechanism_factory = mechanism_factory
        self._backoff = Backoff(random.Random())  # noqa: S311  (no secret)
        self._phase = LinkPhase.IDLE
        # When to connect; it counts only while the link is WAITING.
        self._attempt_s = 0.0
        self._sock: socket.socket | None = None
        self._protocol: ClientProtocol | None = None
        self._reply_tokens = ReplyTokens()
        self._unsent = memoryview(b"")
        # The bytes of requests that the protocol has and that are not in `_unsent` yet.
        self._queued_bytes = 0
        self._interest = 0
        self._probes: LinkProbes | None = None
        # Whether a step of SASL is being taken.
        self._is_stepping = False

    def __repr__(self) -> str:
        return f"<Link {self.name} phase={self._phase.value} {self._protocol!r}>"

    # What its user calls.

    def open(self) -> None:
        """Connect, now and after each loss, until `close`."""
        if self._phase is LinkPhase.IDLE:
            self._wait_until(self._owner.now())

    def close(self) -> None:
        """End the connection, and do not connect again."""
        self._disconnect()
        self._phase = LinkPhase.CLOSED

    @property
    def is_up(self) -> bool:
        """Whether requests are answered."""
        return self._phase is LinkPhase.UP

    @property
    def has_room(self) -> bool:
        """Whether more may be sent."""
        return self.is_up and len(self._unsent) + self._queued_bytes < MAX_UNSENT_BYTES

    def send(self, request: Request[Any], token: Any) -> None:
        """Queue a request; `flush` sends it.  The link must be up.

        Args:
            request: the request.
            token: identifies the request in `LinkUser.on_reply` and `abandon`.
        """
        assert self._protocol is not None  # noqa: S101  (it is up)
        message_id = self._protocol.request(request)
        self._reply_tokens.add(message_id, token)
        self._queued_bytes += request.body_bytes

    def abandon(self, token: Any, on_late_reply: Callable[[], None]) -> None:
        """Abandon a request: discard its answer when it comes.

        Args:
            token: identifies the request.
            on_late_reply: called when the answer comes.
        """
        message_id = self._reply_tokens.abandon(token)
        if message_id is not None and self._protocol is not None:
            self._protocol.abandon(message_id, on_late_reply)

    def flush(self) -> None:
        """Send as much of the queued bytes as the kernel accepts."""
        if self._sock is None:
            return
        try:
            self._flush(self._sock)
        except _LostError as exc:
            self._lose(str(exc))
        except OSError as exc:
            self._lose(reason_of(exc))

    # What its thread calls.

    @property
    def next_s(self) -> float | None:
        """When `tick` has to be called; None for never."""
        if self._probes is not None:
            return self._probes.next_s
        return self._attempt_s if self._phase is LinkPhase.WAITING else None

    def postpone(self, lost_s: float) -> None:
        """Extend the time limits by the seconds in which this process did not run."""
        if self._probes is not None:
            self._probes.postpone(lost_s)

    def tick(self, now_s: float) -> None:
        """Connect, probe or give up, if the time for that has come."""
        if self._phase is LinkPhase.WAITING and now_s >= self._attempt_s:
            # If no thread can be started, the link still waits, and `reset` follows.
            self._owner.run_aside(self._connect_aside, f"pacemaker-connect-{self.name}")
            self._phase = LinkPhase.CONNECTING
        if self._probes is None or self._protocol is None:
            return
        if self._probes.is_overdue(now_s):
            self._lose(f"no answer within {self._probes.timeout_s:g} s")
        elif self._probes.is_needed(now_s):
            self._probes.on_sent(now_s)
            self._protocol.request(self._proof.announcement)
            self.flush()

    def reset(self, reason: str) -> None:
        """End the connection, because something is wrong with it."""
        # An attempt to connect cannot be ended: its outcome arrives later.
        if self._phase not in (LinkPhase.CONNECTING, LinkPhase.CLOSED):
            self._lose(reason)

    def guard(self, function: Callable[[], None]) -> None:
        """Call a function of this link; an exception costs it a reconnect."""
        try:
            function()
        except Exception:
            # As after any loss of the connection, the outbox still has what was not
            # acknowledged, and other Pacemakers answer the questions.
            _logger.exception("%s: internal error; the link is reset", self.name)
            self.reset("an internal error of this relay")

    def on_event(self, events: int) -> None:
        """Handle the events of the socket."""
        sock = self._sock
        if sock is None:
            return
        try:
            if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                self._receive(sock)
            self._flush(sock)
        except _LostError as exc:
            self._lose(str(exc))
            return
        except OSError as exc:
            self._lose(reason_of(exc))
            return
        if self.has_room:
            self._user.on_room()

    # Connecting.

    def _connect_aside(self) -> None:
        """Connect; on a thread of its own, which always ends in a call of the owner."""
        try:
            sock = self._open_socket()
        except OSError as exc:
            self._call(partial(self._on_not_connected, reason_of(exc)))
        except Exception as exc:
            _logger.exception("%s: connecting failed (a bug)", self.name)
            self._call(partial(self._on_not_connected, f"an internal error: {exc!r}"))
        else:
            self._call(partial(self._on_connected, sock))

    def _open_socket(self) -> socket.socket:
        network = TcpNetwork()
        with contextlib.closing(network.new_waiter()) as waiter:
            sock = connect(
                network, self.address, waiter, connection_limits.CONNECT_TIMEOUT_S
            )
        return cast("socket.socket", sock)

    def _call(self, function: Callable[[], None]) -> None:
        """Queue a call on the owner's thread."""
        self._owner.call(partial(self.guard, function))

    def _on_not_connected(self, reason: str) -> None:
        if self._phase is not LinkPhase.CLOSED:
            self._lose(reason)

    def _on_connected(self, sock: socket.socket) -> None:
        if self._phase is LinkPhase.CLOSED:
            sock.close()
            return
        self._phase = LinkPhase.CONNECTED
        self._sock = sock
        make = self._mechanism_factory
        try:
            # After a close, the kernel must not send the rest of its buffer: old pulses
            # could arrive after newer ones (see `relay.core.outbox`).
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DISCARD_UNSENT)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            mechanism = None if make is None else make(self.address.host)
            self._protocol = ClientProtocol(self._max_body_bytes, mechanism)
            self._owner.register(self, sock.fileno())
        except (OSError, PacemakerError) as exc:
            self._protocol = None
            self._sock = None
            sock.close()
            self._lose(str(exc))
            return
        self._interest = select.EPOLLIN
        self._probes = LinkProbes(self._owner.now())
        self._protocol.request(self._proof.announcement)
        if self._proof.read_right is not None:
            message_id = self._protocol.request(self._proof.read_right)
            self._reply_tokens.add(message_id, self._proof)
        self._go_on_authenticating()

    def _go_on_authenticating(self) -> None:
        protocol = self._protocol
        # One step at a time, whatever the server sends meanwhile.
        if (
            protocol is not None
            and protocol.phase is ClientPhase.STEPPING
            and not self._is_stepping
        ):
            self._owner.run_aside(
                partial(self._step_aside, protocol), f"pacemaker-sasl-{self.name}"
            )
            self._is_stepping = True
        self.flush()

    def _step_aside(self, protocol: ClientProtocol) -> None:
        """Take a SASL step; on a thread of its own."""
        outcome = protocol.run_step()
        self._call(partial(self._on_step_taken, protocol, outcome))

    def _on_step_taken(self, protocol: ClientProtocol, outcome: StepOutcome) -> None:
        if protocol is not self._protocol or self._probes is None:
            return
        self._is_stepping = False
        protocol.finish_step(outcome)
        self._probes.on_sasl_step(self._owner.now())
        self._go_on_authenticating()

    # Sending and receiving.

    def _flush(self, sock: socket.socket) -> None:
        self._raise_if_unusable()
        if not self._unsent and self._protocol is not None:
            self._unsent = memoryview(self._protocol.data_to_send())
            self._queued_bytes = 0
        if self._unsent:
            with contextlib.suppress(BlockingIOError):
                self._unsent = self._unsent[os.write(sock.fileno(), self._unsent) :]
        # A server should send nothing during our step.  If it does, that stays in the
        # kernel.
        interest = 0 if self._is_stepping else select.EPOLLIN
        if self._unsent:
            interest |= select.EPOLLOUT
        if interest != self._interest:
            self._interest = interest
            self._owner.set_interest(sock.fileno(), interest)

    def _raise_if_unusable(self) -> None:
        protocol = self._protocol
        if protocol is None:
            return
        if protocol.error is not None:
            raise _LostError(f"it broke the protocol: {protocol.error}")
        if protocol.abandoned > connection_limits.MAX_ABANDONED:
            raise _LostError(
                f"{protocol.abandoned} answers are overdue,"
                f" at most {connection_limits.MAX_ABANDONED} may be"
            )

    def _receive(self, sock: socket.socket) -> None:
        protocol, probes = self._protocol, self._probes
        assert protocol is not None  # noqa: S101  (there is a connection)
        assert probes is not None  # noqa: S101
        try:
            data = sock.recv(connection_limits.READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            raise _LostError(self._why_closed(protocol))
        probes.on_data(self._owner.now())
        replies_before = protocol.replies_received
        protocol.receive_data(data)
        if protocol.phase is ClientPhase.STEPPING:
            self._go_on_authenticating()
        if protocol.replies_received != replies_before:
            probes.on_reply()
        self._use_replies(protocol)
        self._raise_if_unusable()

    def _why_closed(self, protocol: ClientProtocol) -> str:
        if protocol.phase is not ClientPhase.OPEN:
            return (
                "closed by the Pacemaker during authentication; does it have the same"
                " pacemaker.auth.method, and are the credentials right?"
            )
        if not self.is_up:
            return (
                "closed by the server before any answer; is it a Pacemaker, and not a"
                " relay?"
            )
        return "closed by the Pacemaker"

    def _use_replies(self, protocol: ClientProtocol) -> None:
        for reply in protocol.replies():
            token = self._reply_tokens.pop(reply.message_id)
            if reply.is_refused:
                raise _LostError(
                    "it refuses reads (NOT_AUTHORIZED); does it have the same"
                    " pacemaker.auth.method?"
                )
            # A link for reads is of no use until it has shown that it may read.
            may_be_used = self._proof.read_right is None or token is self._proof
            if may_be_used and not self.is_up:
                self._on_first_answer()
            if token is not None and token is not self._proof:
                self._user.on_reply(token, reply.value)

    def _on_first_answer(self) -> None:
        self._phase = LinkPhase.UP
        if self._probes is not None:
            self._probes.on_up()
        self.problem = ""
        self._backoff.reset()
        _logger.info("%s: connected", self.name)
        self._user.on_up()

    def _lose(self, reason: str) -> None:
        """End the connection, and connect again later."""
        was_up = self.is_up
        self._disconnect()
        self.losses += was_up
        if was_up or reason != self.problem:
            _logger.warning("%s: no connection: %s", self.name, reason)
        self.problem = reason
        self._wait_until(self._owner.now() + self._backoff.next_delay_s())
        self._user.on_down(reason)

    def _wait_until(self, attempt_s: float) -> None:
        self._phase = LinkPhase.WAITING
        self._attempt_s = attempt_s

    def _disconnect(self) -> None:
        self._reply_tokens = ReplyTokens()
        self._unsent = memoryview(b"")
        self._queued_bytes = 0
        self._probes = None
        self._protocol = None
        self._is_stepping = False
        sock, self._sock = self._sock, None
        if sock is not None:
            self._owner.unregister(sock.fileno())
            sock.close()
