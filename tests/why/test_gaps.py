"""When a worker counts as silent."""

from __future__ import annotations

import pytest

from pacemaker.why.evidence import Evidence, WorkerVerdict
from tests.why.cases import (
    AT_S,
    NOW_S,
    WORKER,
    daemon,
    evidence,
    first,
    key,
    nodes,
    writer,
)


def test_change_of_the_pacemaker_is_no_gap() -> None:
    """A worker that goes to another Pacemaker at once is well."""
    gone = key(last_s=AT_S, end="reset", ended_s=AT_S)
    judged = Evidence(
        [
            daemon({WORKER: gone}),
            daemon({WORKER: key(first_s=AT_S + 3, daemon="pm2")}, name="pm2"),
        ],
        nodes(),
    )
    assert first(judged).verdict is WorkerVerdict.WELL


def test_gap_between_two_pacemakers_is_the_network() -> None:
    """The first one died, and the worker took its time."""
    gone = key(last_s=AT_S, end="reset", ended_s=AT_S)
    judged = Evidence(
        [
            daemon({WORKER: gone}),
            daemon({WORKER: key(first_s=AT_S + 14, daemon="pm2")}, name="pm2"),
        ],
        nodes(),
    )
    finding = first(judged)
    assert finding.verdict is WorkerVerdict.NETWORK
    assert (finding.begin_s, finding.end_s) == (AT_S, AT_S + 14)


def moved_to_pm2(uptime_s: int | None) -> Evidence:
    """Return a worker that died at pm1, and whose key pm2 gets 14 s later."""
    gone = key(last_s=AT_S, end="reset", ended_s=AT_S)
    back = key(first_s=AT_S + 14, uptime_s=uptime_s, daemon="pm2")
    return Evidence(
        [daemon({WORKER: gone}), daemon({WORKER: back}, name="pm2")],
        nodes(),
    )


@pytest.mark.parametrize(
    ("age_s", "verdict"),
    [
        (2, WorkerVerdict.KILLED),
        (600, WorkerVerdict.NETWORK),
        (None, WorkerVerdict.UNCLEAR),
    ],
)
def test_new_process_at_another_pacemaker_is_recognised(
    age_s: int | None, verdict: WorkerVerdict
) -> None:
    """Its age then follows from the uptime of its newest heartbeat."""
    last_s = NOW_S - 1.0
    uptime_s = None if age_s is None else int(last_s - (AT_S + 14) + age_s)
    finding = first(moved_to_pm2(uptime_s))
    assert finding.verdict is verdict


def test_later_process_says_nothing_about_the_first_one() -> None:
    """It was started after the gap, so who ended the gap is unknown."""
    assert first(moved_to_pm2(100)).verdict is WorkerVerdict.UNCLEAR


def test_short_gap_counts_if_a_new_process_ended_it() -> None:
    """A supervisor may restart a worker before its heartbeat is late."""
    finding = first(evidence(key(writer(AT_S, 5.0, 1, "fin")), nodes()))
    assert (finding.verdict, finding.begin_s) == (WorkerVerdict.KILLED, AT_S - 5)


@pytest.mark.parametrize(
    ("uptime_s", "end"), [(4, "fin"), (1, "open"), (None, "fin"), (-1, "fin")]
)
def test_other_short_gaps_do_not_count(uptime_s: int | None, end: str) -> None:
    """The uptime must be shorter by more than it is rounded, and no writer be left."""
    finding = first(evidence(key(writer(AT_S, 5.0, uptime_s, end)), nodes()))
    assert finding.verdict is WorkerVerdict.WELL
