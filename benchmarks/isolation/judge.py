"""The goals that every trial must meet, and which of them a trial misses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from benchmarks.isolation.figures import Figures, Latencies, Phase
from benchmarks.isolation.results import Row
from benchmarks.isolation.target import WATCHDOG_S

LEAST_S: Final = 0.020
"""A p99.9 up to this is good, however short the quiet p99.9 was."""

TIMES: Final = {"one": 3.0, "sixteen": 10.0, "own": 10.0}
"""A good p99.9 is at most this many times the quiet one, by the attackers' origin."""

RECOVERY_S: Final = 1.0
STOP_S: Final = 2.0
RELOAD_S: Final = 5.0
LOGIN_S: Final = 2.0
GUESSES_PER_S: Final = 5.0
BEYOND_BUDGETS_BYTES: Final = 64 * 2**20

# What `missed` calls the goals that a slow machine may miss.
_LATENCY_GOALS: Final = {"p99.9", "recovery"}

_ADDRESSES: Final = {"one": 1, "sixteen": 16, "own": 1}


def quiet(figures: Figures) -> Latencies:
    """Return the latencies to compare with those under attack.

    If there was a control phase, in which the attackers aimed at another daemon, it is
    that phase, because it includes their cost to the generator and the kernel.
    """
    phases = figures.phases
    return phases.get(Phase.CONTROL.value) or phases[Phase.BEFORE.value]


def attacked(figures: Figures) -> Latencies:
    """Return the latencies under attack."""
    return figures.phases[Phase.ATTACK.value]


def ratio(figures: Figures) -> float:
    """Return the p99.9 under attack divided by the quiet p99.9."""
    return attacked(figures).p999_s / max(1e-6, quiet(figures).p999_s)


def bound_s(row: Row, figures: Figures) -> float:
    """Return the largest p99.9 that is good for a row."""
    return max(LEAST_S, TIMES[row.origin] * quiet(figures).p999_s)


def undecided(row: Row) -> str:
    """Return why the machine may be to blame for a row's p99.9, or "" if it is not.

    A late generator and a busy machine can only make a p99.9 larger.  So a good p99.9
    is good, and one that exceeds the bound by more than the delay is too large.
    """
    figures = row.figures
    if figures is None or row.pause_s or attacked(figures).p999_s <= LEAST_S:
        return ""
    bound = bound_s(row, figures)
    if attacked(figures).p999_s <= bound:
        return "the machine was not quiet" if quiet(figures).p999_s > LEAST_S else ""
    is_late = attacked(figures).p999_s - attacked(figures).late_s <= bound
    return "the generator was late" if is_late else ""


def missed(row: Row) -> list[str]:
    """Return the goals that a row misses, in a few words each."""
    figures = row.figures
    if figures is None:
        return []
    if not figures.is_alive:
        return ["the daemon ended"]
    return [
        *_missed_always(figures),
        *_missed_times(row, figures),
        *_missed_limits(row, figures),
    ]


def verdict(row: Row) -> str:
    """Return the verdict on a row in a few words."""
    if row.figures is None:
        return row.note
    wrong = missed(row)
    if wrong:
        return "MISSED: " + ", ".join(wrong)
    reason = undecided(row)
    return f"no verdict: {reason}" if reason else "met"


def is_only_slow(row: Row) -> bool:
    """Return whether a row of ours misses only latency goals, or has no verdict.

    With some thousand requests, a single stall of the machine determines the p99.9.
    """
    if row.server != "ours" or row.figures is None:
        return False
    wrong = set(missed(row))
    return wrong <= _LATENCY_GOALS and bool(wrong or undecided(row))


def median(tries: Sequence[Row]) -> Row:
    """Return the try with the median p99.9, or one that is wrong and not only slow."""
    for row in tries:
        if row.figures is None or not set(missed(row)) <= _LATENCY_GOALS:
            return row
    ordered = sorted(tries, key=_p999_s)
    return ordered[len(ordered) // 2]


def _p999_s(row: Row) -> float:
    return math.inf if row.figures is None else attacked(row.figures).p999_s


def _missed_always(figures: Figures) -> list[str]:
    words = {
        "lost": figures.lost,
        "wrong": figures.wrong,
        "stale": figures.stale,
        "missed": figures.missed,
        "reset": figures.resets,
    }
    return [f"{number:,} {word}" for word, number in words.items() if number]


def _missed_times(row: Row, figures: Figures) -> list[str]:
    found = []
    # A paused daemon answers nothing, so its latencies are not judged.
    is_judged = not row.pause_s and not undecided(row)
    if is_judged and attacked(figures).p999_s > bound_s(row, figures):
        found.append("p99.9")
    if figures.recovery_s > RECOVERY_S:
        found.append("recovery")
    return found


def _missed_limits(row: Row, figures: Figures) -> list[str]:
    if row.server != "ours":
        return []
    most_bytes = row.budget_bytes + BEYOND_BUDGETS_BYTES
    guesses_per_s = GUESSES_PER_S * _ADDRESSES[row.origin]
    is_reloaded = Phase.RELOAD.value in figures.phases
    half_read = figures.ended_per_s > 0 or not figures.received_bytes
    misses = {
        "half-read frames": row.pause_s > 0 and half_read,
        "watchdog": figures.unfed_s > row.pause_s + WATCHDOG_S,
        "memory": figures.resident_bytes > most_bytes,
        "login": row.is_digest and not _is_within(figures.login_s, LOGIN_S),
        "guesses": row.is_digest and figures.ended_per_s > guesses_per_s,
        "reload": is_reloaded and not _is_within(figures.reload_s, RELOAD_S),
        "SIGTERM": is_reloaded and not _is_within(figures.stop_s, STOP_S),
    }
    return [name for name, is_missed in misses.items() if is_missed]


def _is_within(seconds: float | None, most_s: float) -> bool:
    return seconds is not None and seconds <= most_s
