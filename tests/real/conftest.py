"""What all tests against real parts share."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.daemons import Daemon
from tests.real.jvm import missing
from tests.real.realm import Realm, running_realm
from tests.real.zookeeper import ZooKeeper


def _children() -> list[str]:
    tasks = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return [pid for task in tasks for pid in task.read_text().split()]


@pytest.fixture(scope="session", autouse=True)
def _no_process_left() -> Iterator[None]:
    """Fail the run where a child process of a test still lives at its end."""
    before = _children()
    yield
    left = set(_children()) - set(before)
    assert not left, f"processes left behind: {sorted(left)}"


@pytest.fixture(scope="module", params=["1", "4"], ids=["1-thread", "4-threads"])
def daemon(request: pytest.FixtureRequest) -> Iterator[Daemon]:
    """Start our daemon, one for all tests of a module: with one I/O thread, with 4."""
    with Daemon("--io-threads", request.param) as started:
        yield started


@pytest.fixture(scope="session")
def zookeeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZooKeeper]:
    """Start a ZooKeeper, one for all tests that do not stop it."""
    with ZooKeeper(tmp_path_factory.mktemp("zookeeper")) as started:
        yield started


@pytest.fixture(scope="module")
def realm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Realm]:
    """Start the realms, known to every process that is started from here on."""
    if importlib.util.find_spec("gssapi") is None:
        missing("the extra kerberos is not installed")
    with (
        running_realm(tmp_path_factory.mktemp("realm")) as realm,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("JAVA_TOOL_OPTIONS", realm.java_options)
        yield realm
