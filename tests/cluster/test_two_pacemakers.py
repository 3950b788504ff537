"""A cluster with two Pacemakers: one of them is gone, hangs, or is cut off.

A worker that wrote to that one reconnects to the other one after 11 to 15 s.  Nimbus of
2.x may have read the other one before that.  Then it waits 11 s for the one that is
gone, once for each worker.  At the end of the round it has seen no new heartbeat of the
worker for more than 30 s, and declares it dead.  No Pacemaker can prevent that, neither
ours nor the JVM's.  So the scenarios require that no other worker is affected, and the
table shows both Pacemakers.
"""

from __future__ import annotations

import signal
import time

import pytest

from tests.cluster.cluster import UP_TIMEOUT_S, Cluster, Setup
from tests.cluster.conftest import Record
from tests.cluster.hosts import cuttable
from tests.cluster.observation import Observation, Outcome, keep_ports
from tests.cluster.pacemakers import Kind, Pacemaker
from tests.cluster.releases import RELEASES
from tests.cluster.two_hosts import make_hosts, number
from tests.cluster.waiting import wait_until

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(1800),
    pytest.mark.parametrize("release", RELEASES, scope="module"),
]

__all__ = ["make_hosts", "number"]

WORKERS = 6

HANG_S = 15
"""Longer than a client of 2.x waits for a reply, which is 11 s."""

BETWEEN_RESTARTS_S = 30

USUAL_ROUND_S = 15
"""Nimbus begins a round every 10 s, where nothing holds it up."""


@pytest.fixture(scope="module")
def setup(release: str, kind: Kind) -> Setup:
    """Say what kind of cluster: with workers enough to hold Nimbus up."""
    return Setup(release, workers=WORKERS, kind=kind)


@pytest.mark.parametrize("kept", [True, False], ids=["port-kept", "port-closed"])
def test_rolling_upgrade(
    cluster: Cluster, kind: Kind, recording: Record, kept: bool
) -> None:
    """Both are restarted, half a minute apart; where ports are kept, nothing moves.

    Where they are not, Nimbus of 2.x may be looking away: its read from the one
    that is gone takes 11 s, in which the other one goes.
    """
    if kept and kind is Kind.JVM:
        pytest.skip("Storm's Pacemaker cannot take over a listening socket")
    keep_ports(cluster, kept)
    first, second = cluster.pacemakers
    with Observation(cluster) as seen:
        first.go_away(signal.SIGTERM, 0)
        time.sleep(BETWEEN_RESTARTS_S)
        second.go_away(signal.SIGTERM, 0)
        seen.over()
        outcome = seen.outcome()
    state = "kept" if kept else "closed"
    recording(f"3. both are restarted, 30 s apart, ports {state}", outcome)
    assert not outcome.nimbus_ended, outcome
    assert outcome.nothing_moved or not kept, outcome


def test_one_that_hangs_concerns_its_writers_alone(
    cluster: Cluster, recording: Record
) -> None:
    """One stands still for longer than a client's timeout; no other worker moves."""
    keep_ports(cluster, False)
    with Observation(cluster) as seen:
        victim = _busier(cluster, seen)
        concerned = seen.heartbeats.writers(victim.address)
        victim.child.signal(signal.SIGSTOP)
        time.sleep(HANG_S)
        victim.child.signal(signal.SIGCONT)
        seen.over()
        outcome = seen.outcome()
    recording(f"4. one of two hangs for {HANG_S} s", outcome)
    _assert_only(concerned, outcome, seen)


def test_one_that_is_cut_off_concerns_its_writers_alone(
    cluster: Cluster, recording: Record
) -> None:
    """One is cut off from the network for a while; no other worker moves."""
    keep_ports(cluster, False)
    with Observation(cluster) as seen:
        victim = _busier(cluster, seen)
        concerned = seen.heartbeats.writers(victim.address)
        host = cuttable(victim.host)
        host.cut_off()
        time.sleep(HANG_S)
        host.mend()
        seen.over()
        outcome = seen.outcome()
    recording(f"4. one of two is cut off for {HANG_S} s", outcome)
    _assert_only(concerned, outcome, seen)


def test_one_that_is_killed_concerns_its_writers_alone(
    cluster: Cluster, recording: Record
) -> None:
    """One is killed for two rounds of Nimbus, then started; no other worker moves."""
    keep_ports(cluster, False)
    with Observation(cluster) as seen:
        victim = _busier(cluster, seen)
        concerned = seen.heartbeats.writers(victim.address)
        victim.end(signal.SIGKILL)
        seen.over()
        killed = seen.outcome()
        victim.start()
        wait_until(
            "rounds of Nimbus as short as ever",
            lambda: _usual_rounds(cluster),
            UP_TIMEOUT_S,
        )
        back = seen.outcome()
    recording("2. one of two is killed", killed)
    _assert_only(concerned, back, seen)


def _busier(cluster: Cluster, seen: Observation) -> Pacemaker:
    """Return the one that more workers write to."""
    return max(
        cluster.pacemakers,
        key=lambda one: len(seen.heartbeats.writers(one.address)),
    )


def _assert_only(workers: set[str], outcome: Outcome, seen: Observation) -> None:
    """Check that whatever Nimbus did, it did to some workers alone."""
    slots = seen.before.slots.items()
    executors = {name for name, slot in slots if slot.worker in workers}
    ports = {slot.port for _, slot in slots if slot.worker in workers}
    assert outcome.moved <= executors, outcome
    assert set(outcome.not_alive) <= executors, outcome
    assert outcome.replaced <= ports, outcome


def _usual_rounds(cluster: Cluster) -> bool:
    *_, before, last = cluster.round_starts()
    return last - before < USUAL_ROUND_S
