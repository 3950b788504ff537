"""A call: one request, from whoever asks to the thread that gets the answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from pacemaker.client.requests import Request
from pacemaker.errors import ClientError

T = TypeVar("T")


class Call(Generic[T]):
    """One request and what becomes of it.

    Two threads know a call: its caller, who waits in `result` and gives up at
    the deadline, and the connection's thread, which answers it.  Neither takes
    a lock for that.  Where the answer comes at the very moment of the deadline,
    the caller raises and the answer lies in an object that nobody looks at any
    more: that is what "late" means.

    Args:
        request: what is asked.
        timeout_s: how long it may take.
        give_up: takes the call back from the connection, at its deadline or when
            the caller is interrupted; returns the error to raise.

    Attributes:
        began_s: when it was made, by `time.monotonic`.
        deadline_s: when the caller gives up.
        message_id: the id that it was sent under; only the connection's thread
            uses it.
    """

    __slots__ = (
        "_answered",
        "_answered_s",
        "_error",
        "_give_up",
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
        give_up: Callable[[Call[Any]], ClientError],
    ) -> None:
        self.request = request
        self.timeout_s = timeout_s
        self.began_s = time.monotonic()
        self.deadline_s = self.began_s + timeout_s
        self.message_id = -1
        self._give_up = give_up
        self._answered = threading.Event()
        self._answered_s = 0.0
        self._value: Any = None
        self._error: ClientError | None = None

    def __repr__(self) -> str:
        state = "answered" if self._answered.is_set() else "waits"
        return f"<Call {self.request.name} {state}>"

    @property
    def is_answered(self) -> bool:
        """Whether there is an answer, or an error in its place."""
        return self._answered.is_set()

    @property
    def took_s(self) -> float:
        """How long the answer took, or has been waited for until now."""
        return (self._answered_s or time.monotonic()) - self.began_s

    def succeed(self, value: T) -> None:
        """Answer the call; the connection does, once."""
        self._value = value
        self._end()

    def fail(self, error: ClientError) -> None:
        """Say that there will be no answer; the connection does, once."""
        self._error = error
        self._end()

    def _end(self) -> None:
        self._answered_s = time.monotonic()
        self._answered.set()

    def result(self) -> T:
        """Wait for the answer.

        Raises:
            ClientError: there is none, or not in time.
        """
        try:
            left_s = max(0.0, self.deadline_s - time.monotonic())
            is_answered = self._answered.wait(left_s)
        except BaseException:  # the user's Ctrl-C
            self._give_up(self)
            raise
        if not is_answered:
            raise self._give_up(self)
        if self._error is not None:
            raise self._error
        value: T = self._value
        return value

    def cancel(self) -> None:
        """Give up an answer that is no longer of interest."""
        if not self._answered.is_set():
            self._give_up(self)
