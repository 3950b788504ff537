"""Who has failed to authenticate lately, so that guessing is slow.

Pure: time comes in as an argument.
"""

from __future__ import annotations

from typing import Final

# Somebody who mistypes a password is not held up.
FREE_FAILURES: Final = 3
FIRST_DELAY_S: Final = 0.125
MAX_DELAY_S: Final = 1.0
# Failures are forgotten when no new one has come for this long.
MEMORY_S: Final = 600.0
# Hosts that are remembered; past it the one that failed longest ago is not.
MAX_HOSTS: Final = 10_000


class GuessBook:
    """The failed attempts of each host.  Only under its owner's lock."""

    def __init__(self) -> None:
        # In the order of their last failure.
        self._failures: dict[str, tuple[int, float]] = {}

    def delay_s(self, host: str, now_s: float) -> float:
        """Return how long an answer to this host has to wait."""
        failures, last_s = self._failures.get(host, (0, now_s))
        if failures < FREE_FAILURES or now_s - last_s > MEMORY_S:
            return 0.0
        doublings = min(failures - FREE_FAILURES, 10)
        return min(MAX_DELAY_S, FIRST_DELAY_S * 2.0**doublings)

    def failed(self, host: str, now_s: float) -> None:
        """Remember a failure."""
        failures, last_s = self._failures.pop(host, (0, now_s))
        if now_s - last_s > MEMORY_S:
            failures = 0
        self._failures[host] = (failures + 1, now_s)
        if len(self._failures) > MAX_HOSTS:
            del self._failures[next(iter(self._failures))]

    def succeeded(self, host: str) -> None:
        """Forget the failures of a host that has authenticated."""
        self._failures.pop(host, None)
