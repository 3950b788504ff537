"""Each finding about a worker, in order."""

from __future__ import annotations

import dataclasses

import pytest

from pacemaker.why.evidence import Evidence, WorkerVerdict
from pacemaker.why.facts import WorkerId
from pacemaker.why.verdicts import findings_of
from tests.why.cases import (
    AT_S,
    NOW_S,
    TOPOLOGY,
    WORKER,
    daemon,
    evidence,
    first,
    key,
    late,
    nodes,
    said,
    writer,
)


def test_nothing_unusual_is_well() -> None:
    """Heartbeats came as they should."""
    finding = first(evidence(key(), nodes()))
    assert (finding.verdict, finding.begin_s) == (WorkerVerdict.WELL, None)


def test_worker_of_which_nobody_knows() -> None:
    """It is said who was asked."""
    finding = findings_of(evidence(key()), WorkerId(TOPOLOGY, "node-z-1"))[0]
    assert finding.verdict is WorkerVerdict.UNKNOWN
    assert "pm1" in said(finding)


def test_newest_finding_comes_first() -> None:
    """A story is read from its end."""
    facts = key(late(AT_S, 20.0, 3_000), writer(AT_S + 100, 14.0, 3_100))
    found = findings_of(evidence(facts, nodes()), WORKER)
    assert [each.verdict for each in found] == [
        WorkerVerdict.NETWORK,
        WorkerVerdict.PAUSED,
    ]


@pytest.mark.parametrize(
    ("assigned_ago_s", "verdict"),
    [(20, WorkerVerdict.LOADING), (500, WorkerVerdict.NEVER_SEEN)],
)
def test_assigned_worker_without_a_heartbeat(
    assigned_ago_s: int, verdict: WorkerVerdict
) -> None:
    """It may still be starting; later its logs must say why it does not."""
    judged = Evidence([daemon({})], nodes(assigned_s=int(NOW_S) - assigned_ago_s))
    finding = first(judged)
    assert (finding.verdict, finding.end_s) == (verdict, None)
    assert f"host-a:6700 {assigned_ago_s} s ago" in said(finding)


@pytest.mark.parametrize("assigned_ago_s", [20, 500])
def test_worker_that_a_full_history_may_lack_is_unclear(assigned_ago_s: int) -> None:
    """It may write, so it is not said that no heartbeat has come."""
    full = dataclasses.replace(daemon({}, name="pm2"), is_full=True)
    zookeeper = nodes(assigned_s=int(NOW_S) - assigned_ago_s)
    finding = first(Evidence([daemon({}), full], zookeeper))
    assert (finding.verdict, finding.begin_s) == (
        WorkerVerdict.UNCLEAR,
        NOW_S - assigned_ago_s,
    )
    assert "the history of pm2 is full" in said(finding)
    assert "no heartbeat" not in said(finding)


def test_worker_that_a_full_history_has_is_judged() -> None:
    """That others may be missing does not matter to it."""
    full = dataclasses.replace(daemon({WORKER: key()}), is_full=True)
    assert first(Evidence([full], nodes())).verdict is WorkerVerdict.WELL
