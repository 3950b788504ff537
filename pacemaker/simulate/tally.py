"""The counts of a run, in constant memory."""

from __future__ import annotations

from collections import Counter
from typing import Final

from pacemaker.simulate.histogram import Histogram

# An answer that takes longer is late: Storm's client asks again after a second.
LATE_S: Final = 1.0

# A pulse written this far behind schedule makes its latency meaningless.
BEHIND_S: Final = 0.1


class Latencies:
    """Latencies of answers, measured from the scheduled times.

    Attributes:
        recent: the latencies since the last `fold`.
        late: the number of late answers in the whole run.
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
        """Start a new `recent`."""
        self._folded.add(self.recent)
        self.recent = Histogram()

    @property
    def count(self) -> int:
        """The number of answers."""
        return self._folded.count + self.recent.count

    @property
    def all(self) -> Histogram:
        """The latencies of the whole run."""
        found = Histogram()
        found.add(self._folded)
        found.add(self.recent)
        return found


class Tally:
    """The counts of one run.

    Attributes:
        scheduled: pulses scheduled so far.
        pulses: the answers to pulses.
        reads: the answers to Nimbus, including its lists.
        rounds: the durations of Nimbus's complete rounds.
        wrong: answers to Nimbus that differ from what was stored, by kind of problem.
        losses: connections that ended, by reason.
        lag: how far behind schedule pulses were written although the connection had
            room: the generator's own delay.
        behind: how many of those were more than `BEHIND_S` behind.
        sent_bytes: bytes written to the server on all connections.
        rcvd_bytes: bytes read from it.
    """

    def __init__(self) -> None:
        self.scheduled = 0
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
        """The number of unanswered pulses."""
        return self.scheduled - self.pulses.count

    @property
    def errors(self) -> int:
        """The number of lost connections and wrong answers."""
        return self.losses.total() + self.wrong.total()

    def on_written(self, lag_s: float) -> None:
        """Count a pulse that was written `lag_s` behind schedule."""
        self.lag.record(lag_s)
        if lag_s > BEHIND_S:
            self.behind += 1

    def fold(self) -> None:
        """Start a new recent period."""
        self.pulses.fold()
        self.reads.fold()
