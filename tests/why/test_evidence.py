"""What the evidence says, one question at a time."""

from __future__ import annotations

import pytest

from pacemaker.why.evidence import Evidence, WorkerVerdict, node_of
from pacemaker.why.facts import WorkerId
from tests.why.cases import (
    AT_S,
    NOW_S,
    TOPOLOGY,
    WORKER,
    behind_relay,
    daemon,
    deleted,
    evidence,
    first,
    key,
    late,
    nodes,
)


def test_workers_are_those_that_any_pacemaker_remembers() -> None:
    """Each once, sorted."""
    other = WorkerId(TOPOLOGY, "node-b-6700")
    judged = Evidence([daemon({WORKER: key(), other: key()}), daemon({WORKER: key()})])
    assert judged.workers == [WORKER, other]


def test_relay_alone_counts_if_it_answered() -> None:
    """Each kind of daemon can still be asked for what it remembers."""
    there, at_pacemaker = key(daemon="relay"), key()
    judged = behind_relay(there, at_pacemaker)
    assert judged.firsthand_facts(WORKER) == [there]
    assert judged.relay_facts(WORKER) == [there]
    assert judged.pacemaker_facts(WORKER) == [at_pacemaker]
    assert Evidence(judged.daemons[1:], has_relays=True).firsthand_facts(WORKER) == [
        at_pacemaker
    ]


def test_heartbeat_that_a_relay_repeats_ends_no_silence() -> None:
    """To a Pacemaker that was restarted it sends what it has."""
    silent = key(last_s=NOW_S - 40)
    finding = first(behind_relay(silent, key(last_s=NOW_S - 1)))
    assert (finding.verdict, finding.begin_s) == (WorkerVerdict.PAUSED, NOW_S - 40)


@pytest.mark.parametrize(("at_s", "count"), [(AT_S - 11, 1), (AT_S + 1, 0)])
def test_deletes_are_those_within_a_gap(at_s: float, count: int) -> None:
    """One that came later belongs to a later end of the worker."""
    judged = evidence(key(deleted(at_s), late(AT_S, 12.0)))
    (gap,) = judged.gaps(WORKER)
    assert len(judged.deletes_in(WORKER, gap)) == count


def test_assignment_is_that_of_the_worker_s_slot() -> None:
    """Without ZooKeeper, without the slot, or without a port none is known."""
    assert evidence(key(), nodes(assigned_s=7)).assigned_s(WORKER) == 7
    assert evidence(key(), nodes(assigned_s=None)).assigned_s(WORKER) is None
    assert evidence(key()).assigned_s(WORKER) is None
    assert evidence(key(), nodes()).assigned_s(WorkerId(TOPOLOGY, "odd")) is None


def test_supervisor_is_missed_only_in_zookeeper() -> None:
    """Without ZooKeeper nothing is said of it."""
    assert not evidence(key()).lacks_supervisor("node-z")
    assert evidence(key(), nodes()).lacks_supervisor("node-z")


def test_now_is_that_of_the_pacemakers() -> None:
    """Without any it is 0, and no worker is known."""
    assert evidence(key()).now_s == NOW_S
    assert (Evidence([]).now_s, Evidence([]).workers) == (0.0, [])


@pytest.mark.parametrize(
    ("worker", "node"), [("a-b-6700", "a-b"), ("odd", "odd"), ("a-x", "a-x")]
)
def test_host_is_known_by_its_supervisor(worker: str, node: str) -> None:
    """A key of another form stands for itself."""
    assert node_of(worker) == node
