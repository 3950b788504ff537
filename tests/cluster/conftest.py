"""What the scenarios share: a cluster for a module, and its logs where a test fails."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator

import pytest

from tests.cluster.cluster import Cluster, Setup
from tests.cluster.hosts import Host
from tests.cluster.observation import Outcome
from tests.cluster.pacemakers import Kind
from tests.cluster.results import Case, record
from tests.real.jvm import ROOT

SHOWN_LINES = 30
KEPT_LOGS = ROOT / "build" / "cluster-logs"

Record = Callable[[str, Outcome], None]
HostMaker = Callable[[], list[Host]]


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the mark in the same hook
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Let what shares a cluster run in one process, in order, with pytest-xdist."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        if isinstance(item, pytest.Function) and "cluster" in item.keywords:
            release = item.callspec.params["release"]
            item.add_marker(pytest.mark.xdist_group(f"{item.path.stem}-{release}"))


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
    """Start a cluster, and take it down whatever happens."""
    with Cluster(setup, make_hosts()) as started:
        try:
            started.submit()
        except BaseException:
            started.keep_logs(KEPT_LOGS / f"start-{setup.release}")
            raise
        yield started


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
