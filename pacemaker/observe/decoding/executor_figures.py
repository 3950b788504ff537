"""What Storm's UI shows of an executor, as 32 numbers: 8 figures in 4 windows.

The sums follow Storm's StatsUtil: system streams count neither as emitted nor as
transferred, but ticks count as executed; a latency is weighted by its count.  So the
totals of a component or a topology are plain sums of these numbers, except capacity.

A count may be negative (STORM-1693) and an average NaN (Storm divides by zero).  Both
count as 0.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from pacemaker.heartbeats.model import (
    BoltStats,
    ExecutorStats,
    GlobalStreamId,
    SpoutStats,
)

# Storm's windows of statistics, in seconds.
WINDOWS: Final = ("600", "10800", "86400", ":all-time")

EMITTED, TRANSFERRED, ACKED, FAILED, EXECUTED = range(5)
# The figures: tuples, and milliseconds in total.
EXECUTE_MS, PROCESS_MS, COMPLETE_MS = range(5, 8)

# The number of figures in a window.
FIGURES_PER_WINDOW: Final = 8

# The number of figures of an executor; those of a window are adjacent.
FIGURES_PER_EXECUTOR: Final = FIGURES_PER_WINDOW * len(WINDOWS)

# Where the figures since the worker's start begin: the last window.
ALL_TIME_OFFSET: Final = FIGURES_PER_EXECUTOR - FIGURES_PER_WINDOW

# By the name of a field in Storm's IDL, window, and stream or source.
Fields: TypeAlias = Mapping[str, Mapping[str, Mapping[Any, Any]]]


class Shape(NamedTuple):
    """What tells the components of executors apart, besides their tasks.

    Attributes:
        is_spout: whether it runs a spout, not a bolt.
        streams: the streams that it has emitted to.
        sources: the streams whose tuples it has executed, acked or failed.
    """

    is_spout: bool
    streams: frozenset[str]
    sources: frozenset[GlobalStreamId]


class Term(NamedTuple):
    """One of the 32 numbers: the sum of some counts, each times its average if given.

    Attributes:
        place: the index of the number.
        counts: the counts, or where they are.
        averages: an average for each count; None for a plain sum.
    """

    place: int
    counts: list[Any]
    averages: list[Any] | None = None


def terms(is_spout: bool, fields: Fields) -> Iterator[Term]:
    """Yield how each number is computed.

    The values of ``fields`` are only passed on, so they may be the figures of a
    heartbeat or the indices of figures in a layout.
    """
    for number, window in enumerate(WINDOWS):
        at = number * FIGURES_PER_WINDOW
        for figure, name in ((EMITTED, "emitted"), (TRANSFERRED, "transferred")):
            counts = fields[name].get(window, {})
            yield Term(at + figure, [v for k, v in counts.items() if not is_system(k)])
        for figure, name in ((ACKED, "acked"), (FAILED, "failed")):
            yield Term(at + figure, list(fields[name].get(window, {}).values()))
        if is_spout:
            yield _weighted(at + COMPLETE_MS, fields, window, "acked", "complete")
            continue
        yield Term(at + EXECUTED, list(fields["executed"].get(window, {}).values()))
        yield _weighted(at + EXECUTE_MS, fields, window, "executed", "execute")
        yield _weighted(at + PROCESS_MS, fields, window, "executed", "process")


def is_system(name: str) -> bool:
    """Return whether a component or a stream is Storm's own."""
    return name.startswith("__")


def figures_of(stats: ExecutorStats) -> array[float]:
    """Compute the 32 numbers of an executor."""
    figures = array("d", bytes(8 * FIGURES_PER_EXECUTOR))
    is_spout = isinstance(stats.specific, SpoutStats)
    for term in terms(is_spout, fields_of(stats)):
        figures[term.place] = _sum_of(term.counts, term.averages)
    return figures


def clamped(value: float) -> float:
    """Return the value; 0 for what cannot be: a negative one, NaN and infinity."""
    return value if 0 <= value < math.inf else 0.0


def fields_of(stats: ExecutorStats) -> Fields:
    """Return the statistics by the names of their fields."""
    specific = stats.specific
    fields: dict[str, Any] = {
        "emitted": stats.emitted,
        "transferred": stats.transferred,
        "acked": specific.acked,
        "failed": specific.failed,
    }
    if isinstance(specific, SpoutStats):
        fields["complete_ms_avg"] = specific.complete_ms_avg
    else:
        fields["process_ms_avg"] = specific.process_ms_avg
        fields["executed"] = specific.executed
        fields["execute_ms_avg"] = specific.execute_ms_avg
    return fields


def shape_of(stats: ExecutorStats) -> Shape:
    """Return the shape of an executor."""
    specific = stats.specific
    streams = _keys(stats.emitted)
    if isinstance(specific, BoltStats):
        sources = _keys(specific.executed) | _keys(specific.acked)
        return Shape(False, streams, sources | _keys(specific.failed))
    return Shape(True, streams, frozenset())


def capacity(figures: Sequence[float], uptime_secs: int) -> float:
    """Return an executor's capacity as Storm defines it: busy time by time.

    It is that of the last ten minutes, or of the worker's uptime if that is shorter.
    It is not limited: several threads, or a rounded time, may give more than 1.
    """
    span_secs = min(uptime_secs, int(WINDOWS[0]))
    return figures[EXECUTE_MS] / (1000 * span_secs) if span_secs > 0 else 0.0


def _weighted(place: int, fields: Fields, window: str, counted: str, kind: str) -> Term:
    counts = fields[counted].get(window, {})
    averages = fields[f"{kind}_ms_avg"].get(window, {})
    keys = [key for key in counts if key in averages]
    return Term(place, [counts[k] for k in keys], [averages[k] for k in keys])


def _sum_of(counts: list[float], averages: list[float] | None) -> float:
    if averages is None:
        return float(sum(clamped(count) for count in counts))
    pairs = zip(counts, averages, strict=True)
    return clamped(sum(clamped(count) * clamped(average) for count, average in pairs))


def _keys(windows: Mapping[str, Mapping[Any, Any]]) -> frozenset[Any]:
    return frozenset(key for figures in windows.values() for key in figures)
