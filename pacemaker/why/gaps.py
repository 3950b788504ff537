"""When a worker was silent, from what each Pacemaker remembers of it; pure.

A *gap* is a time in which no Pacemaker got a heartbeat from the worker.  A worker that
goes from one Pacemaker to another leaves a silence at each of them, but no gap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pacemaker.why.facts import Event, KeyFacts, Span


@dataclass(frozen=True, slots=True)
class Gap:
    """A time without a heartbeat at any Pacemaker.

    Attributes:
        span: from the last heartbeat before it to the first after it, or to now.
        is_over: whether there was a heartbeat after it.
        ending: the event with which it ended; None if nobody noted one.
        last: what the Pacemaker with the last heartbeat before it remembers.
    """

    span: Span
    is_over: bool
    ending: Event | None
    last: KeyFacts


def gaps_of(facts: Sequence[KeyFacts], now_s: float) -> Iterator[Gap]:
    """Yield a worker's gaps, the oldest first.

    Args:
        facts: what each Pacemaker remembers of the worker.
        now_s: when they were asked.
    """
    if not facts:
        return
    spans = [Span(0.0, float("inf"))]
    for each in facts:
        spans = _common(spans, _silences(each))
    for span in spans:
        # The time before the first heartbeat is no gap: the worker was not there yet,
        # or nobody remembers.
        if span.begin_s == 0.0:
            continue
        is_over = span.end_s != float("inf")
        end_s = span.end_s if is_over else now_s
        last = max(facts, key=lambda each: _last_before(each, span.begin_s))
        if end_s - span.begin_s > last.late_s:
            ending = _ending(facts, end_s) if is_over else None
            yield Gap(Span(span.begin_s, end_s), is_over, ending, last)


def _silences(facts: KeyFacts) -> list[Span]:
    """Return when one Pacemaker got no heartbeat."""
    spans = [Span(0.0, facts.first_s)]
    spans += [
        Span(each.at_s - each.duration_s, each.at_s)
        for each in facts.events
        if each.kind in ("writer", "late")
    ]
    return [*spans, Span(facts.last_s, float("inf"))]


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


def _last_before(facts: KeyFacts, at_s: float) -> float:
    return -abs(facts.last_s - at_s) if facts.first_s <= at_s else float("-inf")


def _ending(facts: Sequence[KeyFacts], at_s: float) -> Event | None:
    for each in facts:
        for event in each.events:
            if event.kind in ("writer", "late") and abs(event.at_s - at_s) < 0.001:
                return event
    return None
