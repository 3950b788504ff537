"""What `why` says about events that the tests cause in a cluster.

Each scenario ends with the history of the Pacemaker, and of the relays if there are
any, and the nodes of ZooKeeper, as an administrator's command sees them.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from tests.cluster import processes
from tests.cluster.cluster import SUPERVISORS, UP_TIMEOUT_S, Cluster, Setup
from tests.cluster.conftest import HostMaker
from tests.cluster.hosts import Host, Namespace, namespaces_work
from tests.cluster.pacemakers import Kind
from tests.cluster.releases import NEWEST_ALONE, only_with_all
from tests.cluster.waiting import wait_until
from tests.real.daemons import free_port


class Site(NamedTuple):
    """What kind of cluster the scenarios run on."""

    release: str
    has_relays: bool

    def __str__(self) -> str:
        return f"{self.release}_relays" if self.has_relays else self.release


WITH_RELAYS = (False, True) if os.environ.get("ALL") == "1" else (False,)
SITES = [
    Site(release, has_relays) for release in NEWEST_ALONE for has_relays in WITH_RELAYS
]

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(1800),
    pytest.mark.parametrize("site", SITES, ids=str, scope="module"),
]

WORKERS = 2
RUN_IN_S = 20
"""How long a worker must have run before a test harms it."""
SHORT_PAUSE_S = 20
"""Less than `supervisor.worker.timeout.secs`, which is 30."""


@pytest.fixture(scope="module")
def far_host(site: Site) -> Iterator[Namespace | None]:
    """Give each cluster a host that can be cut off; None if this user cannot."""
    if not namespaces_work():
        yield None
        return
    with contextlib.closing(Namespace()) as host:
        yield host


@pytest.fixture(scope="module")
def setup(site: Site, far_host: Namespace | None) -> Setup:
    """Have few workers, and Pacemakers and relays that can be looked into."""
    setup = Setup(
        site.release,
        workers=WORKERS,
        # A worker that starts slowly, beside other tests, is not to be moved for it.
        settings={
            "nimbus.task.launch.secs": 120,
            "supervisor.worker.start.timeout.secs": 240,
        },
        has_relays=site.has_relays,
        relay_admin_port=free_port(),
        far_host=far_host,
    )
    return setup._replace(
        serve_options=("--admin", f"{setup.address}:{free_port(setup.address)}")
    )


@pytest.fixture(scope="module")
def make_hosts(setup: Setup) -> HostMaker:
    """Run the Pacemaker on this host."""
    return lambda: [Host(setup.address)]


@pytest.fixture(autouse=True)
def ours_only(kind: Kind) -> None:
    """Only our Pacemaker has a history."""
    if kind is not Kind.OURS:
        pytest.skip("the JVM's Pacemaker has no history")


def why(cluster: Cluster, topology_id: str = "") -> dict[str, dict[str, Any]]:
    """Ask the command about a topology; return what it says by worker."""
    port = cluster.setup.relay_admin_port
    relays = [f"{relay.address[0]}:{port}" for relay in cluster.relays.values()]
    places = [cluster.setup.serve_options[-1], *relays]
    options = [option for place in places for option in ("--admin", place)]
    done = cluster.commands.run(
        "why", "--json", *options, topology_id or cluster.topology_id
    )
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
    cluster: Cluster, worker: str, verdict: str, since_s: float, or_else: str = ""
) -> dict[str, Any]:
    """Wait until a verdict is among those of a worker; return what is said of it."""

    def is_told() -> dict[str, Any] | None:
        cluster.supervise_nimbus()
        told = why(cluster)[worker]
        assert {verdict, or_else} & set(verdicts(told, since_s)), told
        return told

    return wait_until(f"the verdict {verdict}", is_told, UP_TIMEOUT_S)


def workers_of(cluster: Cluster, supervisor: int) -> set[str]:
    """Return the workers of a supervisor."""
    slots, ports = cluster.placement().slots, cluster.ports_of_supervisor(supervisor)
    return {slot.worker for slot in slots.values() if slot.port in ports}


@pytest.fixture
def spread(cluster: Cluster) -> Cluster:
    """Give the cluster with a worker on each host, whatever has moved before."""
    if not all(workers_of(cluster, number) for number in range(SUPERVISORS)):
        cluster.operator.rebalance("words", WORKERS)
        wait_until(
            "a worker on each host",
            lambda: all(workers_of(cluster, each) for each in range(SUPERVISORS)),
            UP_TIMEOUT_S,
        )
        cluster.settle()
    return cluster


@pytest.fixture
def victim(cluster: Cluster) -> tuple[str, int]:
    """Choose a worker that has run for a while: its name, and its process.

    The test before may have ended it, and its successor takes long to start.
    """

    def chosen() -> tuple[str, int]:
        cluster.supervise_nimbus()
        placement = cluster.placement()
        slots = placement.slots
        slot = min(slots.values(), key=lambda slot: slot.port)
        assert slot.port in placement.pids, placement
        pid = placement.pids[slot.port]
        known_s = cluster.operator.uptimes_s(cluster.topology_id)
        uptimes_s = [
            known_s.get(name, 0) for name, each in slots.items() if each == slot
        ]
        # An uptime that is longer than the process exists is that of the one before.
        assert RUN_IN_S <= min(uptimes_s) <= max(uptimes_s) <= processes.age_s(pid) + 1
        return slot.worker, pid

    return wait_until("a worker that has run for a while", chosen, UP_TIMEOUT_S)


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
    """SIGSTOP: the same connection goes on; after 30 s the supervisor kills it."""
    worker, pid = victim
    began_s = time.time()
    with _stopped(pid):
        time.sleep(SHORT_PAUSE_S)
        told = wait_for(cluster, worker, "paused", began_s)
        assert told["findings"][0]["to"] is None
        time.sleep(pause_s - SHORT_PAUSE_S)
    if pause_s == SHORT_PAUSE_S:
        wait_until(
            "the end of the pause",
            lambda: why(cluster)[worker]["findings"][0]["to"],
            UP_TIMEOUT_S,
        )
    expected = {"paused", "network"} | (
        {"killed"} if pause_s > SHORT_PAUSE_S else set()
    )
    assert verdicts(why(cluster)[worker], began_s)[0] in expected


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
def test_worker_that_is_terminated(
    cluster: Cluster, victim: tuple[str, int], site: Site
) -> None:
    """SIGTERM: it deletes its key as it ends, and has reported no error."""
    worker, pid = victim
    began_s = time.time()
    os.kill(pid, signal.SIGTERM)
    # A worker of 1.x gives itself one second for that, which may not be enough.
    or_else = "stopped" if site.release.startswith("1.") else ""
    told = wait_for(cluster, worker, "ended itself", began_s, or_else)
    newest = told["findings"][0]
    if newest["verdict"] == "ended itself":
        assert "no error was reported" in " ".join(newest["reasons"])


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
    for worker in cluster.placement().workers:
        # It reads again only some seconds later.
        wait_until(
            "the end of the time without a read",
            lambda name=worker: _ended(cluster, name, "not read by Nimbus", began_s),  # type: ignore[misc]
            UP_TIMEOUT_S,
        )


def _ended(cluster: Cluster, worker: str, verdict: str, since_s: float) -> bool:
    """Tell whether the newest finding of a worker is this one, and is over."""
    cluster.supervise_nimbus()
    told = why(cluster)[worker]
    newest = told["findings"][0]
    return verdicts(told, since_s)[:1] == [verdict] and newest["to"] is not None


@only_with_all
def test_supervisor_that_is_killed(spread: Cluster) -> None:
    """Its workers go on, and ZooKeeper misses it."""
    began_s = time.time()
    here = workers_of(spread, 0)
    supervisor = spread.supervisors[0]
    supervisor.signal(signal.SIGKILL)
    supervisor.wait()
    for worker in here:
        wait_for(spread, worker, "supervisor gone", began_s)


@only_with_all
def test_host_that_is_cut_off(spread: Cluster, far_host: Namespace | None) -> None:
    """Its connections stay open and silent, and its supervisor is gone."""
    if far_host is None:
        pytest.skip("cutting off a host needs network namespaces, and so root")
    began_s = time.time()
    here = workers_of(spread, SUPERVISORS - 1)
    far_host.cut_off()
    try:
        for worker in here:
            wait_for(spread, worker, "whole host", began_s)
    finally:
        far_host.mend()


@only_with_all
def test_two_supervisors_with_one_id(
    spread: Cluster, far_host: Namespace | None
) -> None:
    """A copied `storm.local.dir`: two hosts write the same keys."""
    if far_host is None:
        pytest.skip("a second host needs network namespaces, and so root")
    began_s = time.time()
    here = workers_of(spread, 0)
    with spread.copied_supervisor():
        for worker in here:
            wait_for(spread, worker, "two writers", began_s)


@contextlib.contextmanager
def _another(cluster: Cluster, name: str, topology_id: str) -> Iterator[set[str]]:
    """Give the workers of another topology once all is well with them; end it."""

    def are_well() -> set[str]:
        told = why(cluster, topology_id)
        # A worker that started too slowly, on a busy machine, has been moved.
        assignment = cluster.operator.assignment(topology_id)
        workers = {slot.worker for slot in assignment.values()}
        assert workers
        assert workers <= told.keys()
        for worker in workers:
            # A heartbeat may have been late there, which is over.
            assert all(
                finding["verdict"] == "well" or finding["to"]
                for finding in told[worker]["findings"]
            ), told
        return workers

    try:
        yield wait_until(f"workers of {name} that are well", are_well, UP_TIMEOUT_S)
    finally:
        if name in cluster.operator.topology_ids():
            cluster.operator.kill(name)


@only_with_all
def test_worker_that_throws(cluster: Cluster) -> None:
    """It reports its error, deletes its key, and is started again."""
    file = cluster.folder / "throw"
    topology_id = cluster.submit_by(
        "throwing", lambda: cluster.operator.submit_throwing("throwing", file)
    )
    with _another(cluster, "throwing", topology_id) as workers:
        (worker,) = workers
        file.touch()

        def is_told() -> None:
            told = why(cluster, topology_id)[worker]
            assert any(
                finding["verdict"] == "ended itself"
                and "thrown on purpose" in " ".join(finding["reasons"])
                for finding in told["findings"]
            ), told

        _wait_for_no_error("the verdict ended itself", is_told)


@only_with_all
def test_rebalance(cluster: Cluster) -> None:
    """Each worker deletes its key, and its slot is another's or nobody's."""
    topology_id = cluster.submit_another("moving", 2)
    with _another(cluster, "moving", topology_id) as workers:
        began_s = time.time()
        cluster.operator.rebalance("moving", 1)

        def is_told() -> None:
            told = why(cluster, topology_id)
            for worker in workers:
                assert "stopped" in verdicts(told[worker], began_s), told

        _wait_for_no_error("the verdict stopped", is_told)


@only_with_all
def test_topology_that_is_killed(cluster: Cluster) -> None:
    """Nimbus deletes all of its keys, or ZooKeeper has forgotten it."""
    topology_id = cluster.submit_another("short-lived", 1)
    with _another(cluster, "short-lived", topology_id):
        cluster.operator.kill("short-lived")

        def is_told() -> None:
            told = why(cluster, topology_id)
            assert {each["verdict"] for each in told.values()} == {"topology killed"}

        _wait_for_no_error("the verdict topology killed", is_told)


def _wait_for_no_error(what: str, check: Callable[[], None]) -> None:
    def holds() -> bool:
        check()
        return True

    wait_until(what, holds, UP_TIMEOUT_S)
