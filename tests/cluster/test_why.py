"""What `why` says about events that the tests cause in a cluster.

Each scenario ends with the history of the Pacemaker and the nodes of ZooKeeper, as an
administrator's command sees them.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.cluster import UP_TIMEOUT_S, Cluster, Setup
from tests.cluster.conftest import HostMaker
from tests.cluster.hosts import Host
from tests.cluster.pacemakers import Kind
from tests.cluster.releases import NEWEST_ALONE, only_with_all
from tests.cluster.waiting import wait_until
from tests.real.daemons import free_port

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(1800),
    pytest.mark.parametrize("release", NEWEST_ALONE, scope="module"),
]

WORKERS = 2


@pytest.fixture(scope="module")
def setup(release: str) -> Setup:
    """Have few workers, and Pacemakers that can be looked into."""
    admin = f"127.0.0.1:{free_port()}"
    return Setup(
        release,
        workers=WORKERS,
        # A worker that starts slowly, beside other tests, is not to be moved for it.
        settings={"nimbus.task.launch.secs": 60},
        serve_options=("--admin", admin),
    )


@pytest.fixture(scope="module")
def make_hosts() -> HostMaker:
    """Run the Pacemaker on this host."""
    return lambda: [Host()]


@pytest.fixture(autouse=True)
def ours_only(kind: Kind) -> None:
    """Only our Pacemaker has a history."""
    if kind is not Kind.OURS:
        pytest.skip("the JVM's Pacemaker has no history")


def why(cluster: Cluster, *worker: str) -> dict[str, dict[str, Any]]:
    """Ask the command; return what it says by worker."""
    config = cluster.folder / "nimbus" / "conf" / "storm.yaml"
    argv = [sys.executable, "-m", "pacemaker", "why", cluster.topology_id, *worker]
    argv += ["--json", "--config", str(config)]
    argv += ["--admin", cluster.setup.serve_options[-1]]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    told = json.loads(done.stdout) if done.stdout else []
    return {each["worker"]: each for each in told}


def verdicts(told: dict[str, Any], since_s: float) -> list[str]:
    """Return the verdicts of what happened since a time, the newest first."""
    return [
        finding["verdict"]
        for finding in told["findings"]
        if (finding["to"] or time.time()) > since_s
    ]


def wait_for(
    cluster: Cluster, worker: str, verdict: str, since_s: float
) -> dict[str, Any]:
    """Wait until a verdict is among those of a worker; return what is said of it."""

    def is_told() -> dict[str, Any] | None:
        cluster.supervise_nimbus()
        told = why(cluster)[worker]
        assert verdict in verdicts(told, since_s), told
        return told

    return wait_until(f"the verdict {verdict}", is_told, UP_TIMEOUT_S)


@pytest.fixture
def victim(cluster: Cluster) -> tuple[str, int]:
    """Choose a worker: its name, and its process."""
    placement = cluster.placement()
    slot = min(placement.slots.values(), key=lambda slot: slot.port)
    return slot.worker, placement.pids[slot.port]


def test_killed_worker(cluster: Cluster, victim: tuple[str, int]) -> None:
    """SIGKILL: it deletes nothing, and another process takes its place."""
    worker, pid = victim
    began_s = time.time()
    os.kill(pid, signal.SIGKILL)
    wait_for(cluster, worker, "killed", began_s)
    # Until the new one has its executors, the newest verdict is that it is loading.
    wait_until(
        "the end of loading",
        lambda: verdicts(why(cluster)[worker], began_s)[0] == "killed",
        UP_TIMEOUT_S,
    )


@only_with_all
@pytest.mark.parametrize("pause_s", [20, 40])
def test_paused_worker(cluster: Cluster, victim: tuple[str, int], pause_s: int) -> None:
    """SIGSTOP: the same connection goes on, or Nimbus has moved it meanwhile."""
    worker, pid = victim
    began_s = time.time()
    with _stopped(pid):
        time.sleep(pause_s)
        told = wait_for(cluster, worker, "paused", began_s)
        assert told["findings"][0]["to"] is None
    if pause_s == 20:
        wait_until(
            "the end of the pause",
            lambda: why(cluster)[worker]["findings"][0]["to"],
            UP_TIMEOUT_S,
        )
        assert verdicts(why(cluster)[worker], began_s)[0] in ("paused", "network")


@contextlib.contextmanager
def _stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        # Its supervisor may have killed it meanwhile.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@only_with_all
def test_worker_that_is_terminated(cluster: Cluster, victim: tuple[str, int]) -> None:
    """SIGTERM: it deletes its key as it ends, and has reported no error."""
    worker, pid = victim
    began_s = time.time()
    os.kill(pid, signal.SIGTERM)
    told = wait_for(cluster, worker, "ended itself", began_s)
    assert "no error was reported" in " ".join(told["findings"][0]["reasons"])


def test_pacemaker_that_is_away(cluster: Cluster) -> None:
    """All workers at once: after its start it remembers nothing, and they are older."""
    began_s = time.time()
    cluster.pacemakers[0].go_away(signal.SIGKILL, 25)
    for worker in cluster.placement().workers:
        wait_for(cluster, worker, "everything", began_s)


@only_with_all
def test_nimbus_that_is_stopped(cluster: Cluster) -> None:
    """Nobody reads for a minute, and the workers are well."""
    began_s = time.time()
    nimbus = cluster.nimbus_pid
    with _stopped(nimbus):
        time.sleep(60)
        for told in why(cluster).values():
            assert verdicts(told, began_s)[0] == "not read by Nimbus", told
    workers = cluster.placement().workers
    for worker in workers:
        told = wait_for(cluster, worker, "not read by Nimbus", began_s)
        assert told["findings"][0]["to"] is not None


@only_with_all
def test_supervisor_that_is_killed(cluster: Cluster) -> None:
    """Its workers go on, and ZooKeeper misses it."""
    began_s = time.time()
    supervisor = cluster.supervisors[0]
    supervisor.signal(signal.SIGKILL)
    supervisor.wait()
    ports = cluster.ports_of_supervisor(0)
    here = {
        slot.worker for slot in cluster.placement().slots.values() if slot.port in ports
    }
    for worker in here:
        wait_for(cluster, worker, "supervisor gone", began_s)
    assert here


@only_with_all
def test_topology_that_is_killed(cluster: Cluster) -> None:
    """Nimbus deletes all of its keys, or ZooKeeper has forgotten it."""
    topology_id = cluster.submit_another("short-lived", 1)
    wait_until(
        "its heartbeat",
        lambda: cluster.commands.names(f"/workerbeats/{topology_id}"),
        UP_TIMEOUT_S,
    )
    cluster.operator.kill("short-lived")

    def is_told() -> bool:
        config = cluster.folder / "nimbus" / "conf" / "storm.yaml"
        argv = [sys.executable, "-m", "pacemaker", "why", topology_id, "--json"]
        argv += ["--config", str(config), "--admin", cluster.setup.serve_options[-1]]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        told = json.loads(done.stdout)
        return {each["verdict"] for each in told} == {"topology killed"}

    wait_until("the verdict topology killed", is_told, UP_TIMEOUT_S)
