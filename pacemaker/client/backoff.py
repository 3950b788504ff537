"""How long to wait before the next attempt to connect."""

from __future__ import annotations

import random
from typing import Final

# The first few attempts reach a daemon that was merely restarted.
FIRST_DELAY_S: Final = 0.05
# A server that returns is used again within this time; an attempt costs one SYN.
MAX_DELAY_S: Final = 2.0


class Backoff:
    """Delays that double up to a limit, each chosen at random from its upper half.

    All clients of a cluster lose a server at the same moment.  The randomness keeps
    them from all reconnecting at the same moment.

    Args:
        rng: the random source.
    """

    __slots__ = ("_delay_s", "_rng")

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._delay_s = FIRST_DELAY_S

    def reset(self) -> None:
        """Start again with the shortest delay: the server has answered."""
        self._delay_s = FIRST_DELAY_S

    def next_delay_s(self) -> float:
        """Return the next delay."""
        delay_s = self._delay_s
        self._delay_s = min(2 * delay_s, MAX_DELAY_S)
        return self._rng.uniform(delay_s / 2, delay_s)
