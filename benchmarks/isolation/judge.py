"""What every trial has to reach, and which of that it misses."""

from __future__ import annotations

from typing import Final

from benchmarks.isolation.figures import Figures, Latencies, Phase
from benchmarks.isolation.results import Row
from benchmarks.isolation.target import WATCHDOG_S

LEAST_S: Final = 0.020
"""A p99.9 below this is good, however short the quiet one was."""

TIMES: Final = {"one": 3.0, "sixteen": 10.0, "own": 10.0}
"""How many times the quiet p99.9 is good, by where the attackers come from."""

RECOVERY_S: Final = 1.0
STOP_S: Final = 2.0
RELOAD_S: Final = 5.0
LOGIN_S: Final = 2.0
GUESSES_PER_S: Final = 5.0
BEYOND_BUDGETS_BYTES: Final = 64 * 2**20

_ADDRESSES: Final = {"one": 1, "sixteen": 16, "own": 1}


def quiet(figures: Figures) -> Latencies:
    """Return the latencies that those under attack are compared to.

    While the attackers aim at another daemon, if they did: what they cost the
    generator and the kernel is in it.
    """
    phases = figures.phases
    return phases.get(Phase.CONTROL.value) or phases[Phase.BEFORE.value]


def attacked(figures: Figures) -> Latencies:
    """Return the latencies under attack."""
    return figures.phases[Phase.ATTACK.value]


def ratio(figures: Figures) -> float:
    """Return how many times the quiet p99.9 that under attack is."""
    return attacked(figures).p999_s / max(1e-6, quiet(figures).p999_s)


def bound_s(row: Row, figures: Figures) -> float:
    """Return the largest p99.9 that is good in a row."""
    return max(LEAST_S, TIMES[row.origin] * quiet(figures).p999_s)


def undecided(row: Row) -> str:
    """Say why the p99.9 of a row may be the machine's fault; nothing if it is not.

    A generator that sends late, and a machine that is not quiet, can only make a p99.9
    larger; so one that is good is good, and one that is too large by more than that
    is too large.
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
    """Return the musts that a row misses, in a few words each."""
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
    """Say in a few words how a row stands."""
    if row.figures is None:
        return row.note
    wrong = missed(row)
    if wrong:
        return "MISSED: " + ", ".join(wrong)
    reason = undecided(row)
    return f"no verdict: {reason}" if reason else "met"


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
    # A daemon that stands still answers nothing.
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
