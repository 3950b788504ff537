"""A call: one request between its caller and the connection's thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from pacemaker.client.network import Clock
from pacemaker.client.requests import Request
from pacemaker.errors import ClientError

T = TypeVar("T")


class Call(Generic[T]):
    """One request and its outcome.

    Two threads share a call: its caller, which waits in `result` and abandons it at
    the deadline, and the connection's thread, which answers it.  Neither needs a lock.
    If the answer arrives exactly at the deadline, the caller raises, and the answer
    stays in an object that nobody reads any more, like any other late answer.

    Args:
        request: the request.
        timeout_s: how long it may take.
        clock: the time.
        abandon: withdraws the call from the connection, at its deadline or when the
            caller is interrupted; returns the error to raise.

    Attributes:
        began_s: when it was created, by the clock.
        deadline_s: when the caller abandons it.
        message_id: the id of the sent request; used only by the connection's thread.
    """

    __slots__ = (
        "_abandon",
        "_answered",
        "_answered_s",
        "_clock",
        "_error",
        "_value",
        "began_s",
        "deadline_s",
        "message_id",
        "request",
        "timeout_s",
    )

    def __init__(
        self,
        request: Request[T],
        timeout_s: float,
        clock: Clock,
        abandon: Callable[[Call[Any]], ClientError],
    ) -> None:
        self.request = request
        self.timeout_s = timeout_s
        self._clock = clock
        self.began_s = clock.now_s()
        self.deadline_s = self.began_s + timeout_s
        self.message_id = -1
        self._abandon = abandon
        self._answered = threading.Event()
        self._answered_s: float | None = None
        self._value: Any = None
        self._error: ClientError | None = None

    def __repr__(self) -> str:
        state = "answered" if self._answered.is_set() else "waits"
        return f"<Call {self.request.name} {state}>"

    @property
    def is_answered(self) -> bool:
        """Whether there is an answer or an error."""
        return self._answered.is_set()

    @property
    def took_s(self) -> float:
        """How long the answer took, or how long the call has waited so far."""
        end_s = self._clock.now_s() if self._answered_s is None else self._answered_s
        return end_s - self.began_s

    def succeed(self, value: T) -> None:
        """Set the answer; called once, by the connection."""
        self._value = value
        self._end()

    def fail(self, error: ClientError) -> None:
        """Set the error; called once, by the connection."""
        self._error = error
        self._end()

    def _end(self) -> None:
        self._answered_s = self._clock.now_s()
        self._answered.set()

    def result(self) -> T:
        """Wait for the answer.

        Raises:
            ClientError: the request failed, or there was no answer in time.
        """
        try:
            left_s = max(0.0, self.deadline_s - self._clock.now_s())
            is_answered = self._clock.wait_for(self._answered, left_s)
        except BaseException:  # the user's Ctrl-C
            self._abandon(self)
            raise
        if not is_answered:
            raise self._abandon(self)
        if self._error is not None:
            raise self._error
        value: T = self._value
        return value

    def cancel(self) -> None:
        """Abandon the call if its answer is no longer needed."""
        if not self._answered.is_set():
            self._abandon(self)
