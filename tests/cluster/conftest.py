"""What the scenarios share: a cluster per module, and its logs if a test fails."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from benchmarks.jars import ROOT, cache_dir
from tests.cluster import outages
from tests.cluster.cluster import Cluster, Setup
from tests.cluster.hosts import Host
from tests.cluster.observation import Outcome
from tests.cluster.pacemakers import Kind
from tests.cluster.results import Case, record, write_table

SHOWN_LINES = 30
KEPT_LOGS = ROOT / "build" / "cluster-logs"

Record = Callable[[str, Outcome], None]
HostMaker = Callable[[], list[Host]]


class ByCluster(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives the tests that share a cluster to one process, in order."""

    def _split_scope(self, nodeid: str) -> str:
        module, _, test = nodeid.partition("::")
        # The last of a test's parameters says which cluster it needs.
        return f"{module}-{test.rpartition('-')[2].rpartition('[')[2]}"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(
    config: pytest.Config, log: Producer
) -> LoadScopeScheduling:
    """Let clusters run side by side, with pytest-xdist."""
    return ByCluster(config, log)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Add the tries to the tables, where that was asked for.

    Those of a run that was interrupted are kept for the one that goes on with it.
    """
    is_over = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    is_worker = hasattr(session.config, "workerinput")
    if os.environ.get("TABLES") == "1" and is_over and not is_worker:
        write_table()
        outages.write_tables()


@pytest.fixture(scope="session")
def kind() -> Kind:
    """Whose Pacemakers the clusters have: ours, but for `make cluster-compare`."""
    return Kind.JVM if os.environ.get("CLUSTER_PACEMAKER") == "jvm" else Kind.OURS


@pytest.fixture(scope="module")
def setup(release: str, kind: Kind) -> Setup:
    """Say what kind of cluster a module has; some say it otherwise."""
    return Setup(release, kind=kind)


@pytest.fixture(scope="module")
def running(setup: Setup, make_hosts: HostMaker) -> Iterator[Cluster]:
    """Give a module its cluster."""
    with settled_cluster(setup, make_hosts()) as cluster:
        yield cluster


@contextlib.contextmanager
def settled_cluster(setup: Setup, hosts: Sequence[Host]) -> Iterator[Cluster]:
    """Start a cluster with its topology, and take it down whatever happens."""
    with ExitStack() as parts:
        with one_start_at_a_time():
            started = parts.enter_context(Cluster(setup, hosts))
            try:
                started.submit()
            except BaseException:
                started.keep_logs(KEPT_LOGS / f"start-{setup.release}")
                raise
        yield started


@contextlib.contextmanager
def one_start_at_a_time() -> Iterator[None]:
    """Let no two clusters of this machine start at the same time.

    With `nimbus.task.launch.secs` at 10, workers that start slowly are assigned
    anew, and start again, all the slower.
    """
    with (cache_dir() / "cluster.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def cluster(running: Cluster) -> Cluster:
    """Give the module's cluster, with nothing missing and all executors old enough."""
    running.repair()
    return running


@pytest.fixture
def recording(setup: Setup) -> Record:
    """Give what notes the figures of a scenario."""

    def note(scenario: str, outcome: Outcome) -> None:
        record(Case(scenario, setup.release, setup.kind.value), outcome)

    return note


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep the logs of all parts where a test failed, and show their last lines."""
    report = yield
    cluster = getattr(item, "funcargs", {}).get("running")
    if report.failed and isinstance(cluster, Cluster):
        folder = KEPT_LOGS / item.name
        cluster.keep_logs(folder)
        report.sections.append(("all logs", str(folder.relative_to(ROOT))))
        for name, lines in cluster.output().items():
            report.sections.append((name, "\n".join(lines[-SHOWN_LINES:])))
    return report
