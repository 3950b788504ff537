"""Tests of pacemaker.why.census."""

from __future__ import annotations

from typing import ClassVar

from hypothesis import given
from hypothesis import strategies as st

from pacemaker.why.census import Census, SpanCounter, WorkerLife, merged
from pacemaker.why.facts import Span

spans = st.lists(
    st.builds(
        lambda begin, length: Span(float(begin), float(begin + length)),
        st.integers(0, 30),
        st.integers(0, 9),
    ),
    max_size=60,
)


def contains(span: Span, at_s: float) -> bool:
    """Return whether a time is in a span."""
    return span.begin_s <= at_s <= span.end_s


@given(spans)
def test_merged_spans_have_the_same_times(known: list[Span]) -> None:
    """None of them touches another one."""
    found = merged(known)
    for half_s in range(100):
        in_any = any(contains(each, half_s / 2) for each in known)
        assert sum(contains(each, half_s / 2) for each in found) == in_any


@given(spans, st.integers(-1, 40))
def test_spans_are_counted_with_their_first_and_last_moments(
    known: list[Span], at_s: int
) -> None:
    """Any spans, whether they overlap or not."""
    assert SpanCounter(known).count(at_s) == sum(contains(each, at_s) for each in known)


@given(spans, spans, spans)
def test_silent_workers_are_counted_as_if_one_by_one(
    alive: list[Span], silent: list[Span], asked: list[Span]
) -> None:
    """Each was alive when the time began, and silent for more than half of it."""
    census = Census([WorkerLife([a], [b]) for a, b in zip(alive, silent, strict=False)])
    for span in asked:
        assert census.silent(span) == sum(
            contains(a, span.begin_s)
            and min(b.end_s, span.end_s) - max(b.begin_s, span.begin_s)
            > span.duration_s / 2
            for a, b in zip(alive, silent, strict=False)
        )


class CountedSpan(Span):
    """A time that counts how often it is compared."""

    compared: ClassVar[int] = 0

    @property
    def duration_s(self) -> float:
        """Count the comparison."""
        CountedSpan.compared += 1
        return super().duration_s


def test_few_silences_are_compared() -> None:
    """After an incident, the silences of 4,000 workers are much alike, but differ."""
    census = Census(
        [
            WorkerLife(
                [Span(0.0, 1e6)],
                [Span(1_000 + n % 7, 1_020 + n % 61), Span(2_000 + n, 2_030 + n)],
            )
            for n in range(4_000)
        ]
    )
    CountedSpan.compared = 0
    assert census.silent(CountedSpan(1_002.0, 1_070.0)) > 1_000
    assert census.silent(CountedSpan(4_000.0, 4_040.0)) > 10
    assert CountedSpan.compared < 1_000
