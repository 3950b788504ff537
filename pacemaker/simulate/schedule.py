"""When each worker's pulse is due.

All workers have the same interval and each a phase of its own, drawn by chance
as in a cluster whose workers were started one by one; so a few are due at
almost the same moment, others after a pause.
"""

from __future__ import annotations

import random
from collections.abc import Iterator


class Schedule:
    """The pulses of all workers, in the order in which they are due.

    Args:
        workers: how many there are.
        interval_s: how often each of them sends.
        rng: draws the phases.
        begin_s: the moment before which none is due, by the caller's clock.

    Attributes:
        next_s: when the next pulse is due.
    """

    def __init__(
        self, workers: int, interval_s: float, rng: random.Random, begin_s: float
    ) -> None:
        self._phases_s = sorted(rng.uniform(0, interval_s) for _ in range(workers))
        # Neighbours on a host, or in a topology, are not neighbours in time.
        self._order = rng.sample(range(workers), workers)
        self._interval_s = interval_s
        self._round_s = begin_s
        self._position = 0
        self.next_s = begin_s + self._phases_s[0]

    def due(self, now_s: float, most: int) -> Iterator[tuple[int, float]]:
        """Take what is due by now.

        Args:
            most: how many to take.

        Yields:
            ``(worker, due_s)``: the worker's number and when its pulse was due.
        """
        while most > 0 and self.next_s <= now_s:
            yield self._order[self._position], self.next_s
            most -= 1
            self._position += 1
            if self._position == len(self._order):
                self._position = 0
                self._round_s += self._interval_s
            self.next_s = self._round_s + self._phases_s[self._position]
