"""When a worker counts as silent."""

from __future__ import annotations

from pacemaker.why.case import Case, Verdict
from tests.why.cases import AT_S, WORKER, daemon, first, key, nodes


def test_change_of_the_pacemaker_is_no_gap() -> None:
    """A worker that goes to another Pacemaker at once is well."""
    gone = key(last_s=AT_S, end="reset", ended_s=AT_S)
    judged = Case(
        [
            daemon({WORKER: gone}),
            daemon({WORKER: key(first_s=AT_S + 3, daemon="pm2")}, name="pm2"),
        ],
        nodes(),
    )
    assert first(judged).verdict is Verdict.WELL


def test_gap_between_two_pacemakers_is_the_network() -> None:
    """The first one died, and the worker took its time."""
    gone = key(last_s=AT_S, end="reset", ended_s=AT_S)
    judged = Case(
        [
            daemon({WORKER: gone}),
            daemon({WORKER: key(first_s=AT_S + 14, daemon="pm2")}, name="pm2"),
        ],
        nodes(),
    )
    finding = first(judged)
    assert finding.verdict is Verdict.NETWORK
    assert (finding.begin_s, finding.end_s) == (AT_S, AT_S + 14)
