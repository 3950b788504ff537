"""Each finding about a worker, in order."""

from __future__ import annotations

import pytest

from pacemaker.why.case import Case, Verdict
from pacemaker.why.verdicts import judge
from tests.why.cases import (
    AT_S,
    NOW_S,
    TOPOLOGY,
    WORKER,
    case,
    daemon,
    first,
    key,
    late,
    nodes,
    said,
    writer,
)


def test_nothing_unusual_is_well() -> None:
    """Heartbeats came as they should."""
    finding = first(case(key(), nodes()))
    assert (finding.verdict, finding.begin_s) == (Verdict.WELL, None)


def test_worker_of_which_nobody_knows() -> None:
    """It is said who was asked."""
    finding = judge(case(key()), (TOPOLOGY, "node-z-1"))[0]
    assert finding.verdict is Verdict.UNKNOWN
    assert "pm1" in said(finding)


def test_newest_finding_comes_first() -> None:
    """A story is read from its end."""
    facts = key(late(AT_S, 20.0, 3_000), writer(AT_S + 100, 14.0, 3_100))
    found = judge(case(facts, nodes()), WORKER)
    assert [each.verdict for each in found] == [Verdict.NETWORK, Verdict.PAUSED]


@pytest.mark.parametrize(
    ("assigned_ago_s", "verdict"), [(20, Verdict.LOADING), (500, Verdict.NEVER_SEEN)]
)
def test_assigned_worker_without_a_heartbeat(
    assigned_ago_s: int, verdict: Verdict
) -> None:
    """It may still be starting; later its logs must say why it does not."""
    judged = Case([daemon({})], nodes(assigned_s=int(NOW_S) - assigned_ago_s))
    finding = first(judged)
    assert (finding.verdict, finding.end_s) == (verdict, None)
    assert f"host-a:6700 {assigned_ago_s} s ago" in said(finding)
