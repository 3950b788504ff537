"""A connection to one Pacemaker that many threads share.

**Threads.**  Each connection has its own thread, which starts with the first call and
is the only one that touches the socket.  A caller queues its call and waits for the
answer until the call's deadline.  So a server that is slow, hangs or is gone never
delays a caller beyond its deadline.  A reset is noticed at once, because the thread
always polls the socket.

**Reconnection.**  The thread connects at the first call.  After a loss it reconnects by
itself, with a backoff, until `close`; no further call is needed.  `is_available` tells
whether the connection is back.
"""

from __future__ import annotations

import logging
import os
import random
import threading
from collections import deque
from types import TracebackType
from typing import Any, Final, TypeVar

from pacemaker.client.address import ServerAddress
from pacemaker.client.backoff import Backoff
from pacemaker.client.call import Call
from pacemaker.client.connection_limits import CONNECT_TIMEOUT_S
from pacemaker.client.liveness import Liveness
from pacemaker.client.network import Network, Waiter, connect, reason_of
from pacemaker.client.protocol import ClientProtocol
from pacemaker.client.requests import Request
from pacemaker.client.session import (
    NOT_A_PACEMAKER_HINT,
    Session,
    SessionLostError,
)
from pacemaker.client.tcp import TcpNetwork
from pacemaker.config import Settings
from pacemaker.errors import (
    CannotConnectError,
    ClientError,
    ClosedError,
    ConnectionLostError,
    DeadlineError,
)
from pacemaker.sasl.mechanism import ClientMechanismFactory

T = TypeVar("T")

DEFAULT_TIMEOUT_S: Final = 1.0
DEFAULT_MAX_MESSAGE_BYTES: Final = Settings().message_size_max_bytes

_CLOSED: Final = "the connection is closed"

_logger: Final = logging.getLogger(__name__)


class PacemakerConnection:
    """One Pacemaker, for any number of threads.

    Args:
        address: where the server is.
        timeout_s: how long a call may take by default, including connecting and
            authenticating.
        max_body_bytes: pacemaker.thrift.message.size.max.
        mechanism_factory: creates the mechanism that authenticates this side to a host;
            None if no authentication is needed.
        network: the sockets and the time; a test may pass a
            `pacemaker.testing.MemoryNetwork`.
        rng: the random source of the backoff.

    Attributes:
        address: where the server is.
        name: ``HOST:PORT``, as in errors and the log.
        liveness: whether the server is believed to answer, and why not.
    """

    def __init__(
        self,
        address: ServerAddress,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        max_body_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
        mechanism_factory: ClientMechanismFactory | None = None,
        network: Network | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.address = address
        self.name = str(address)
        self._timeout_s = timeout_s
        self._max_body_bytes = max_body_bytes
        self._mechanism_factory = mechanism_factory
        self._network = network or TcpNetwork()
        self.liveness = Liveness(self.name, self._network.clock)
        self._pid = os.getpid()
        # Used only by the thread.
        self._backoff = Backoff(rng or random.Random())  # noqa: S311  (no secret)
        # Guards everything below, which callers and the thread change.
        self._lock = threading.Lock()
        self._waiting: deque[Call[Any]] = deque()
        self._abandoned: deque[Call[Any]] = deque()
        self._thread: threading.Thread | None = None
        self._waiter: Waiter | None = None
        self._next_attempt_s = 0.0
        self._last_failure = ""
        self._is_closing = False

    def __repr__(self) -> str:
        return (
            f"<PacemakerConnection {self.name} available={self.is_available}"
            f" closed={self._is_closing}>"
        )

    # Methods that any thread may call.

    def request(self, request: Request[T], timeout_s: float | None = None) -> T:
        """Send a request and wait for its answer.

        Args:
            request: created by a function of `pacemaker.client.requests`.
            timeout_s: how long it may take; None for the connection's default.

        Raises:
            CannotConnectError: there is no connection; the request was not sent.
            ConnectionLostError: the connection ended before the reply; the request
                may have been carried out.
            DeadlineError: there was no reply in time; `was_sent` says whether the
                request may have been carried out.
            NotAuthorizedError: the server does not let this client read.
            ClosedError: the connection was closed, or belongs to another process.
            ValueError: the request is larger than a message may be.
        """
        return self.submit(request, timeout_s).result()

    def submit(self, request: Request[T], timeout_s: float | None = None) -> Call[T]:
        """Send a request without waiting for its answer.

        Raises:
            ClosedError: the connection was closed, or belongs to another process.
            ValueError: the request is larger than a message may be.
        """
        if request.body_bytes > self._max_body_bytes:
            raise ValueError(
                f"{request.name}: the message has {request.body_bytes} bytes, but only"
                f" {self._max_body_bytes} are allowed"
            )
        # Checked before the lock is taken: if another thread held it when this process
        # was forked, it is never released here.
        if os.getpid() != self._pid:
            raise ClosedError(self.name, "the connection belongs to another process")
        timeout_s = self._timeout_s if timeout_s is None else timeout_s
        call = Call(request, timeout_s, self._network.clock, self._abandon)
        with self._lock:
            if self._is_closing:
                raise ClosedError(self.name, _CLOSED)
            if self._next_attempt_s > call.deadline_s:
                call.fail(CannotConnectError(self.name, self._last_failure))
                return call
            try:
                waiter = self._waiter or self._start()
            except (OSError, RuntimeError) as exc:
                # Out of descriptors or threads.  The next call tries again.
                call.fail(CannotConnectError(self.name, f"cannot start: {exc}"))
                return call
            is_first = not self._waiting
            self._waiting.append(call)
        if is_first:
            # The thread drains the queue as far as it can.  If the queue was not empty,
            # an earlier call has woken the thread, or it waits for a reply.
            waiter.wake()
        return call

    @property
    def is_available(self) -> bool:
        """Whether the server is believed to answer; see `Liveness`."""
        return self.liveness.is_available

    def close(self) -> None:
        """Close the connection; waiting calls raise ClosedError.

        Returns when the thread and its descriptors are gone, which includes waiting for
        a host name lookup or a step with the KDC that is under way.  Further calls, and
        calls in a forked process, have no effect.
        """
        if os.getpid() != self._pid:
            return
        with self._lock:
            self._is_closing = True
            thread, waiter = self._thread, self._waiter
        if thread is not None and waiter is not None:
            waiter.stop()
            thread.join()

    def __enter__(self) -> PacemakerConnection:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self) -> Waiter:
        self._waiter = waiter = self._network.new_waiter()
        self._thread = threading.Thread(
            target=self._run,
            args=(waiter,),
            name=f"pacemaker-client-{self.name}",
            daemon=True,
        )
        try:
            self._thread.start()
        except RuntimeError:  # not for an interrupt: the thread may be running by then
            self._waiter = self._thread = None
            waiter.close()
            raise
        return waiter

    def _abandon(self, call: Call[Any]) -> ClientError:
        """Withdraw a call; if it has not been sent yet, it never will be."""
        if self._network.clock.now_s() >= call.deadline_s:
            # Done by the caller itself, so that its next call sees it.
            self.liveness.on_missed(call.timeout_s)
        with self._lock:
            waiter = self._waiter
            try:
                self._waiting.remove(call)
            except ValueError:
                was_sent = True
                self._abandoned.append(call)
            else:
                was_sent = False
        if waiter is not None:
            waiter.wake()
        reason = _deadline_reason(call, was_sent)
        if was_sent and not self.liveness.has_replied:
            reason += f"; {NOT_A_PACEMAKER_HINT}"
        return DeadlineError(self.name, reason, was_sent)

    # Methods that the session calls, on the thread.

    @property
    def is_closing(self) -> bool:
        """Whether `close` was called."""
        return self._is_closing

    def take_calls(self, most: int) -> list[Call[Any]]:
        """Remove and return the calls that have waited longest, at most this many."""
        with self._lock:
            count = min(most, len(self._waiting))
            return [self._waiting.popleft() for _ in range(count)]

    def take_abandoned(self) -> list[Call[Any]]:
        """Remove and return the calls that were abandoned after they had been sent."""
        if (
            not self._abandoned
        ):  # the usual case; `_abandon` wakes this thread after it appends
            return []
        with self._lock:
            calls = list(self._abandoned)
            self._abandoned.clear()
        return calls

    # The thread.

    def _run(self, waiter: Waiter) -> None:
        session: Session | None = None
        while not self._is_closing:
            session = None
            try:
                session = self._new_session(waiter)
                session.run()
                reason = _CLOSED
            except SessionLostError as exc:
                reason = str(exc)
            except Exception:
                _logger.exception("%s: an internal error", self.name)
                reason = "an internal error of this client"
            if self._is_closing:
                break
            self._on_loss(session, reason)
            self._pause(waiter)
        if session is not None:
            self._fail_in_flight(session, ClosedError, _CLOSED)
        for call in self.take_calls(len(self._waiting)):
            call.fail(ClosedError(self.name, _CLOSED))
        waiter.close()

    def _new_session(self, waiter: Waiter) -> Session:
        try:
            sock = connect(
                self._network, self.address, waiter, CONNECT_TIMEOUT_S, self._timeout_s
            )
        except OSError as exc:
            raise SessionLostError(reason_of(exc)) from exc
        make = self._mechanism_factory
        try:
            mechanism = None if make is None else make(self.address.host)
            protocol = ClientProtocol(
                self._max_body_bytes, mechanism, server=str(self.address)
            )
            clock = self._network.clock
            return Session(self, self.liveness, sock, protocol, waiter, clock)
        except BaseException:
            sock.close()
            raise

    def _on_loss(self, session: Session | None, reason: str) -> None:
        """Fail the affected calls and schedule the next attempt."""
        if session is not None and session.was_alive:
            self._backoff.reset()
        self.liveness.on_loss(reason)
        with self._lock:
            self._last_failure = reason
            self._next_attempt_s = (
                self._network.clock.now_s() + self._backoff.next_delay_s()
            )
        if session is not None:
            self._fail_in_flight(session, ConnectionLostError, reason)
        if session is None or not session.was_alive:
            # The next attempt is unlikely to do better, so waiting calls fail now.
            for call in self.take_calls(len(self._waiting)):
                call.fail(CannotConnectError(self.name, reason))

    def _fail_in_flight(
        self, session: Session, error: type[ClientError], reason: str
    ) -> None:
        for call in session.take_in_flight():
            call.fail(error(self.name, reason))

    def _pause(self, waiter: Waiter) -> None:
        while not self._is_closing:
            left_s = self._next_attempt_s - self._network.clock.now_s()
            if left_s <= 0:
                return
            waiter.wait(left_s)


def _deadline_reason(call: Call[Any], was_sent: bool) -> str:
    limit = f"within {call.timeout_s:.3g} s"
    if not was_sent:
        return f"no connection {limit}; {call.request.name} was not sent"
    reason = f"no reply to {call.request.name} {limit}"
    if call.request.may_be_held:
        reason += (
            "; after a start a server may hold the read of a heartbeat that has not"
            " arrived yet"
        )
    return reason
