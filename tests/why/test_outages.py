"""Gaps that several workers share."""

from __future__ import annotations

import pytest

from pacemaker.why.evidence import WorkerVerdict
from pacemaker.why.facts import KeyFacts
from tests.why.cases import (
    AT_S,
    NOW_S,
    deleted,
    evidence,
    first,
    key,
    moved,
    nodes,
    said,
    writer,
)


def others(*silent: str, well: tuple[str, ...] = ()) -> dict[str, KeyFacts]:
    """Return other workers, by whether they were silent too."""
    found = {name: key(writer(AT_S, 20.0, 3_000), peer=name) for name in silent}
    return found | {name: key(peer=name) for name in well}


def test_whole_host() -> None:
    """All of its workers were silent at once, and no others."""
    known = others("node_a_6701", well=("node_b_6700", "node_c_6700"))
    finding = first(evidence(key(writer(AT_S, 20.0, 3_000)), nodes(), **known))
    assert finding.verdict is WorkerVerdict.WHOLE_HOST
    assert "all 2 workers of its host" in said(finding)


def test_lone_worker_of_a_host_that_is_cut_off() -> None:
    """Its connection never ended, and its supervisor's session is over."""
    facts = key(last_s=NOW_S - 60)
    finding = first(evidence(facts, nodes(supervisors=("node-b",))))
    assert finding.verdict is WorkerVerdict.WHOLE_HOST


def test_everything_at_once() -> None:
    """Nearly all workers of several hosts: not the fault of any of them."""
    known = others("node_b_6700", "node_c_6700")
    finding = first(evidence(key(writer(AT_S, 20.0, 3_000)), nodes(), **known))
    assert finding.verdict is WorkerVerdict.EVERYTHING


def test_workers_that_are_stopped_together_are_not_everything() -> None:
    """A rebalance: each of them deletes its key."""
    known = {
        f"node_{host}_6700": key(
            deleted(AT_S - 18), writer(AT_S, 20.0, 1, "fin"), peer=host
        )
        for host in "bc"
    }
    facts = key(deleted(AT_S - 18), writer(AT_S, 20.0, 1, "fin"))
    finding = first(evidence(facts, nodes(assigned_s=int(AT_S) - 20), **known))
    assert finding.verdict is WorkerVerdict.STOPPED


@pytest.mark.parametrize(
    ("uptime_s", "told"),
    [(3, "a new process took its place"), (3_000, "its process survived")],
)
def test_reboot_and_lost_network_of_a_host_differ(uptime_s: int, told: str) -> None:
    """The uptime afterwards tells which it was."""
    known = others("node_a_6701", well=("node_b_6700", "node_c_6700"))
    finding = first(evidence(key(writer(AT_S, 20.0, uptime_s)), nodes(), **known))
    assert finding.verdict is WorkerVerdict.WHOLE_HOST
    assert finding.reasons[-1] == told


def test_host_that_is_away_and_then_loses_its_workers() -> None:
    """The cause comes first, then what Nimbus did about it."""
    known = {"node_a_6701": key(last_s=NOW_S - 400, peer="x")}
    known |= others(well=("node_b_6700", "node_c_6700"))
    finding = first(evidence(key(last_s=NOW_S - 400), moved(at_s=NOW_S - 360), **known))
    assert finding.verdict is WorkerVerdict.WHOLE_HOST
    assert finding.reasons[-1].endswith("40 s after its last heartbeat")
