"""A cluster with one Pacemaker."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from tests.cluster.cluster import ROUND_S, TASK_TIMEOUT_S, UP_TIMEOUT_S, Cluster
from tests.cluster.conftest import HostMaker, Record
from tests.cluster.dead_supervisor import kill_supervisor
from tests.cluster.hosts import Host
from tests.cluster.observation import Observation, keep_ports
from tests.cluster.pacemakers import Kind
from tests.cluster.releases import RELEASES
from tests.cluster.waiting import wait_until
from tests.wire.by_hand import Wire, send_pulse

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(1800),
    pytest.mark.parametrize("release", RELEASES, scope="module"),
]

HOLD_PORT_KEPT_S = 10
"""So long misses are held after a start, where the port was kept."""

KILLS = 5
LOAD_BURST = 50
LOAD_PAUSE_S = 0.05


@pytest.fixture(scope="module")
def make_hosts() -> HostMaker:
    """Run the Pacemaker on this host."""
    return lambda: [Host()]


@pytest.fixture
def ours_only(kind: Kind) -> None:
    """Leave a scenario out of the comparison: with the JVM's it says nothing new."""
    if kind is not Kind.OURS:
        pytest.skip("not compared")


@pytest.mark.usefixtures("ours_only")
def test_heartbeats_come_and_go_with_a_topology(cluster: Cluster) -> None:
    """Nimbus shows a new topology's executors alive; killed, its heartbeats go."""
    topology_id = cluster.submit_another("short-lived", 2)
    try:
        _wait_until_alive(cluster, topology_id, workers=2, executors=4)
    finally:
        cluster.operator.kill("short-lived")
    wait_until(
        "the end of its heartbeats",
        lambda: topology_id not in cluster.commands.names("/workerbeats"),
        UP_TIMEOUT_S,
    )
    wait_until(
        "the end of its assignment",
        lambda: not cluster.operator.assignment(topology_id),
        UP_TIMEOUT_S,
    )


def _wait_until_alive(
    cluster: Cluster, topology_id: str, *, workers: int, executors: int
) -> None:
    """Wait for the heartbeats of all workers, and for what Nimbus makes of them."""
    path = f"/workerbeats/{topology_id}"

    def all_told() -> bool:
        names = cluster.commands.names(path)
        heartbeats = [cluster.commands.heartbeat(f"{path}/{name}") for name in names]
        assert {one["topology_id"] for one in heartbeats} <= {topology_id}
        # A worker's first ones have no executors yet.
        return sum(bool(one["executors"]) for one in heartbeats) == workers

    def all_up() -> bool:
        uptimes_s = cluster.operator.uptimes_s(topology_id).values()
        return sum(uptime_s > 0 for uptime_s in uptimes_s) == executors

    wait_until("heartbeats of all workers", all_told, UP_TIMEOUT_S)
    wait_until("an uptime of each executor", all_up, UP_TIMEOUT_S)


def test_worker_is_killed_again_and_again(
    cluster: Cluster, load: None, recording: Record
) -> None:
    """Workers that die without a word, under load, harm neither daemon nor others."""
    pacemaker = cluster.pacemakers[0].child
    before = cluster.placement()
    victim = min(before.slots.values(), key=lambda slot: slot.port)
    of_victim = {
        name for name, slot in before.slots.items() if slot.port == victim.port
    }
    with Observation(cluster) as seen:
        for _ in range(KILLS):
            _kill_worker(cluster, seen, of_victim)
        seen.over()
        outcome = seen.outcome()
    recording("7. a worker is killed five times under load", outcome)
    assert pacemaker is cluster.pacemakers[0].child
    assert pacemaker.running()
    assert not [line for line in pacemaker.stderr.all() if "Traceback" in line]
    assert outcome.moved <= of_victim
    assert set(outcome.not_alive) <= of_victim
    assert outcome.replaced <= {victim.port}


def _kill_worker(cluster: Cluster, seen: Observation, executors: set[str]) -> None:
    """Kill the worker of some executors, and wait for a heartbeat of its successor.

    The successor is started in the same slot, or, if that takes long, in another one.
    Heartbeats do not count until its process exists: the last one of the killed worker
    may arrive after that worker has died.
    """
    before = cluster.placement()
    (port,) = {before.slots[name].port for name in executors}
    killed = before.pids[port]
    os.kill(killed, signal.SIGKILL)
    started_s = math.inf

    def succeeded() -> bool:
        nonlocal started_s
        now = cluster.placement()
        successors = {now.pids.get(now.slots[name].port, killed) for name in executors}
        if killed in successors:
            return False
        started_s = min(started_s, time.monotonic())
        workers = {now.slots[name].worker for name in executors}
        return seen.heartbeats.all_since(workers, started_s)

    wait_until("a heartbeat of its successor", succeeded, UP_TIMEOUT_S)


@pytest.fixture
def load(cluster: Cluster) -> Iterator[None]:
    """Write heartbeats of workers that there are not, many each second."""
    over = threading.Event()
    pulse = send_pulse("/workerbeats/load-1-1700000000/7a4e-6700", bytes(2048), 1)

    def write() -> None:
        with Wire(cluster.pacemakers[0].address) as connection:
            while not over.wait(LOAD_PAUSE_S):
                connection.send(pulse * LOAD_BURST)
                for _ in range(LOAD_BURST):
                    connection.receive()

    thread = threading.Thread(target=write)
    thread.start()
    yield
    over.set()
    thread.join()


@pytest.mark.usefixtures("ours_only")
@pytest.mark.parametrize("to", [Kind.JVM, Kind.OURS], ids=["to-jvm", "back"])
def test_pacemakers_take_over_from_each_other(
    cluster: Cluster, recording: Record, to: Kind
) -> None:
    """One Pacemaker takes the other's host and port, in a running cluster."""
    keep_ports(cluster, False)
    if cluster.pacemakers[0].kind is to:
        _replace(cluster, Kind.OURS if to is Kind.JVM else Kind.JVM)
        cluster.settle()
    with Observation(cluster) as seen:
        _replace(cluster, to)
        seen.over()
        outcome = seen.outcome()
    recording(f"8. {to.value} takes over", outcome)
    assert not outcome.nimbus_ended or cluster.is_1x, outcome
    assert outcome.nothing_moved, outcome


def _replace(cluster: Cluster, kind: Kind) -> None:
    cluster.pacemakers[0].end()
    cluster.pacemakers[0].kind = kind
    cluster.pacemakers[0].start()


@pytest.mark.usefixtures("ours_only")
@pytest.mark.parametrize("held", [False, True], ids=["control", "control-held"])
def test_dead_supervisor_s_executors_move(
    cluster: Cluster, recording: Record, held: bool
) -> None:
    """With a supervisor and its workers dead, their executors move to the other.

    Held misses put it off by no more than they are held.
    """
    keep_ports(cluster, True)
    dead = kill_supervisor(cluster, held)
    event = "a supervisor and its workers are killed"
    more = ", and the Pacemaker, which comes back" if held else ""
    recording(f"control: {event}{more}", dead.outcome)
    # It assigns them in the same round; again, where their start takes long.
    if held:
        assert dead.took_s <= TASK_TIMEOUT_S + HOLD_PORT_KEPT_S + ROUND_S
