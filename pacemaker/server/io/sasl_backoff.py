"""Who has failed to authenticate lately, and whose refusal is told next.

Pure: time comes in as an argument.

A client that fails learns so when its connection is closed.  After a few failures
of an address these refusals are told one at a time, each after a delay, however
many connections the address opens: it learns of a few wrong guesses a second.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

T = TypeVar("T")

# Somebody who mistypes a password is not held up.
FREE_FAILURES: Final = 3
FIRST_DELAY_S: Final = 0.125
MAX_DELAY_S: Final = 1.0
# A right secret waits for less: its client is not to blame for the guesses.
MAX_RIGHT_DELAY_S: Final = 0.5
# Failures are forgotten when no new one has come for this long.
MEMORY_S: Final = 600.0
# Addresses that are remembered; past it the one that failed longest ago is not.
MAX_ADDRESSES: Final = 10_000


class GuessBook:
    """The failed attempts of each address.  Only under its owner's lock.

    Args:
        max_delay_s: for how long an outcome is withheld at most.
    """

    def __init__(self, max_delay_s: float = MAX_DELAY_S) -> None:
        self._max_delay_s = max_delay_s
        # In the order of their last failure.
        self._failures: dict[str, tuple[int, float]] = {}

    def delay_s(self, address: str, now_s: float) -> float:
        """Return for how long this address's next outcome is withheld."""
        failures, last_s = self._failures.get(address, (0, now_s))
        if failures < FREE_FAILURES or now_s - last_s > MEMORY_S:
            return 0.0
        doublings = min(failures - FREE_FAILURES, 10)
        return min(self._max_delay_s, FIRST_DELAY_S * 2.0**doublings)

    def failed(self, address: str, now_s: float) -> None:
        """Remember a failure."""
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
    """The refusals of each address that wait to be told, in order.

    The first one of an address has its turn; the others wait behind it.  Only
    under its owner's lock.  It holds no more than there are open connections, as
    each is discarded when its connection ends.
    """

    def __init__(self) -> None:
        # Dicts for their order, and so that any of thousands is removed at once.
        self._waiting: dict[str, dict[T, None]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def add(self, address: str, refusal: T) -> bool:
        """Append a refusal; return whether it is its turn."""
        waiting = self._waiting.setdefault(address, {})
        waiting[refusal] = None
        return len(waiting) == 1

    def first(self, address: str) -> T | None:
        """Return the refusal of an address whose turn it is; None if none waits."""
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
