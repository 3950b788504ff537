"""This daemon's image, by itself: who runs in it, what it can do, how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.waiting import wait_until
from tests.compose.engine import docker
from tests.compose.images import PYTHON_IMAGE

pytestmark = pytest.mark.compose

LOCKED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges:true")
"""How the compose file runs it."""

QUICK_HEALTH = (
    "--health-interval=1s",
    "--health-timeout=5s",
    "--health-retries=2",
    "--health-start-period=0s",
)

HEALTH_TIMEOUT_S = 60
STOP_TIMEOUT_S = 10
ADDED_MIB = 64
"""What the image may have beside its base: a virtual environment."""

Start = Callable[..., str]


@pytest.fixture
def start(own_image: str) -> Iterator[Start]:
    """Give what starts a container of the image; all are removed at the end."""
    with ExitStack() as started:

        def run(*options: str) -> str:
            container = docker("run", "--detach", *options, own_image).strip()
            started.callback(docker, "rm", "--force", "--volumes", container)
            return container

        yield run


def _inspect(name: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(docker("inspect", name))
    return found[0]


def _health(container: str) -> str:
    health: str = _inspect(container)["State"]["Health"]["Status"]
    return health


def test_serves_locked_down_and_not_as_root(start: Start) -> None:
    """With a read-only root and no capability it serves, as another user than root."""
    container = start(*LOCKED, *QUICK_HEALTH)
    wait_until("health", lambda: _health(container) == "healthy", HEALTH_TIMEOUT_S)
    owner = docker("top", container, "-eo", "uid,pid").split()[2]
    assert owner == "10001"


def test_health_is_that_of_the_port_in_any_storm_yaml(
    start: Start, tmp_path: Path
) -> None:
    """The check reads storm.yaml as the daemon does, with what else is in it.

    A plain "=" is a string for Storm, and no YAML for other readers; nobody has to
    log in for the check.
    """
    conf = tmp_path / "storm.yaml"
    jaas = tmp_path / "jaas.conf"
    jaas.write_text(
        "PacemakerDigest { org.apache.storm.security.auth.DigestLoginModule required"
        ' username="nimbus" password="words"; };\n'
    )
    conf.write_text(
        "pacemaker.port: 17320\n"
        "ui.filter: =\n"
        "pacemaker.auth.method: DIGEST\n"
        "java.security.auth.login.config: /conf/jaas.conf\n"
    )
    for path in (tmp_path, conf, jaas):
        path.chmod(0o755)
    container = start(*LOCKED, *QUICK_HEALTH, f"--volume={tmp_path}:/conf:ro")
    wait_until("health", lambda: _health(container) == "healthy", HEALTH_TIMEOUT_S)


def test_becomes_unhealthy_when_it_hangs(start: Start) -> None:
    """A daemon that stands still does not answer, and one that goes on does again."""
    container = start(*QUICK_HEALTH)
    wait_until("health", lambda: _health(container) == "healthy", HEALTH_TIMEOUT_S)
    docker("kill", "--signal=STOP", container)
    wait_until("no health", lambda: _health(container) == "unhealthy", HEALTH_TIMEOUT_S)
    docker("kill", "--signal=CONT", container)
    wait_until("health", lambda: _health(container) == "healthy", HEALTH_TIMEOUT_S)


def test_sigterm_ends_it_in_time(start: Start) -> None:
    """`docker stop` ends it by SIGTERM with exit code 0, long before SIGKILL."""
    container = start(*LOCKED, *QUICK_HEALTH)
    wait_until("health", lambda: _health(container) == "healthy", HEALTH_TIMEOUT_S)
    docker("stop", f"--time={STOP_TIMEOUT_S}", container)
    assert _inspect(container)["State"]["ExitCode"] == 0


def test_reload_upgrades_process_1_in_place(start: Start) -> None:
    """`reload 1` within the container is an upgrade in place of its only process."""
    container = start(*LOCKED, *QUICK_HEALTH)
    wait_until("health", lambda: _health(container) == "healthy", HEALTH_TIMEOUT_S)
    before = _inspect(container)["State"]["StartedAt"]
    docker("exec", container, "storm-pacemaker-py", "reload", "1")
    after = _inspect(container)["State"]
    assert (after["Running"], after["StartedAt"]) == (True, before)


def test_adds_little_to_python_s_image(own_image: str) -> None:
    """It has nothing but the virtual environment beside what Python's image has."""
    sizes = [_inspect(name)["Size"] for name in (own_image, PYTHON_IMAGE)]
    assert sizes[0] - sizes[1] < ADDED_MIB * 2**20
