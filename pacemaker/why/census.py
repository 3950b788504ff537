"""How many workers were alive, or silent, at once; pure.

After an incident, `why` asks that for each gap, and each worker has a gap.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from pacemaker.why.facts import Span

# A worker was silent in a time if it was for more than this share of it.
_SILENT_SHARE: Final = 0.5
# So few silences are looked at one by one: a tree of them would take longer.
_LEAF_SILENCES: Final = 16


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return the times that are in any of the spans, in order and without overlaps."""
    found: list[Span] = []
    for span in sorted(spans, key=_begin_s):
        if found and span.begin_s <= found[-1].end_s:
            before = found.pop()
            span = Span(before.begin_s, max(before.end_s, span.end_s))
        found.append(span)
    return found


def _begin_s(span: Span) -> float:
    return span.begin_s


class SpanCounter:
    """Counts how many of some spans contain a time.

    Args:
        spans: the spans; their first and last moments belong to them.
    """

    def __init__(self, spans: Iterable[Span]) -> None:
        known = list(spans)
        self._begins_s = sorted(span.begin_s for span in known)
        self._ends_s = sorted(span.end_s for span in known)

    def count(self, at_s: float) -> int:
        """Return how many spans contain a time."""
        return bisect_right(self._begins_s, at_s) - bisect_left(self._ends_s, at_s)


class WorkerLife(NamedTuple):
    """When a worker was alive, and when it was silent.

    Attributes:
        alive: when it was alive, in order and without overlaps.
        silent: its silences, without overlaps.
    """

    alive: Sequence[Span]
    silent: Sequence[Span]


class Census:
    """Counts how many of some workers were alive, or silent, at once.

    To look at each worker for each gap would take minutes, so they are sorted once.

    Args:
        lives: the workers.
    """

    def __init__(self, lives: Sequence[WorkerLife]) -> None:
        self._alive = SpanCounter(span for life in lives for span in life.alive)
        # Spans of one worker do not overlap, so it is silent, and alive, in at most one
        # of them, and is counted once.
        known = [
            _KnownSilence(silent.begin_s, silent.end_s, alive.begin_s, alive.end_s)
            for life in lives
            for silent in life.silent
            for alive in life.alive
        ]
        self._silences = _SilenceTree(known) if known else None

    def alive(self, at_s: float) -> int:
        """Return how many workers were alive at a time."""
        return self._alive.count(at_s)

    def silent(self, span: Span) -> int:
        """Return how many were alive when a time began, and silent for most of it."""
        return 0 if self._silences is None else self._silences.count(span)


class _KnownSilence(NamedTuple):
    """A silence of a worker that was alive in a given time."""

    begin_s: float
    end_s: float
    alive_from_s: float
    alive_to_s: float

    def counts(self, span: Span) -> bool:
        """Return whether the worker was alive first, and silent for most of a time."""
        common_s = min(self.end_s, span.end_s) - max(self.begin_s, span.begin_s)
        return (
            common_s > _SILENT_SHARE * span.duration_s
            and self.alive_from_s <= span.begin_s <= self.alive_to_s
        )


class _SilenceTree:
    """Counts silences, without a look at each.

    A longer silence, of a worker that was alive for longer, counts whenever a part of
    it does.  So if one from the first beginning to the last end does not count, none
    does, and if one that is part of all counts, all do.  Otherwise each half is asked.
    The halves are divided by beginnings and by ends in turn (a k-d tree), so in most
    halves either none or all count.

    Args:
        silences: at least one.
        is_by_end: whether to divide them by their ends.
    """

    __slots__ = ("_common", "_leaf", "_parts", "_size", "_whole")

    def __init__(self, silences: list[_KnownSilence], is_by_end: bool = False) -> None:
        begins_s, ends_s, alive_from_s, alive_to_s = zip(*silences, strict=True)
        self._whole = _KnownSilence(
            min(begins_s), max(ends_s), min(alive_from_s), max(alive_to_s)
        )
        self._common = _KnownSilence(
            max(begins_s), min(ends_s), max(alive_from_s), min(alive_to_s)
        )
        self._size = len(silences)
        self._leaf = silences
        self._parts: tuple[_SilenceTree, ...] = ()
        if self._size > _LEAF_SILENCES:
            ordered = sorted(silences, key=_end_first if is_by_end else None)
            halves = ordered[: self._size // 2], ordered[self._size // 2 :]
            self._parts = tuple(_SilenceTree(each, not is_by_end) for each in halves)
            self._leaf = []

    def count(self, span: Span) -> int:
        """Return how many silences count for a time."""
        if not self._whole.counts(span):
            return 0
        if self._common.counts(span):
            return self._size
        if self._parts:
            return sum(part.count(span) for part in self._parts)
        return sum(each.counts(span) for each in self._leaf)


def _end_first(silence: _KnownSilence) -> tuple[float, float]:
    return silence.end_s, silence.begin_s
