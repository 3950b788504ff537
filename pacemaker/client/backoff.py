"""How long to wait before the next attempt to connect."""

from __future__ import annotations

import random
from typing import Final

# A daemon that is only restarted is back within the first few tries.
FIRST_DELAY_S: Final = 0.05
# A server that is back is used again this soon; an attempt costs it one SYN.
MAX_DELAY_S: Final = 2.0


class Backoff:
    """Delays that double up to a bound, each drawn from its upper half.

    The chance in them keeps the clients of a cluster, which all lost the same
    server at the same moment, from coming back at the same moment.

    Args:
        rng: where chance comes from.
    """

    __slots__ = ("_delay_s", "_rng")

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._delay_s = FIRST_DELAY_S

    def reset(self) -> None:
        """Begin anew: the server has answered."""
        self._delay_s = FIRST_DELAY_S

    def next_s(self) -> float:
        """Return how long to wait now."""
        delay_s = self._delay_s
        self._delay_s = min(2 * delay_s, MAX_DELAY_S)
        return self._rng.uniform(delay_s / 2, delay_s)
