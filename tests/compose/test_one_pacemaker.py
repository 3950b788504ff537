"""The cluster of the compose file with one Pacemaker alone."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping

import pytest

from tests.cluster.outages import SIGNALS, SOME_OUTAGES_S
from tests.cluster.waiting import wait_until
from tests.compose.composed import (
    NOTHING,
    PACEMAKERS,
    SUPERVISORS,
    UP_TIMEOUT_S,
    Composed,
)

pytestmark = [pytest.mark.compose, pytest.mark.timeout(1800)]

PACEMAKER = PACEMAKERS[0]

KILLS = 5

UNCONCERNED = re.compile(
    r" \[INFO\] (\d+ more lines? in \d+ s like: )?\S+: (connected$|ended by the peer: )"
    r"| \[INFO\] last minute: "
)
"""What its log has where nothing is wrong: comings and goings, and the figures."""


@pytest.fixture(scope="module")
def settings() -> Mapping[str, object]:
    """Name one Pacemaker to all parts; the other one's container has nothing to do."""
    return {"pacemaker.servers": [PACEMAKER]}


def test_worker_is_killed_again_and_again(composed: Composed) -> None:
    """Workers that die without a word harm neither the daemon nor the others."""
    mark = composed.mark()
    slots = mark.placement.slots
    victim = min(slot.worker for slot in slots.values())
    of_victim = {name for name, slot in slots.items() if slot.worker == victim}
    life = composed.life(PACEMAKER)
    from_line = len(composed.pacemaker_log(PACEMAKER))
    for _ in range(KILLS):
        _kill_worker(composed, of_victim)
        composed.wait_for_heartbeats()
    seen = composed.seen_since(mark)
    assert composed.state(PACEMAKER) == "running"
    assert composed.life(PACEMAKER) == life
    logged = composed.pacemaker_log(PACEMAKER)[from_line:]
    assert not [line for line in logged if not UNCONCERNED.search(line)]
    assert seen.replaced == {victim}
    assert seen.moved <= of_victim
    assert set(seen.not_alive) <= of_victim


def _kill_worker(composed: Composed, executors: set[str]) -> None:
    """Kill the worker of some executors, in whichever slot it is now."""
    slots = composed.placement().slots
    (worker,) = {slots[name].worker for name in executors}
    composed.kill_worker(worker)


@pytest.mark.parametrize("how", SIGNALS, ids=lambda how: how.name)
@pytest.mark.parametrize("outage_s", SOME_OUTAGES_S, ids=lambda length: f"{length}s")
def test_outage_of_the_only_one_moves_nothing(
    composed: Composed, how: signal.Signals, outage_s: int
) -> None:
    """The only one is gone for a while, and its port too; misses are held after it."""
    mark = composed.mark()
    nimbus = composed.life("nimbus")
    composed.go_away(PACEMAKER, how, outage_s)
    assert composed.seen_since(mark) == NOTHING
    assert composed.life("nimbus") == nimbus


def test_dead_supervisor_s_executors_move(composed: Composed) -> None:
    """With a supervisor and its workers dead, their executors move to the other."""
    mark = composed.mark()
    victim = max(SUPERVISORS, key=lambda one: len(composed.workers_of(one)))
    dead = composed.workers_of(victim).keys()
    before = mark.placement.slots
    lost = {name for name, slot in before.items() if slot.worker in dead}
    composed.project.run("kill", victim)
    seen = composed.seen_since(mark)
    after = composed.placement().slots
    composed.project.run("start", victim)
    wait_until("both supervisors", lambda: _both_there(composed), UP_TIMEOUT_S)
    composed.settle()
    assert lost
    assert seen.moved == lost
    assert seen.replaced == dead
    assert lost <= set(seen.not_alive)
    gone = {before[name].supervisor for name in lost}
    assert gone.isdisjoint(slot.supervisor for slot in after.values())


def _both_there(composed: Composed) -> bool:
    return len(composed.operator.supervisors()) == len(SUPERVISORS)
