"""What is known of one worker: its last heartbeat, and changes since earlier ones.

Two clocks take part: the worker's (`time_secs`), and ours when the heartbeat was read.
A heartbeat is read up to a round after it was written, so the smallest lag of some
recent heartbeats is how far the clocks are apart.
"""

from __future__ import annotations

from array import array
from collections import deque
from typing import Final

from pacemaker.config.storm_defaults import TASK_HEARTBEAT_SECS
from pacemaker.heartbeats.model import ExecutorInfo
from pacemaker.observe.decoding.decoder import DecodedHeartbeat, KnownHeartbeat
from pacemaker.observe.decoding.executor_figures import (
    ALL_TIME_OFFSET,
    EXECUTED,
    FIGURES_PER_EXECUTOR,
    FIGURES_PER_WINDOW,
    WINDOWS,
    Shape,
)
from pacemaker.observe.zookeeper.storm_nodes import Slot

# Rates cover at least this: counts move in steps of the sampling factor, 6.7 tuples/s a
# task over the 3 s between two heartbeats.
RATE_SPAN_SECS: Final = 30

# If the start of a worker moves forward by more than this, it is a new process.  The
# start is the difference of two numbers in whole seconds, so it varies by one.
RESTART_SECS: Final = 3

# Five heartbeats: a longer pause between two heartbeats that were stored is a gap.
GAP_SECS: Final = 15

# The smallest of this many pauses in a row is the interval of a worker that is known to
# write less often than others, as those of Storm 2.0 to 2.2 do: once a minute.
_MAX_PAUSES: Final = 8
_MIN_PAUSES: Final = 2
# Of a worker that writes every three seconds, no more than a few heartbeats are missed
# between two readings, so its smallest pause stays below this.
_LONG_INTERVAL_SECS: Final = 4 * TASK_HEARTBEAT_SECS

# A clock that differs from ours by more than this is reported.
SKEW_SECS: Final = 5

# The skew is the smallest lag of this many heartbeats.
MAX_LAGS: Final = 8


class Sample:
    """The totals of a worker's executors at one heartbeat."""

    __slots__ = ("time_secs", "totals")

    def __init__(self, time_secs: int, totals: array[float]) -> None:
        self.time_secs = time_secs
        self.totals = totals


class TrackedWorker:
    """One worker's key, and the history of its heartbeats.

    Attributes:
        topology_id: the topology in the key.
        name: the last part of the key.
        slot: supervisor and port; None if the name has another form.
        known: what the decoder remembers.
        value_hash: the hash of the last value, to notice an unchanged one.
        size_bytes: the size of the stored value.
        problem: why the value cannot be read; None if it can.
        beat: the last heartbeat; None if there was none yet.
        first_read_s: when its first heartbeat was read.
        read_s: when the key was last read.
        changed_s: when the last change was read.
        restarts_s: when restarts were noticed, the newest last.
        longest_gap_secs: the longest pause between two heartbeats of one process.
        pauses_secs: the last pauses between two heartbeats of this process.
        gone_s: since when the key is missing from the lists; None while it is there.
        samples: totals of recent heartbeats, the newest last.
    """

    __slots__ = (
        "beat",
        "changed_s",
        "first_read_s",
        "gone_s",
        "known",
        "lags_s",
        "longest_gap_secs",
        "name",
        "pauses_secs",
        "problem",
        "read_s",
        "restarts_s",
        "samples",
        "size_bytes",
        "slot",
        "topology_id",
        "value_hash",
    )

    def __init__(self, topology_id: str, name: str, slot: Slot | None) -> None:
        self.topology_id = topology_id
        self.name = name
        self.slot = slot
        self.known: KnownHeartbeat | None = None
        self.value_hash = 0
        self.size_bytes = 0
        self.problem: str | None = None
        self.beat: DecodedHeartbeat | None = None
        self.first_read_s = 0.0
        self.read_s = 0.0
        self.changed_s = 0.0
        self.restarts_s: deque[float] = deque(maxlen=100)
        self.longest_gap_secs = 0
        self.pauses_secs: deque[int] = deque(maxlen=_MAX_PAUSES)
        self.gone_s: float | None = None
        self.lags_s: deque[float] = deque(maxlen=MAX_LAGS)
        self.samples: deque[Sample] = deque()

    def __repr__(self) -> str:
        return f"<TrackedWorker {self.topology_id}/{self.name} read_s={self.read_s}>"

    @property
    def started_secs(self) -> int:
        """When the process started, by its own clock; 0 if there is no heartbeat."""
        return 0 if self.beat is None else self.beat.time_secs - self.beat.uptime_secs

    @property
    def infos(self) -> tuple[ExecutorInfo, ...]:
        """Its executors."""
        return () if self.beat is None else self.beat.infos

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The shape of each executor."""
        return () if self.beat is None else self.beat.shapes

    @property
    def skew_s(self) -> float | None:
        """How far its clock is behind ours; None with fewer than two heartbeats.

        The skew of a clock that is ahead is negative.  A skew shorter than a round
        proves nothing: the heartbeat may have waited that long to be read.
        """
        return min(self.lags_s) if len(self.lags_s) > 1 else None

    @property
    def age_s(self) -> float | None:
        """How old its heartbeat was when it was last read; None without one."""
        if self.beat is None:
            return None
        skew_s = self.skew_s
        if skew_s is None or -SKEW_SECS < skew_s < SKEW_SECS:
            skew_s = 0.0
        return max(0.0, self.read_s - self.beat.time_secs - skew_s)

    @property
    def interval_secs(self) -> int:
        """How often it writes, by its last heartbeats, or as Storm's workers do."""
        if len(self.pauses_secs) < _MIN_PAUSES:
            return TASK_HEARTBEAT_SECS
        least_secs = min(self.pauses_secs)
        is_long = least_secs >= _LONG_INTERVAL_SECS
        return least_secs if is_long else TASK_HEARTBEAT_SECS

    def was_gone_before(self, successor: TrackedWorker) -> bool:
        """Return whether it had left before its key was read for the first time.

        The key of a worker stays where Nimbus has moved its executors, perhaps days
        ago.  Then it has not changed since, and its successor was started earlier.
        """
        has_changed = self.changed_s > self.first_read_s
        return not has_changed and successor.started_secs < self.first_read_s

    def is_restart(self, beat: DecodedHeartbeat) -> bool:
        """Return whether a heartbeat comes from a later process than the last one."""
        if self.beat is None:
            return False
        return beat.time_secs - beat.uptime_secs > self.started_secs + RESTART_SECS

    def counts_fell(self, beat: DecodedHeartbeat) -> bool:
        """Return whether totals fell or executors changed, as never in one process."""
        if self.beat is None or not self.beat.infos:
            return False
        if self.beat.infos != beat.infos:
            return True
        # Not the times: Storm sends an average, and its product with the count falls
        # by a rounding error, or while late tuples are acked.
        new, old = totals_of(beat), self.totals
        return any(
            new[at] < old[at]
            for first in range(0, len(new), FIGURES_PER_WINDOW)
            for at in range(first, first + EXECUTED + 1)
        )

    @property
    def totals(self) -> array[float]:
        """The totals of the last heartbeat."""
        return self.samples[-1].totals if self.samples else array("d")

    def take(
        self, beat: DecodedHeartbeat, now_s: float, *, is_new_process: bool
    ) -> None:
        """Make this the last heartbeat."""
        if self.beat is None:
            self.first_read_s = now_s
        elif not is_new_process:
            gap_secs = beat.time_secs - self.beat.time_secs
            self.pauses_secs.append(gap_secs)
            if gap_secs > GAP_SECS * self.interval_secs / TASK_HEARTBEAT_SECS:
                self.longest_gap_secs = max(self.longest_gap_secs, gap_secs)
        if is_new_process:
            self.samples.clear()
            self.pauses_secs.clear()
        self.lags_s.append(now_s - beat.time_secs)
        self.beat = beat
        self.changed_s = now_s
        totals = totals_of(beat)
        if len(self.totals) == len(totals):
            # The times never fall either (see `counts_fell`).
            totals = array("d", map(max, totals, self.totals))
        self.samples.append(Sample(beat.time_secs, totals))
        self._forget_old_samples(beat.time_secs)

    def _forget_old_samples(self, now_secs: int) -> None:
        """Keep the newest sample that is old enough for a rate, and all later ones."""
        while (
            len(self.samples) > 2
            and now_secs - self.samples[1].time_secs >= RATE_SPAN_SECS
        ):
            self.samples.popleft()

    def rates(self) -> array[float] | None:
        """Return each executor's figures a second, over 30 s or somewhat more.

        Returns:
            None until there are heartbeats 30 s apart.
        """
        if len(self.samples) < 2:
            return None
        first, last = self.samples[0], self.samples[-1]
        span_secs = last.time_secs - first.time_secs
        if span_secs < RATE_SPAN_SECS:
            return None
        return array(
            "d",
            [
                max(0.0, new - old) / span_secs
                for new, old in zip(last.totals, first.totals, strict=True)
            ],
        )

    def window_rates(self) -> array[float]:
        """Return each executor's figures a second over Storm's window of 10 minutes."""
        if self.beat is None or self.beat.uptime_secs <= 0:
            return array("d", bytes(8 * FIGURES_PER_WINDOW * len(self.infos)))
        span_secs = min(self.beat.uptime_secs, int(WINDOWS[0]))
        figures = self.beat.figures
        return array(
            "d",
            [
                figures[executor * FIGURES_PER_EXECUTOR + figure] / span_secs
                for executor in range(len(self.infos))
                for figure in range(FIGURES_PER_WINDOW)
            ],
        )


def totals_of(beat: DecodedHeartbeat) -> array[float]:
    """Return the figures since the worker's start, of one executor after another."""
    totals = array("d")
    for end in range(FIGURES_PER_EXECUTOR, len(beat.figures) + 1, FIGURES_PER_EXECUTOR):
        totals.extend(beat.figures[end - FIGURES_PER_EXECUTOR + ALL_TIME_OFFSET : end])
    return totals
