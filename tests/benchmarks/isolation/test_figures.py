"""Tests of benchmarks.isolation.figures."""

from __future__ import annotations

import pytest

from benchmarks.isolation.figures import Figures, Phase, Record, Span, count

SPANS = {
    Phase.BEFORE: Span(0.0, 10.0),
    Phase.ATTACK: Span(10.0, 20.0),
    Phase.AFTER: Span(20.0, 30.0),
}
QUIET: list[Record] = [("pulse", at, at, at + 0.001, "ok") for at in range(30)]


def seen(*more: Record) -> Figures:
    """Count quiet records, and some more."""
    return count([*QUIET, *more], SPANS)


def test_latencies_count_from_when_requests_were_due() -> None:
    """Not from when they could be sent, and in the phase in which they were due."""
    figures = seen(("read", 19.0, 22.0, 25.0, "ok"))
    assert figures.phases["attack"].count == 11
    assert figures.phases["attack"].max_s == 6.0
    assert figures.phases["after"].count == 10


@pytest.mark.parametrize(
    ("outcome", "figure"),
    [
        ("reset", "lost"),
        ("unanswered", "lost"),
        ("wrong", "wrong"),
        ("stale", "stale"),
        ("miss", "missed"),
    ],
)
def test_outcomes_are_counted(outcome: str, figure: str) -> None:
    """Whatever phase they were in."""
    figures = seen(("read", 15.0, 15.0, 15.1, outcome))
    assert getattr(figures, figure) == 1
    assert sum((figures.lost, figures.wrong, figures.stale, figures.missed)) == 1


def test_recovery_lasts_until_the_last_late_reply() -> None:
    """A reply that is as late as any in the quiet time is none."""
    assert seen().recovery_s == 0.0
    late = seen(("pulse", 19.0, 19.0, 21.0, "ok"), ("pulse", 22.0, 22.0, 24.5, "ok"))
    assert late.recovery_s == 4.5


def test_recovery_ends_with_what_was_looked_at() -> None:
    """What comes after it is the next attack's."""
    figures = seen(("pulse", 29.0, 29.0, 45.0, "ok"), ("pulse", 31.0, 31.0, 50.0, "ok"))
    assert figures.recovery_s == 10.0


def test_recovery_leaves_out_how_late_nimbus_sent_something() -> None:
    """It sends one request after another; what it waits for counts by itself."""
    behind: list[Record] = [
        ("list", 22.0, 22.0, 22.09, "ok"),
        ("read", 22.01, 22.09, 22.091, "ok"),
    ]
    assert seen(*behind).recovery_s == 0.0
    assert seen(("read", 11.0, 21.0, 21.001, "ok")).recovery_s == 0.0
    assert seen(("read", 22.0, 22.0, 22.09, "ok")).recovery_s == pytest.approx(2.09)
    assert seen(("list", 22.0, 22.0, 22.11, "ok")).recovery_s == pytest.approx(2.11)


def test_reads_that_are_held_have_no_latency() -> None:
    """They wait for a pulse, not for the daemon."""
    assert seen(("held", 15.0, 14.0, 16.0, "ok")).phases["attack"].max_s < 0.002


def test_lateness_is_that_of_pulses() -> None:
    """Nimbus asks one thing after another, and is late by the daemon's doing."""
    figures = seen(("read", 15.0, 18.0, 18.1, "ok"), ("pulse", 15.0, 15.25, 15.5, "ok"))
    assert figures.phases["attack"].late_s == 0.25


def test_longest_login_is_kept() -> None:
    """None where nobody logged in."""
    assert seen().login_s is None
    logins: list[Record] = [
        ("login", 15.0, 15.0, 15.5, "ok"),
        ("login", 16.0, 16.0, 17.5, "ok"),
    ]
    assert seen(*logins).login_s == 1.5


def test_requests_are_timed_alone_as_well() -> None:
    """From when they were sent, which is after the reply that Nimbus waited for."""
    figures = seen(("read", 15.0, 18.0, 18.5, "ok"), ("join", 25.0, 25.0, 26.0, "ok"))
    assert figures.alone_s["read"] == 0.5
    assert "join" not in figures.alone_s
