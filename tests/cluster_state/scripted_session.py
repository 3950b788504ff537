"""A ZooKeeper session with scripted answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class Answer:
    """A result to come of kazoo's that is there, or an error."""

    def __init__(self, outcome: object) -> None:
        self._outcome = outcome

    def get(self, timeout: float) -> object:
        """Return it, or raise it."""
        assert timeout >= 0
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        return self._outcome


class ScriptedSession:
    """Gives the outcomes of a list, one for each request, and keeps the requests.

    Args:
        outcomes: what the requests give, in order; an exception is raised.
        is_ready: whether there is a connection.
        end: why there is none any more.
    """

    def __init__(
        self,
        outcomes: Iterable[object] = (),
        *,
        is_ready: bool = True,
        end: str | None = None,
    ) -> None:
        self.client = self
        self.client_id = (5, b"password")
        self.end = end
        self.requests: list[str] = []
        self._is_ready = is_ready
        self._outcomes = iter(outcomes)

    def wait_ready(self, timeout_s: float) -> bool:
        """Tell whether there is a connection."""
        assert timeout_s >= 0
        return self._is_ready

    def __getattr__(self, name: str) -> Any:
        """Return kazoo's request of that name."""

        def send(*_: object, **__: object) -> Answer:
            self.requests.append(name.removesuffix("_async"))
            return Answer(next(self._outcomes))

        return send
