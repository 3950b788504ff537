"""The cluster of the compose file, with both of its Pacemakers.

`tests/cluster/test_two_pacemakers.py` says why a worker that wrote to the one that is
gone may be declared dead, with either Pacemaker.
"""

from __future__ import annotations

import time

import pytest

from tests.cluster.waiting import wait_until
from tests.compose.composed import (
    PACEMAKERS,
    UP_TIMEOUT_S,
    WORKERS,
    Composed,
    Mark,
    Seen,
)
from tests.compose.engine import docker

pytestmark = [pytest.mark.compose, pytest.mark.timeout(1800)]

HANG_S = 15
"""Longer than a client of 2.x waits for a reply, which is 11 s."""

BETWEEN_RESTARTS_S = 30


def assert_only(workers: set[str], mark: Mark, seen: Seen) -> None:
    """Check that whatever Nimbus did, it did to some workers alone."""
    slots = mark.placement.slots.items()
    executors = {name for name, slot in slots if slot.worker in workers}
    assert seen.moved <= executors, seen
    assert set(seen.not_alive) <= executors, seen
    assert seen.replaced <= workers, seen


def test_heartbeats_of_a_topology_come_and_go(composed: Composed) -> None:
    """Our command lists a topology's workers; killed, its heartbeats are gone."""
    composed.operator.submit("short-lived", 2)
    topology_id = wait_until(
        "the topology",
        lambda: composed.operator.topology_ids().get("short-lived"),
        UP_TIMEOUT_S,
    )
    path = f"/workerbeats/{topology_id}"

    def names() -> list[str]:
        return composed.pacemaker(PACEMAKERS[1], "ls", path).split()

    wait_until("heartbeats of both workers", lambda: len(names()) == 2, UP_TIMEOUT_S)
    composed.operator.kill("short-lived")
    wait_until("the end of its heartbeats", lambda: not names(), UP_TIMEOUT_S)
    assert len(composed.heartbeats()) == WORKERS


def test_one_that_is_killed_concerns_its_writers_alone(composed: Composed) -> None:
    """One is killed, and started again when the workers write to the other."""
    mark = composed.mark()
    victim, other = composed.busier_first()
    writers = composed.writers(victim)
    composed.project.run("kill", victim)
    composed.wait_for_heartbeats(asked=other)
    composed.wait_for_round()
    assert composed.state(victim) == "exited"
    composed.project.run("start", victim)
    assert_only(writers, mark, composed.seen_since(mark))


def test_both_are_restarted(composed: Composed) -> None:
    """Both are restarted, half a minute apart; the cluster comes back by itself.

    The ports are closed meanwhile, so that Nimbus may call workers dead, as it
    may with any Pacemaker: `docs/cluster.md`.
    """
    mark = composed.mark()
    composed.project.run("restart", PACEMAKERS[0])
    time.sleep(BETWEEN_RESTARTS_S)
    composed.project.run("restart", PACEMAKERS[1])
    composed.seen_since(mark)
    assert composed.state("nimbus") == "running"


def test_one_that_hangs_concerns_its_writers_alone(composed: Composed) -> None:
    """One stands still for longer than a client's timeout; no other worker moves."""
    mark = composed.mark()
    victim, _ = composed.busier_first()
    writers = composed.writers(victim)
    composed.project.run("pause", victim)
    time.sleep(HANG_S)
    composed.project.run("unpause", victim)
    assert_only(writers, mark, composed.seen_since(mark))


def test_one_that_is_cut_off_concerns_its_writers_alone(composed: Composed) -> None:
    """One is taken off the network for a while; no other worker moves."""
    mark = composed.mark()
    victim, _ = composed.busier_first()
    writers = composed.writers(victim)
    network, container = composed.project.network, composed.project.container(victim)
    docker("network", "disconnect", network, container)
    time.sleep(HANG_S)
    docker("network", "connect", f"--alias={victim}", network, container)
    assert_only(writers, mark, composed.seen_since(mark))
