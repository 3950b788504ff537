"""What the scenarios share: images, a cluster, and its logs if a test fails."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator, Mapping

import pytest

from tests.compose.composed import Composed
from tests.compose.engine import COMPOSE_FILE, docker, need_engine
from tests.compose.images import (
    JAVA_IMAGE,
    OWN_IMAGE,
    PYTHON_IMAGE,
    STORM_IMAGE,
    ZOOKEEPER_IMAGE,
    need_images,
)

SHOWN_LINES = 30
STAGE_LABEL = "storm-pacemaker-py.stage"


@pytest.fixture(scope="session")
def engine() -> Iterator[None]:
    """Need a container engine; leave no nameless image behind."""
    need_engine()
    # Asked to end, pytest takes down what it has started, as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    docker("image", "prune", "--force", f"--filter=label={STAGE_LABEL}")


@pytest.fixture(scope="session")
def own_image(engine: None) -> str:
    """Build this daemon's image from the tree, as its users do."""
    need_images(PYTHON_IMAGE)
    docker("build", f"--tag={OWN_IMAGE}", str(COMPOSE_FILE.parent))
    return OWN_IMAGE


@pytest.fixture(scope="module")
def settings() -> Mapping[str, object]:
    """Say what a module's cluster has in its storm.yaml beside the compose file's."""
    return {}


@pytest.fixture(scope="module")
def composed(own_image: str, settings: Mapping[str, object]) -> Iterator[Composed]:
    """Start the cluster of the compose file, and take it down whatever happens."""
    need_images(JAVA_IMAGE, STORM_IMAGE, ZOOKEEPER_IMAGE)
    started = Composed(f"pacemaker-test-{os.getpid()}", settings)
    yield started
    started.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep the logs of all parts where a test failed, and show their last lines."""
    report = yield
    composed = getattr(item, "funcargs", {}).get("composed")
    if report.failed and isinstance(composed, Composed):
        for name, lines in composed.output().items():
            report.sections.append((name, "\n".join(lines[-SHOWN_LINES:])))
        report.sections.append(("all logs", str(composed.keep_logs(item.name))))
    return report
