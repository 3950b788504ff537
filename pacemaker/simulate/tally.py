"""What a run has seen so far, in memory that does not grow with it."""

from __future__ import annotations

from collections import Counter
from typing import Final

from pacemaker.simulate.histogram import Histogram

LATE_S: Final = 1.0
"""An answer is late from here on: Storm's client asks again after a second."""

BEHIND_S: Final = 0.1
"""A pulse written this long after it was due spoils what its latency says."""


class Latencies:
    """Answers, by how long after the moment they were due they came.

    Attributes:
        recent: those since the last `fold`.
        late: how many were late, ever.
    """

    __slots__ = ("_folded", "late", "recent")

    def __init__(self) -> None:
        self._folded = Histogram()
        self.recent = Histogram()
        self.late = 0

    def record(self, seconds: float) -> None:
        """Add an answer."""
        self.recent.record(seconds)
        if seconds > LATE_S:
            self.late += 1

    def fold(self) -> None:
        """Begin a new `recent`."""
        self._folded.add(self.recent)
        self.recent = Histogram()

    @property
    def count(self) -> int:
        """How many answers there are."""
        return self._folded.count + self.recent.count

    @property
    def all(self) -> Histogram:
        """All answers, ever."""
        found = Histogram()
        found.add(self._folded)
        found.add(self.recent)
        return found


class Tally:
    """The counts of one run.

    Attributes:
        due: pulses that were due.
        pulses: the answers to them.
        reads: Nimbus's answers, to its lists too.
        rounds: Nimbus's whole rounds, by how long they took.
        wrong: answers to Nimbus that are not what was stored, by what is wrong.
        losses: connections that ended, by why.
        lag: how long after they were due pulses were written, where the
            connection would have taken them at once: the generator's own fault.
        behind: how many of those were written more than `BEHIND_S` late.
        sent_bytes: written to the server, by all connections.
        rcvd_bytes: read from it.
    """

    def __init__(self) -> None:
        self.due = 0
        self.pulses = Latencies()
        self.reads = Latencies()
        self.rounds = Histogram()
        self.wrong: Counter[str] = Counter()
        self.losses: Counter[str] = Counter()
        self.lag = Histogram()
        self.behind = 0
        self.sent_bytes = 0
        self.rcvd_bytes = 0

    @property
    def unanswered(self) -> int:
        """How many pulses have no answer."""
        return self.due - self.pulses.count

    @property
    def errors(self) -> int:
        """Lost connections and wrong answers."""
        return self.losses.total() + self.wrong.total()

    def on_written(self, lag_s: float) -> None:
        """Count a pulse that was written so long after it was due."""
        self.lag.record(lag_s)
        if lag_s > BEHIND_S:
            self.behind += 1

    def fold(self) -> None:
        """Begin a new recent time."""
        self.pulses.fold()
        self.reads.fold()
