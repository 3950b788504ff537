"""The pulses that a Pacemaker may have refused.

A Pacemaker that cannot store a pulse ends the connection, which carries the pulses of
all workers of the host.  It answers in order, so the first unanswered pulse is the one
to suspect.  If it were sent again among the others, those behind it would be lost with
it each time, and their workers would be called dead.  So it is sent alone, after all
others, and after each further loss it waits longer.
"""

from __future__ import annotations

from typing import Final

# How long a pulse waits after the second loss in a row; twice as long after each
# further one, up to the maximum.  After the first loss it does not wait: something else
# may have ended the connection.
_FIRST_PAUSE_S: Final = 1.0
_MAX_PAUSE_S: Final = 60.0


class Suspects:
    """The keys whose pulses are sent alone."""

    def __init__(self) -> None:
        # How often in a row each was the first unanswered one, those that may be sent,
        # and until when the others wait.
        self._losses: dict[str, int] = {}
        self._due: dict[str, None] = {}
        self._waiting_s: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._due) + len(self._waiting_s)

    def __contains__(self, key: str) -> bool:
        """Whether the pulse of a key waits here."""
        return key in self._due or key in self._waiting_s

    @property
    def next_s(self) -> float | None:
        """When `tick` has to be called; None for never."""
        return min(self._waiting_s.values(), default=None)

    def suspect(self, key: str, now_s: float) -> None:
        """Note that a pulse was the first unanswered one when the connection ended."""
        losses = self._losses[key] = self._losses.get(key, 0) + 1
        if losses == 1:
            self._due[key] = None
        else:
            pause_s = min(_FIRST_PAUSE_S * 2.0 ** (losses - 2), _MAX_PAUSE_S)
            self._waiting_s[key] = now_s + pause_s

    def clear(self, key: str) -> None:
        """Trust a key again, because its pulse was stored, or does not matter."""
        if self._losses.pop(key, 0):
            self._due.pop(key, None)
            self._waiting_s.pop(key, None)

    def tick(self, now_s: float) -> None:
        """Let those be sent that have waited long enough."""
        for key in [key for key, at_s in self._waiting_s.items() if at_s <= now_s]:
            del self._waiting_s[key]
            self._due[key] = None

    def pop_due(self) -> str | None:
        """Remove and return a key whose pulse may be sent alone; None if none may."""
        return self._due.popitem()[0] if self._due else None
