"""One call of the cluster state: its deadline, its lost answers, its errors.

If a connection ends before the answer, the request may or may not have been served.  A
read is sent again.  For a write, **the outcome is read back first**, after ZooKeeper's
sync on the new connection.  By then the leader has either accepted the lost write, and
the sync makes it visible, or will refuse it forever, because the session has moved to
the new connection or has ended.  So the result of the read is final, and a write is
sent again only if it has certainly not been carried out.

If reading back decides nothing, or there is no connection in time, the call ends with
`AnswerLostError`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, NamedTuple, TypeVar

from kazoo.exceptions import (
    AuthFailedError,
    InvalidACLError,
    KazooException,
    NoAuthError,
    NoNodeError,
)
from kazoo.handlers.threading import KazooTimeoutError

from pacemaker.cluster_state.zookeeper_session import (
    CONNECTION_LOST_ERRORS,
    ZooKeeperSession,
)
from pacemaker.errors import (
    AnswerLostError,
    NodeAccessError,
    NodeMissingError,
    UnavailableError,
    ZooKeeperError,
)

# How often a write is sent.  Limited because ZooKeeper closes the connection each time
# for a write that is too large.
MAX_WRITE_ATTEMPTS: Final = 3


AnyZooKeeperError = TypeVar("AnyZooKeeperError", bound=ZooKeeperError)


class WriteWasDone(NamedTuple):
    """The result of reading back a write that was done, with its lost answer."""

    answer: Any = None


class Operation:
    """One call, as a ``with`` block that translates kazoo's errors to documented ones.

    Args:
        session: the session that requests are sent on.
        name: the name of the call, for errors.
        path: the node's path as the caller gave it, for errors.
        timeout_s: the limit for all requests of the call together.
    """

    def __init__(
        self, session: ZooKeeperSession, name: str, path: str, timeout_s: float
    ) -> None:
        self._session = session
        self._name = name
        self._path = path
        self._timeout_s = timeout_s
        self._deadline_s = time.monotonic() + timeout_s

    def __enter__(self) -> Operation:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(exc, (KazooException, KazooTimeoutError)):
            raise self._translated(exc) from exc

    def read(self, send: Callable[[Any], Any]) -> Any:
        """Send a request that changes nothing; send it again if its connection ends.

        Args:
            send: sends the request with kazoo's client and returns kazoo's async
                result.
        """
        while True:
            try:
                return self._send(send)
            except CONNECTION_LOST_ERRORS:
                continue

    def write(
        self, send: Callable[[Any], Any], read_back: Callable[[], WriteWasDone | None]
    ) -> Any:
        """Send a request that changes something, so that it takes effect once.

        Args:
            send: sends the request with kazoo's client and returns kazoo's async
                result.
            read_back: called if the answer is lost; returns None if the write was
                certainly not carried out.
        """
        for _ in range(MAX_WRITE_ATTEMPTS):
            try:
                return self._send(send)
            except CONNECTION_LOST_ERRORS as exc:
                done = self._read_back(read_back, exc)
            except KazooTimeoutError as exc:
                raise self.answer_lost("no answer in time") from exc
            if done is not None:
                return done.answer
        raise self._error(
            UnavailableError, "the connection ended each time the request was sent"
        )

    def session_id(self) -> int:
        """Return the session's id, which ZooKeeper records as a node's owner."""
        while (client_id := self._session.client.client_id) is None:
            self._wait_ready()
        session_id: int = client_id[0]
        return session_id

    def last_transaction(self) -> int:
        """Return the newest transaction id in any answer so far."""
        last_zxid: int = self._session.client.last_zxid
        return last_zxid

    def answer_lost(self, why: str) -> AnswerLostError:
        """Return the error for a write that may or may not have been carried out."""
        reason = f"the answer was lost; the write may have been carried out: {why}"
        return self._error(AnswerLostError, reason)

    def _send(self, send: Callable[[Any], Any]) -> Any:
        self._wait_ready()
        return send(self._session.client).get(timeout=self._left_s())

    def _wait_ready(self) -> None:
        if not self._session.wait_ready(self._left_s()):
            reason = self._session.end or f"no connection in {self._timeout_s:g} s"
            raise self._error(UnavailableError, reason)

    def _read_back(
        self, read_back: Callable[[], WriteWasDone | None], lost: Exception
    ) -> WriteWasDone | None:
        try:
            self.read(lambda client: client.sync_async("/"))
            return read_back()
        except (UnavailableError, KazooTimeoutError, NoAuthError) as exc:
            raise self.answer_lost(f"{type(lost).__name__}, then {exc}") from exc

    def _left_s(self) -> float:
        return max(0.0, self._deadline_s - time.monotonic())

    def _translated(self, exc: BaseException) -> ZooKeeperError:
        if isinstance(exc, NoNodeError):
            return self._error(NodeMissingError, "there is no such node")
        if isinstance(exc, (NoAuthError, InvalidACLError, AuthFailedError)):
            return self._error(NodeAccessError, f"not allowed ({type(exc).__name__})")
        if isinstance(exc, KazooTimeoutError):
            return self._error(UnavailableError, f"no answer in {self._timeout_s:g} s")
        return self._error(ZooKeeperError, f"refused ({type(exc).__name__})")

    def _error(self, kind: type[AnyZooKeeperError], reason: str) -> AnyZooKeeperError:
        return kind(self._name, self._path, reason)
