"""Tests of benchmarks.isolation.judge."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from benchmarks.isolation import judge
from tests.benchmarks.isolation import made_up


def test_row_that_meets_all_is_met() -> None:
    """The p99.9 may be three times the quiet one."""
    assert judge.verdict(made_up.row(attacked_s=0.029, quiet_s=0.010)) == "met"


def test_p999_below_20_ms_is_always_good() -> None:
    """Were the quiet one as short as it may be."""
    assert judge.verdict(made_up.row(attacked_s=0.019, quiet_s=0.001)) == "met"


def test_p999_beyond_both_bounds_is_missed() -> None:
    """Neither 20 ms nor three times the quiet one."""
    assert (
        judge.verdict(made_up.row(attacked_s=0.031, quiet_s=0.010)) == "MISSED: p99.9"
    )


def test_p999_may_be_ten_times_from_many_addresses() -> None:
    """And from the honest peers' own."""
    row = made_up.row(attacked_s=0.080, quiet_s=0.010)
    for origin in ("sixteen", "own"):
        row.origin = origin
        assert judge.verdict(row) == "met"


def test_generator_that_was_late_allows_no_verdict() -> None:
    """Where the lateness is what makes the difference."""
    row = made_up.row(attacked_s=0.031, quiet_s=0.010, late_s=0.002)
    assert judge.verdict(row) == "no verdict: the generator was late"
    row = made_up.row(attacked_s=0.5, quiet_s=0.010, late_s=0.002)
    assert judge.verdict(row) == "MISSED: p99.9"


def test_machine_that_was_not_quiet_allows_no_verdict() -> None:
    """Three times a long quiet p99.9 is nothing to be proud of."""
    row = made_up.row(attacked_s=0.090, quiet_s=0.040)
    assert judge.verdict(row) == "no verdict: the machine was not quiet"


@pytest.mark.parametrize(
    ("figures", "is_slow"),
    [({}, True), ({"recovery_s": 5.0}, True), ({"lost": 1}, False)],
)
def test_row_that_is_only_slow_is_tried_again(
    figures: dict[str, Any], is_slow: bool
) -> None:
    """One that loses a heartbeat is wrong, however fast it is."""
    row = made_up.row(attacked_s=0.031, quiet_s=0.010)
    assert row.figures is not None
    row.figures = replace(row.figures, **figures)
    assert judge.is_only_slow(row) == is_slow
    assert not judge.is_only_slow(made_up.row())


def test_median_try_is_shown_unless_one_is_wrong() -> None:
    """A try that lost a heartbeat is not made up for by two others."""
    slow, slower, slowest = (made_up.row(attacked_s=s) for s in (0.030, 0.040, 0.050))
    assert judge.median([slowest, slow, slower]) is slower
    assert slow.figures is not None
    slow.figures = replace(slow.figures, lost=1)
    assert judge.median([slowest, slow, slower]) is slow


@pytest.mark.parametrize(
    ("changed", "missed"),
    [
        ({"lost": 1}, "1 lost"),
        ({"wrong": 2}, "2 wrong"),
        ({"stale": 1000}, "1,000 stale"),
        ({"missed": 1}, "1 missed"),
        ({"resets": 1}, "1 reset"),
        ({"is_alive": False}, "the daemon ended"),
        ({"recovery_s": 1.1}, "recovery"),
        ({"unfed_s": 2.1}, "watchdog"),
        ({"resident_bytes": 193 * made_up.MIB}, "memory"),
        ({"reload_s": 5.1}, "reload"),
        ({"reload_s": None}, "reload"),
        ({"stop_s": 2.1}, "SIGTERM"),
        ({"stop_s": None}, "SIGTERM"),
    ],
)
def test_each_must_is_judged(changed: dict[str, Any], missed: str) -> None:
    """Each alone is named."""
    row = made_up.row()
    for name, value in changed.items():
        setattr(row.figures, name, value)
    assert judge.verdict(row) == f"MISSED: {missed}"


@pytest.mark.parametrize(
    ("login_s", "guesses_per_s", "verdict"),
    [
        (1.9, 5.0, "met"),
        (2.1, 5.0, "MISSED: login"),
        (None, 5.0, "MISSED: login"),
        (1.9, 6.0, "MISSED: guesses"),
    ],
)
def test_guessing_is_slow_and_right_secrets_are_not(
    login_s: float | None, guesses_per_s: float, verdict: str
) -> None:
    """From each address a few tries a second."""
    row = made_up.row()
    assert row.figures is not None
    row.is_digest = True
    row.figures.login_s, row.figures.ended_per_s = login_s, guesses_per_s
    assert judge.verdict(row) == verdict


def test_standstill_is_not_the_daemons_fault() -> None:
    """Its length is neither latency nor a watchdog that starves."""
    row = made_up.row(attacked_s=60.0)
    assert row.figures is not None
    row.pause_s = row.figures.unfed_s = 60.0
    row.figures.received_bytes = 1000
    assert judge.verdict(row) == "met"


def test_frames_that_were_half_read_before_a_standstill_are_answered() -> None:
    """Their rest came in time, and was read late."""
    row = made_up.row()
    assert row.figures is not None
    row.pause_s, row.figures.received_bytes = 60.0, 1000
    row.figures.ended_per_s = 1.0
    assert judge.verdict(row) == "MISSED: half-read frames"
    row.figures.ended_per_s, row.figures.received_bytes = 0.0, 0
    assert judge.verdict(row) == "MISSED: half-read frames"


def test_row_without_figures_says_why() -> None:
    """It is neither met nor missed."""
    row = made_up.row()
    row.figures, row.note = None, "there is no Java"
    assert judge.missed(row) == []
    assert judge.verdict(row) == "there is no Java"
