"""Recent authentication failures by address, and when each one is reported.

A client learns that it failed when its connection is closed.  After a few failures from
one address, refusals are reported to it one at a time, each after a delay.  So however
many connections the address opens, it learns of only a few wrong guesses a second.

This module does no I/O; times are passed in.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

T = TypeVar("T")

# This many failures cause no delay, so that mistyping a password costs nothing.
FREE_FAILURES: Final = 3
FIRST_DELAY_S: Final = 0.125
MAX_DELAY_S: Final = 1.0
# A right secret waits less long, because its client is not to blame for the guesses.
MAX_RIGHT_DELAY_S: Final = 0.5
# Failures are forgotten if no new one has come for this time.
MEMORY_S: Final = 600.0
# How many addresses are remembered.  The one that failed longest ago is dropped first.
MAX_ADDRESSES: Final = 10_000


class FailedLogins:
    """The failed attempts of each address.  Call it only under its owner's lock.

    Args:
        max_delay_s: the longest time for which an outcome is withheld.
    """

    def __init__(self, max_delay_s: float = MAX_DELAY_S) -> None:
        self._max_delay_s = max_delay_s
        # In the order of each address's last failure.
        self._failures: dict[str, tuple[int, float]] = {}

    def delay_s(self, address: str, now_s: float) -> float:
        """Return how long to withhold this address's next outcome."""
        failures, last_s = self._failures.get(address, (0, now_s))
        if failures < FREE_FAILURES or now_s - last_s > MEMORY_S:
            return 0.0
        doublings = min(failures - FREE_FAILURES, 10)
        return min(self._max_delay_s, FIRST_DELAY_S * 2.0**doublings)

    def failed(self, address: str, now_s: float) -> None:
        """Record a failure."""
        failures, last_s = self._failures.pop(address, (0, now_s))
        if now_s - last_s > MEMORY_S:
            failures = 0
        self._failures[address] = (failures + 1, now_s)
        if len(self._failures) > MAX_ADDRESSES:
            del self._failures[next(iter(self._failures))]

    def succeeded(self, address: str) -> None:
        """Forget the failures of an address that has authenticated."""
        self._failures.pop(address, None)


class RefusalQueue(Generic[T]):
    """The pending refusals of each address, in the order in which they are told.

    The first refusal of an address has its turn; the others wait for it.  Call it only
    under its owner's lock.  It never holds more refusals than there are open
    connections, as each is discarded when its connection ends.
    """

    def __init__(self) -> None:
        # Dicts keep the order, and remove any one of thousands in constant time.
        self._waiting: dict[str, dict[T, None]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def add(self, address: str, refusal: T) -> bool:
        """Append a refusal; return whether its turn has come."""
        waiting = self._waiting.setdefault(address, {})
        waiting[refusal] = None
        return len(waiting) == 1

    def first(self, address: str) -> T | None:
        """Return the refusal of an address that has its turn; None if none waits."""
        return next(iter(self._waiting.get(address, ())), None)

    def discard(self, address: str, refusal: T) -> bool:
        """Remove a refusal; return whether it was waiting."""
        waiting = self._waiting.get(address)
        if waiting is None or refusal not in waiting:
            return False
        del waiting[refusal]
        if not waiting:
            del self._waiting[address]
        return True
