"""When a worker was silent, from what each Pacemaker remembers of it; pure.

A *silence* is a time without a heartbeat at one Pacemaker.  A *gap* is a time without a
heartbeat at any of them: a worker that goes from one Pacemaker to another leaves a
silence at each, but no gap.

A gap counts if it is longer than a late heartbeat, or if a new process ended it: some
supervisors restart a worker within seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Final, NamedTuple

from pacemaker.why.facts import HistoryEvent, KeyFacts, Span

# Uptimes are whole seconds, so a comparison with one may be wrong by this.
_ROUNDED_S: Final = 1.0
_EVER: Final = Span(0.0, float("inf"))


@dataclass(frozen=True, slots=True)
class Gap:
    """A time without a heartbeat at any Pacemaker.

    Attributes:
        span: from the last heartbeat before it to the first after it, or to now.
        last: the record of the Pacemaker that got the last heartbeat before it.
        following: the record of the one that got the first after it; None if the gap
            goes on.
        ending: the event that this first heartbeat was; None if it was the first of
            the worker at that Pacemaker.
    """

    span: Span
    last: KeyFacts
    following: KeyFacts | None = None
    ending: HistoryEvent | None = None

    @property
    def is_over(self) -> bool:
        """Whether there was a heartbeat after it."""
        return self.following is not None

    @property
    def uptime_s(self) -> float | None:
        """The uptime of the process that ended it; None if it is not known."""
        if self.ending is not None:
            return _if_possible(self.ending.uptime_s)
        if self.following is None:
            return None
        started_s = _started_s(self.following, self.following.first_s)
        return None if started_s is None else self.span.end_s - started_s

    @property
    def is_new_process(self) -> bool | None:
        """Whether another process ended it; None if that is not known."""
        uptime_s = self.uptime_s
        if uptime_s is None:
            return None
        if uptime_s > self.span.duration_s + _ROUNDED_S:
            return False
        if self.ending is None or self.ending.kind != "late":
            return True
        # If the connection goes on, this heartbeat may have been sent during the gap
        # and delayed on its way.  So a later one decides.
        started_s = self._later_start_s()
        return None if started_s is None else started_s > self.span.begin_s + _ROUNDED_S

    def _later_start_s(self) -> float | None:
        """Return when the process was started, by heartbeats after the gap's end."""
        if self.following is None:
            return None
        return _started_s(self.following, self.span.end_s, self.span.end_s)

    @property
    def counts(self) -> bool:
        """Whether it is long enough to be judged, or ended by a new process."""
        if self.span.duration_s > self.last.late_s:
            return True
        # Of two processes that write one key in turn, neither has closed its
        # connection.
        has_closed = self.ending is not None and self.ending.end != "open"
        uptime_s = self.uptime_s
        return (
            has_closed
            and uptime_s is not None
            and uptime_s < self.span.duration_s - _ROUNDED_S
        )


def _if_possible(uptime_s: float | None) -> float | None:
    """Return an uptime, unless the clock was set back while it was measured."""
    return None if uptime_s is None or uptime_s < 0 else uptime_s


def _started_s(facts: KeyFacts, wrote_s: float, after_s: float = 0.0) -> float | None:
    """Return when the process was started that wrote at a given time.

    Args:
        facts: what the Pacemaker remembers that got the heartbeat.
        wrote_s: when it got it.
        after_s: only the heartbeats after this time are consulted.
    """
    reports = [(event.at_s, event.uptime_s) for event in facts.events]
    for at_s, reported_s in [*reports, (facts.last_s, facts.uptime_s)]:
        uptime_s = _if_possible(reported_s)
        if uptime_s is not None and at_s > after_s:
            started_s = at_s - uptime_s
            # A later process says nothing about this one.
            return started_s if started_s <= wrote_s + _ROUNDED_S else None
    return None


class _Silence(NamedTuple):
    """A time without a heartbeat at one Pacemaker.

    Attributes:
        span: from the last heartbeat before it to the first after it.
        facts: what this Pacemaker remembers.
        ending: the event with which it ended, if there was one.
    """

    span: Span
    facts: KeyFacts
    ending: HistoryEvent | None = None


def gaps_of(facts: Sequence[KeyFacts], now_s: float) -> list[Gap]:
    """Return a worker's gaps, the oldest first.

    Args:
        facts: what each Pacemaker remembers of the worker.
        now_s: when they were asked.
    """
    by_daemon = [list(_silences(each)) for each in facts]
    spans = reduce(
        _common, ([each.span for each in silences] for silences in by_daemon), [_EVER]
    )
    silences = [each for silences in by_daemon for each in silences]
    # The time before the first heartbeat is no gap: the worker was not there yet, or
    # nobody remembers.
    gaps = (_gap(silences, span, now_s) for span in spans if span.begin_s > 0)
    return [gap for gap in gaps if gap.counts]


def _gap(silences: Sequence[_Silence], span: Span, now_s: float) -> Gap:
    last = next(each for each in silences if each.span.begin_s == span.begin_s)
    if span.end_s == _EVER.end_s:
        return Gap(Span(span.begin_s, now_s), last.facts)
    following = next(each for each in silences if each.span.end_s == span.end_s)
    return Gap(span, last.facts, following.facts, following.ending)


def _silences(facts: KeyFacts) -> Iterator[_Silence]:
    yield _Silence(Span(_EVER.begin_s, facts.first_s), facts)
    for event in facts.events:
        if event.kind in ("writer", "late"):
            span = Span(event.at_s - event.duration_s, event.at_s)
            yield _Silence(span, facts, event)
    yield _Silence(Span(facts.last_s, _EVER.end_s), facts)


def _common(first: Sequence[Span], second: Sequence[Span]) -> list[Span]:
    """Return the times that are in both."""
    both = [
        Span(max(a.begin_s, b.begin_s), min(a.end_s, b.end_s))
        for a in first
        for b in second
    ]
    return sorted(
        (span for span in both if span.begin_s < span.end_s),
        key=lambda span: span.begin_s,
    )
