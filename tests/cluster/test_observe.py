"""What `top` shows of a real cluster is what Storm's own pages show."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from typing import Any, Final

import pytest

from pacemaker.cli.output import exit_codes
from pacemaker.observe.decoding.executor_figures import WINDOWS
from tests.cluster.cluster import ROUND_S, UP_TIMEOUT_S, Cluster, Setup
from tests.cluster.conftest import HostMaker, one_start_at_a_time
from tests.cluster.hosts import Host
from tests.cluster.pacemakers import Kind
from tests.cluster.releases import NEWEST_ALONE
from tests.cluster.waiting import wait_until

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(1800),
    pytest.mark.parametrize("release", NEWEST_ALONE, scope="module"),
]

COUNTS: Final = ("emitted", "transferred", "acked", "failed")
WORKERS: Final = 2
BUSY_FOR_S: Final = 45


@pytest.fixture(scope="module")
def make_hosts() -> HostMaker:
    """Run the Pacemaker on this host."""
    return lambda: [Host()]


@pytest.fixture(scope="module")
def setup(release: str, kind: Kind) -> Setup:
    """Give workers time to start: here none is killed because it is slow."""
    settings = {
        "nimbus.task.launch.secs": 240,
        "supervisor.worker.start.timeout.secs": 240,
    }
    return Setup(release, WORKERS, kind, settings)


@pytest.fixture(scope="module")
def running(setup: Setup, make_hosts: HostMaker) -> Iterator[Cluster]:
    """Give a cluster without the topology of the other scenarios."""
    with contextlib.ExitStack() as parts:
        with one_start_at_a_time():
            started = parts.enter_context(Cluster(setup, make_hosts()))
        yield started


@pytest.fixture(scope="module")
def busy(running: Cluster) -> Iterator[str]:
    """Give the id of the topology of Busy.java, once it has done some work."""

    def submitted() -> str | None:
        running.supervise_nimbus()
        if "busy" not in running.operator.topology_ids():
            running.operator.submit_busy("busy", WORKERS)
        return running.operator.topology_ids().get("busy")

    topology_id = wait_until("the topology busy", submitted, UP_TIMEOUT_S)
    wait_until(
        "acks in every component",
        lambda: _has_worked(running, topology_id),
        UP_TIMEOUT_S,
    )
    time.sleep(BUSY_FOR_S)
    yield topology_id
    running.operator.kill("busy")


def _has_worked(cluster: Cluster, topology_id: str) -> bool:
    components = cluster.operator.page(topology_id, "600")["components"]
    return len(components) == 4 and all(c["acked"] for c in components.values())


def top(cluster: Cluster, *options: str) -> dict[str, Any]:
    """Return what `top --json` prints."""
    done = cluster.commands.run("top", "--json", *options)
    assert done.returncode == exit_codes.OK, done
    shown: dict[str, Any] = json.loads(done.stdout)
    return shown


def topology(shown: dict[str, Any], topology_id: str) -> dict[str, Any]:
    """Return one topology of it."""
    found: dict[str, Any] = next(
        t for t in shown["topologies"] if t["id"] == topology_id
    )
    return found


@contextlib.contextmanager
def stopped_workers(cluster: Cluster, topology_id: str) -> Iterator[None]:
    """Stop the workers of a topology, so that their heartbeats stay as they are."""
    pids = list(running_pids(cluster, topology_id).values())
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        # Heartbeats that were on their way are stored, and 1.x has read them.
        time.sleep(1 + (2 * ROUND_S if cluster.is_1x else 0))
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def running_pids(cluster: Cluster, topology_id: str) -> dict[int, int]:
    """Return the workers' processes once all of them run.

    On a busy machine Storm may just replace one that was too slow.
    """

    def look() -> dict[int, int] | None:
        pids = pids_of(cluster, topology_id)
        return pids if len(pids) == WORKERS else None

    return wait_until("all workers", look, UP_TIMEOUT_S)


def pids_of(cluster: Cluster, topology_id: str) -> dict[int, int]:
    """Return the processes of a topology's workers by their ports."""
    own, cluster.topology_id = cluster.topology_id, topology_id
    try:
        return cluster.worker_pids()
    finally:
        cluster.topology_id = own


def test_every_figure_is_that_of_storms_page(running: Cluster, busy: str) -> None:
    """Topology and components, in all four windows, to within Storm's rounding."""
    with stopped_workers(running, busy):
        pages = {window: running.operator.page(busy, window) for window in WINDOWS}
        shown = topology(top(running), busy)
        again = {window: running.operator.page(busy, window) for window in WINDOWS}
    assert pages == again, "Storm's pages changed meanwhile"
    assert pages["600"]["acked"]["600"] > 0
    assert pages["600"]["failed"]["600"] > 0
    for window, page in pages.items():
        _compare_topology(shown, page, window)
        _compare_components(shown, page, window, is_1x=running.is_1x)


def _compare_topology(shown: dict[str, Any], page: dict[str, Any], window: str) -> None:
    figures = shown["windows"][window]
    for name in COUNTS:
        assert figures[name] == page[name][window], (window, name)
    ours, storms = figures["complete_latency_ms"], page["complete_latency_ms"][window]
    assert ours == pytest.approx(storms, abs=0.001), window
    assert (shown["status"], shown["workers_expected"]) == ("ACTIVE", WORKERS)
    assert page["workers"] == WORKERS
    assert shown["executors_expected"] == page["executors"]


def _compare_components(
    shown: dict[str, Any], page: dict[str, Any], window: str, *, is_1x: bool
) -> None:
    components = {c["name"]: c for c in shown["components"] if not c["is_system"]}
    assert components.keys() == page["components"].keys()
    for name, storms in page["components"].items():
        ours = components[name]
        assert not ours["name_is_guess"]
        assert (ours["executors"], ours["tasks"]) == (
            storms["executors"],
            storms["tasks"],
        )
        figures = ours["windows"][window]
        for figure in COUNTS:
            assert figures[figure] == storms[figure], (window, name, figure)
        _compare_latencies(ours, figures, storms, is_1x=is_1x)
        if "error" in storms:
            assert ours["last_error"]["error"].split("\n")[0] in storms["error"]
            assert ours["last_error"]["host"] == storms["error_host"]


def _compare_latencies(
    ours: dict[str, Any],
    figures: dict[str, Any],
    storms: dict[str, Any],
    *,
    is_1x: bool,
) -> None:
    if "executed" not in storms:
        exact = pytest.approx(storms["complete_latency_ms"], abs=0.001)
        assert (figures["complete_latency_ms"] or 0.0) == exact
        return
    assert figures["executed"] == storms["executed"]
    # 2.x cuts the total of each executor and source to whole milliseconds.
    cut_ms = (
        0.001 if is_1x else (2 * storms["executors"] + 1) / max(1, storms["executed"])
    )
    for figure in ("execute_latency_ms", "process_latency_ms"):
        assert figures[figure] == pytest.approx(storms[figure], abs=cut_ms), figure
    assert ours["capacity"] == pytest.approx(storms["capacity"], abs=0.001)


def test_hosts_are_those_of_storm(running: Cluster, busy: str) -> None:
    """Workers are called by the host that the supervisor has given."""
    ports = set(running_pids(running, busy))
    shown = topology(top(running), busy)
    workers = [each for each in shown["workers"] if each["state"] == "ok"]
    assert {worker["host"] for worker in workers} == {"127.0.0.1"}
    assert {worker["port"] for worker in workers} == ports


def test_names_are_guessed_well_without_zookeeper(running: Cluster, busy: str) -> None:
    """Every component that acks or is a source has its name, marked as a guess."""
    shown = topology(top(running, "--no-zookeeper"), busy)
    names = {component["name"] for component in shown["components"]}
    assert {"numbers", "odd", "even bolt/1", "Sink", "__acker"} <= names
    assert all(component["name_is_guess"] for component in shown["components"])


def test_doctor_finds_nothing_wrong_with_a_sound_cluster(
    running: Cluster, busy: str
) -> None:
    """The files of all its hosts, its Pacemaker, its ZooKeeper and this machine.

    Nimbus has made the node of a topology in ZooKeeper, which is no leftover.

    It is sound but for one thing: its hosts are one, which they call localhost.
    """
    files = sorted(running.folder.glob("*/conf/storm.yaml"))
    assert len(files) > 1
    assert busy in running.operator.topology_ids().values()
    found = running.commands.doctor(*files)
    assert {each["check"] for each in found} == {"localhost"}, found
    assert {each["file"] for each in found} == set(map(str, files)), found


def test_a_killed_worker_is_shown_at_once(running: Cluster, busy: str) -> None:
    """The first line names it; then its restart, or its move, is shown."""
    from pacemaker.cli.options.targets import Target
    from pacemaker.observe.observer import Observer
    from pacemaker.observe.views.troubles import sentence

    config = str(running.folder / "nimbus" / "conf" / "storm.yaml")
    settings = Target(config, (), "error", None, 5.0).settings()
    with Observer(settings, 5.0) as observer:
        observer.start()
        wait_until(
            "a view without trouble of the topology",
            lambda: _is_well(observer.view(), busy),
            UP_TIMEOUT_S,
        )
        port, pid = next(iter(running_pids(running, busy).items()))
        os.kill(pid, signal.SIGKILL)
        wait_until(
            "the first line to name the worker",
            lambda: f"busy: worker 127.0.0.1:{port}" in sentence(observer.view()),
            UP_TIMEOUT_S,
        )
        wait_until(
            "the restart, or the move to another slot, to be shown",
            lambda: any(
                each.kind in ("restarted", "moved") and each.topology_id == busy
                for each in observer.view().troubles
            ),
            UP_TIMEOUT_S,
        )


def _is_well(view: Any, topology_id: str) -> bool:
    bad = ("late", "missing", "restarted", "starting")
    shown = view.topology(topology_id)
    return (
        shown is not None
        and shown.workers_present == WORKERS
        and not any(
            each.kind in bad and each.topology_id == topology_id
            for each in view.troubles
        )
    )
