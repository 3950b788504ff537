"""The pulses that a Pacemaker may have refused.

A Pacemaker that cannot store a pulse ends the connection, which carries the pulses of
all workers of the host.  It answers in order, so the first unanswered pulse is the one
to suspect.  If it were sent again among the others, those behind it would be lost with
it each time, and their workers would be called dead.  So it is sent alone, after all
others, and after each further loss it waits longer.

Nearly always it is innocent: its worker must not be called dead either, however busy
the others are.  So it is *urgent* once it has yielded to them for a second.
"""

from __future__ import annotations

from typing import Final

# How long a pulse waits after the second loss in a row; twice as long after each
# further one, up to the maximum.  After the first loss it does not wait: something else
# may have ended the connection.
_FIRST_PAUSE_S: Final = 1.0
_MAX_PAUSE_S: Final = 60.0
# How long a pulse that may be sent yields to the others.
_YIELDS_S: Final = 1.0


class Suspects:
    """The keys whose pulses are sent alone."""

    def __init__(self) -> None:
        # How often in a row each was the first unanswered one.
        self._losses: dict[str, int] = {}
        # Until when each waits; those that may be sent, and until when they yield to
        # the others; and those that have yielded long enough.
        self._waiting_s: dict[str, float] = {}
        self._due_s: dict[str, float] = {}
        self._urgent: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._waiting_s) + len(self._due_s) + len(self._urgent)

    def __contains__(self, key: str) -> bool:
        """Whether the pulse of a key waits here."""
        return key in self._waiting_s or key in self._due_s or key in self._urgent

    @property
    def next_s(self) -> float | None:
        """When `tick` has to be called; None for never."""
        return min([*self._waiting_s.values(), *self._due_s.values()], default=None)

    @property
    def are_urgent(self) -> bool:
        """Whether nothing else may be sent until one of them has been."""
        return bool(self._urgent)

    def suspect(self, key: str, now_s: float) -> None:
        """Note that a pulse was the first unanswered one when the connection ended."""
        losses = self._losses[key] = self._losses.get(key, 0) + 1
        if losses == 1:
            self._due_s[key] = now_s + _YIELDS_S
        else:
            pause_s = min(_FIRST_PAUSE_S * 2.0 ** (losses - 2), _MAX_PAUSE_S)
            self._waiting_s[key] = now_s + pause_s

    def clear(self, key: str) -> None:
        """Trust a key again, because its pulse was stored, or does not matter."""
        if self._losses.pop(key, 0):
            self._waiting_s.pop(key, None)
            self._due_s.pop(key, None)
            self._urgent.pop(key, None)

    def tick(self, now_s: float) -> None:
        """Let those be sent that have waited, or yielded, long enough."""
        for key in _pop_past(self._due_s, now_s):
            self._urgent[key] = None
        for key in _pop_past(self._waiting_s, now_s):
            self._due_s[key] = now_s + _YIELDS_S

    def pop_due(self) -> str | None:
        """Remove and return a key whose pulse may be sent alone; None if none may."""
        for keys in (self._urgent, self._due_s):
            for key in keys:
                del keys[key]
                return key
        return None


def _pop_past(times_s: dict[str, float], now_s: float) -> list[str]:
    """Remove and return the keys whose time has come."""
    keys = [key for key, at_s in times_s.items() if at_s <= now_s]
    for key in keys:
        del times_s[key]
    return keys
