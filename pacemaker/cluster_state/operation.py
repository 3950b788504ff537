"""One call of the cluster state: its one deadline, its lost answers, its errors.

A request whose connection ends before the answer may have been served or not.
A read is sent again.  A write is not: **what became of it is read back first**.
The reading begins with ZooKeeper's sync, on the new connection.  By then the
leader has either taken the lost write, and the sync brings its effect, or it
refuses it for ever, since the session has moved to the new connection or has
ended.  So what is read then is final, and only a write that is shown not to
have been done is sent again.

Where reading back settles nothing, or there is no connection in time to do it,
the call ends with `AnswerLostError`.
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

from pacemaker.cluster_state.session import CONNECTION_LOST, ZooKeeperSession
from pacemaker.errors import (
    AnswerLostError,
    NodeAccessError,
    NodeMissingError,
    UnavailableError,
    ZooKeeperError,
)

# How often a write is sent.  ZooKeeper ends the connection of one that is too
# large for it, each time.
WRITE_ATTEMPTS_MAX: Final = 3


AnyZooKeeperError = TypeVar("AnyZooKeeperError", bound=ZooKeeperError)


class Done(NamedTuple):
    """Reading back has found a write's effect, and what its answer would have been."""

    answer: Any = None


class Operation:
    """One call, as a ``with`` block: kazoo's errors leave it as documented ones.

    Args:
        session: where requests go.
        name: the call, for its errors.
        path: the node as the caller names it, for its errors.
        timeout_s: how long all requests of the call may take together.
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
        """Send a request that changes nothing, again where its connection ends.

        Args:
            send: takes kazoo's client, returns kazoo's result to come.
        """
        while True:
            try:
                return self._send(send)
            except CONNECTION_LOST:
                continue

    def write(
        self, send: Callable[[Any], Any], read_back: Callable[[], Done | None]
    ) -> Any:
        """Send a request that changes something, and surely once.

        Args:
            send: takes kazoo's client, returns kazoo's result to come.
            read_back: looks, where the answer is lost, whether it was done; None
                says that it was certainly not.
        """
        for _ in range(WRITE_ATTEMPTS_MAX):
            try:
                return self._send(send)
            except CONNECTION_LOST as exc:
                done = self._read_back(read_back, exc)
            except KazooTimeoutError as exc:
                raise self.answer_lost("no answer in time") from exc
            if done is not None:
                return done.answer
        raise self._error(
            UnavailableError, "the connection ended each time that it was sent"
        )

    def session_id(self) -> int:
        """Return the id of the session, by which ZooKeeper names a node's owner."""
        while (client_id := self._session.client.client_id) is None:
            self._wait_ready()
        session_id: int = client_id[0]
        return session_id

    def last_transaction(self) -> int:
        """Return the newest transaction id that an answer has brought."""
        last_zxid: int = self._session.client.last_zxid
        return last_zxid

    def answer_lost(self, why: str) -> AnswerLostError:
        """Return the error of a write that may have been done or not."""
        reason = f"the answer is lost, it may have been done or not: {why}"
        return self._error(AnswerLostError, reason)

    def _send(self, send: Callable[[Any], Any]) -> Any:
        self._wait_ready()
        return send(self._session.client).get(timeout=self._left_s())

    def _wait_ready(self) -> None:
        if not self._session.wait_ready(self._left_s()):
            reason = self._session.end or f"no connection in {self._timeout_s:g} s"
            raise self._error(UnavailableError, reason)

    def _read_back(
        self, read_back: Callable[[], Done | None], lost: Exception
    ) -> Done | None:
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
