"""What all tests against real parts share."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.real import attacked
from tests.real.daemons import Daemon
from tests.real.jvm import RELEASES, missing
from tests.real.realm import Realm, running_realm
from tests.real.zookeeper import ZooKeeper


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of `make isolation CLIENTS=1`."""
    group = parser.getgroup("attacks")
    group.addoption(
        "--attack",
        action="append",
        choices=[attacked.EACH, *attacked.NAMES],
        metavar="NAME",
        help="attack each daemon that a test of tests/real starts, by NAME or by each "
        "attack in turn: " + ", ".join(attacked.NAMES),
    )
    group.addoption(
        "--attack-report",
        type=Path,
        metavar="FILE",
        help="add the outcome of each test to FILE, a line of JSON each",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once for each attack that was asked for."""
    if names := attacked.chosen(metafunc.config.getoption("attack", None) or ()):
        metafunc.parametrize("attack", names, indirect=True, scope="module")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write the outcome of a test under attack to the report, if there is one."""
    report = yield
    file = item.config.getoption("attack_report", None)
    if file and isinstance(item, pytest.Function) and hasattr(item, "callspec"):
        params = item.callspec.params
        name = f"{item.path.stem}::{item.name}"
        release = next((each for each in RELEASES if each in params.values()), "")
        failure = str(report.longrepr)[-2000:] if report.failed else ""
        if failure or (report.when == "call" and report.passed):
            under = str(params["attack"])
            attacked.record_test(file, under, name, release, failure)
    return report


@pytest.fixture(scope="module", autouse=True)
def attack(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """Have each daemon of the module attacked, if `--attack` was given.

    Fixtures of modules that start a daemon name this one, so that each attack has a
    daemon of its own.
    """
    name = getattr(request, "param", None)
    with attacked.by(name):
        yield name
    file = request.config.getoption("attack_report", None)
    if file and name:
        attacked.record_attack(file, name)


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
def daemon(request: pytest.FixtureRequest, attack: str | None) -> Iterator[Daemon]:
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
