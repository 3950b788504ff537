"""The schedule of all workers' pulses.

All workers have the same interval, and each has a random phase, as in a cluster whose
workers were started one by one.  So some pulses almost coincide and others follow a
pause.
"""

from __future__ import annotations

import random
from collections.abc import Iterator


class Schedule:
    """The pulses of all workers in the order of their scheduled times.

    Args:
        workers: the number of workers.
        interval_s: the time between two pulses of a worker.
        rng: chooses the phases.
        begin_s: the earliest time of a pulse, by the caller's clock.

    Attributes:
        next_s: the scheduled time of the next pulse.
    """

    def __init__(
        self, workers: int, interval_s: float, rng: random.Random, begin_s: float
    ) -> None:
        self._phases_s = sorted(rng.uniform(0, interval_s) for _ in range(workers))
        # Shuffled, so that neighbours on a host or in a topology are not neighbours in
        # time.
        self._order = rng.sample(range(workers), workers)
        self._interval_s = interval_s
        self._round_s = begin_s
        self._position = 0
        self.next_s = begin_s + self._phases_s[0]

    def pop_until(self, now_s: float, most: int) -> Iterator[tuple[int, float]]:
        """Remove and yield the pulses scheduled up to now.

        Args:
            most: the maximum number of pulses.

        Yields:
            ``(worker, scheduled_s)``: the worker's number, and the pulse's time.
        """
        while most > 0 and self.next_s <= now_s:
            yield self._order[self._position], self.next_s
            most -= 1
            self._position += 1
            if self._position == len(self._order):
                self._position = 0
                self._round_s += self._interval_s
            self.next_s = self._round_s + self._phases_s[self._position]
