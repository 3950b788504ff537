"""The histogram: percentiles near the truth, in constant memory."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacemaker.simulate.histogram import Histogram

durations = st.lists(st.floats(0, 3600), min_size=1, max_size=200)


def filled(seconds: list[float]) -> Histogram:
    """Return a histogram of some durations."""
    histogram = Histogram()
    for each_s in seconds:
        histogram.record(each_s)
    return histogram


def exact(seconds: list[float], percent: float) -> float:
    """Return the percentile by its definition."""
    return sorted(seconds)[math.ceil(len(seconds) * percent / 100 - 1e-9) - 1]


@pytest.mark.slow
@given(durations, st.sampled_from((0.1, 25, 50, 99, 99.9, 100)))
def test_percentile_is_near_the_truth(seconds: list[float], percent: float) -> None:
    """It is never below by more than a microsecond, nor above by more than 3 %."""
    truth_s = exact(seconds, percent)
    found_s = filled(seconds).percentile_s(percent)
    assert truth_s - 1e-6 <= found_s <= truth_s * 33 / 32 + 1e-6


@pytest.mark.slow
@given(durations, durations)
def test_sum_is_the_histogram_of_all(some: list[float], others: list[float]) -> None:
    """Two that are added say what one of all durations says."""
    total, whole = filled(some), filled(some + others)
    total.add(filled(others))
    assert (total.count, total.max_s) == (whole.count, whole.max_s)
    assert total.percentile_s(50) == whole.percentile_s(50)


def test_largest_is_exact() -> None:
    """The longest is no bucket's end, and no percentile is above it."""
    histogram = filled([0.001, 5.0123456])
    assert histogram.max_s == 5.0123456
    assert histogram.percentile_s(100) == 5.0123456


def test_nothing_has_no_percentile() -> None:
    """Of nothing, all is 0."""
    assert (Histogram().percentile_s(99), Histogram().max_s) == (0, 0)


def test_extremes_are_taken() -> None:
    """What a clock could never say does no harm."""
    histogram = filled([-1.0, 0.0, 1e9])
    assert histogram.count == 3
    assert histogram.percentile_s(50) == 0
    assert histogram.percentile_s(100) == pytest.approx(3600, rel=0.04)
