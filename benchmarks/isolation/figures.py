"""The figures of a trial: what the honest peers saw in each phase."""

from __future__ import annotations

import enum
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from benchmarks.isolation.history import MISS, OK, RESET, STALE, UNANSWERED, WRONG

# A latency is normal up to this many times the p99.9 of the quiet phase.
NORMAL_TIMES: Final = 3.0
NORMAL_LEAST_S: Final = 0.020

# The kinds of requests that Nimbus sends, and what the longest possible list, of 10 MB,
# may take once the attack is over.
_OF_NIMBUS: Final = ("read", "list")
_LIST_S: Final = 0.1

# These say nothing about the daemon's speed, because they wait for something else.
# Logins have a bar of their own.
_UNTIMED: Final = ("held", "delete", "login", "nobody's")

Record: TypeAlias = tuple[str, float, float, float, str]
"""A request: its kind, when it was scheduled, sent and answered, and its outcome."""


class Phase(enum.Enum):
    """A part of a trial."""

    BEFORE = "before"
    CONTROL = "control"
    ATTACK = "attack"
    AFTER = "after"
    RELOAD = "reload"


@dataclass(frozen=True)
class Span:
    """A period of time."""

    from_s: float
    to_s: float

    def has(self, at_s: float) -> bool:
        """Return whether a time is within the period."""
        return self.from_s <= at_s < self.to_s


@dataclass
class Latencies:
    """The latencies of a phase, in seconds."""

    count: int = 0
    p50_s: float = 0.0
    p99_s: float = 0.0
    p999_s: float = 0.0
    max_s: float = 0.0
    late_s: float = 0.0


@dataclass
class Figures:
    """The results of a trial.

    Attributes:
        phases: the latencies, by phase.
        alone_s: the p99.9 under attack of each kind of request, counted from when it
            was sent, and so without Nimbus's wait for its previous reply.
        lost: requests without a reply, within 11 s or before their connection ended.
        wrong: replies that do not belong to their request, or have a wrong value.
        stale: reads that returned an older value than one already acknowledged.
        missed: reads answered as misses, although the key existed or the read had to be
            held.
        resets: honest connections that ended.
        recovery_s: the time from the end of the attack until all is normal.
        login_s: the longest DIGEST login; None if there was none.
        resident_bytes: the peak during the attack and after it.
        fed: how often the watchdog was fed.
        unfed_s: the longest time for which it was not fed.
        reload_s: how long a reload took under attack; None if it did not succeed.
        stop_s: how long a stop took under attack; None if it did not succeed.
        ended_per_s: attackers' connections that the daemon ended per second.
        received_bytes: the bytes of replies that the attackers received.
        is_alive: whether the daemon ran until it was asked to stop.
    """

    phases: dict[str, Latencies] = field(default_factory=dict)
    alone_s: dict[str, float] = field(default_factory=dict)
    lost: int = 0
    wrong: int = 0
    stale: int = 0
    missed: int = 0
    resets: int = 0
    recovery_s: float = 0.0
    login_s: float | None = None
    resident_bytes: int = 0
    fed: int = 0
    unfed_s: float = 0.0
    reload_s: float | None = None
    stop_s: float | None = None
    ended_per_s: float = 0.0
    received_bytes: int = 0
    is_alive: bool = True


def count(records: Sequence[Record], spans: Mapping[Phase, Span]) -> Figures:
    """Compute the figures from the records of the honest peers.

    Args:
        records: the records.
        spans: when each phase began and ended.
    """
    figures = Figures()
    outcomes = Counter(record[4] for record in records)
    figures.lost = outcomes[RESET] + outcomes[UNANSWERED]
    figures.wrong, figures.stale = outcomes[WRONG], outcomes[STALE]
    figures.missed = outcomes[MISS]
    timed = [record for record in records if record[0] not in _UNTIMED]
    for phase, span in spans.items():
        figures.phases[phase.value] = _latencies(
            [record for record in timed if span.has(record[1])]
        )
    figures.alone_s = _alone_s(
        [record for record in timed if spans[Phase.ATTACK].has(record[1])]
    )
    figures.recovery_s = _recovery_s(timed, spans, normal_s(figures))
    logins = [done - due for kind, due, _, done, _ in records if kind == "login"]
    figures.login_s = max(logins, default=None)
    return figures


def normal_s(figures: Figures) -> float:
    """Return the largest latency that counts as normal after the attack."""
    quiet_s = figures.phases[Phase.BEFORE.value].p999_s
    late_s = max(phase.late_s for phase in figures.phases.values())
    return max(NORMAL_LEAST_S, NORMAL_TIMES * quiet_s) + late_s


def _latencies(records: Sequence[Record]) -> Latencies:
    if not records:
        return Latencies()
    latencies = sorted(done - due for _, due, _, done, _ in records)
    # Only pulses: Nimbus sends one request after another, so a late request of its says
    # nothing about how punctual the generator is.
    late = sorted(sent - due for kind, due, sent, *_ in records if kind == "pulse")
    return Latencies(
        len(latencies),
        _percentile(latencies, 0.5),
        _percentile(latencies, 0.99),
        _percentile(latencies, 0.999),
        latencies[-1],
        _percentile(late, 0.999),
    )


def _alone_s(records: Sequence[Record]) -> dict[str, float]:
    taken: dict[str, list[float]] = {}
    for kind, _, sent, done, _ in records:
        taken.setdefault(kind, []).append(done - sent)
    return {kind: _percentile(sorted(each), 0.999) for kind, each in taken.items()}


def _percentile(ordered: Sequence[float], share: float) -> float:
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, math.floor(len(ordered) * share))]


def _recovery_s(
    records: Sequence[Record], spans: Mapping[Phase, Span], bound_s: float
) -> float:
    """Return how long after the attack the last late request was answered.

    Nimbus sends one request after another, so its requests count from when they are
    sent: a list takes as long as its names do, whoever has stored them, and the next
    reads wait for it.
    """
    ended_s, over_s = spans[Phase.ATTACK].to_s, spans[Phase.AFTER].to_s
    late = [
        min(done, over_s) - ended_s
        for kind, due, sent, done, outcome in records
        if due < over_s and done > ended_s
        if outcome != OK or _is_late(kind, due, sent, done, bound_s)
    ]
    return max(late, default=0.0)


def _is_late(kind: str, due: float, sent: float, done: float, bound_s: float) -> bool:
    """Return whether a request took longer than is normal after the attack."""
    if kind == "list":
        bound_s = max(bound_s, _LIST_S)
    return done - (sent if kind in _OF_NIMBUS else due) > bound_s
