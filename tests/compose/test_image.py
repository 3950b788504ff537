"""This daemon's image: its user, what it can do, and how it stops."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pacemaker import __version__
from tests.cluster.waiting import wait_until
from tests.compose.engine import COMPOSE_FILE, docker
from tests.compose.images import KERBEROS_IMAGE, PYTHON_IMAGE, need_images

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
MAX_ADDED_BYTES = 60_000_000
"""What the image may have beside its base: a virtual environment."""

Start = Callable[..., str]
StartWith = Callable[[Sequence[str], Sequence[str]], str]


@pytest.fixture
def start_with(own_image: str) -> Iterator[StartWith]:
    """Give what starts a container of the image; all are removed at the end."""
    with ExitStack() as started:

        def run(options: Sequence[str], command: Sequence[str]) -> str:
            container = docker("run", "--detach", *options, own_image, *command).strip()
            started.callback(docker, "rm", "--force", "--volumes", container)
            return container

        yield run


@pytest.fixture
def start(start_with: StartWith) -> Start:
    """Give what starts a container with the image's own command."""
    return lambda *options: start_with(options, ())


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
    assert sizes[0] - sizes[1] <= MAX_ADDED_BYTES


def test_says_what_it_is(own_image: str) -> None:
    """Its labels have the names that registries and scanners of images read."""
    prefix = "org.opencontainers.image."
    labels = _inspect(own_image)["Config"]["Labels"]
    assert labels[prefix + "title"] == "storm-pacemaker-py"
    assert labels[prefix + "version"] == __version__
    assert labels[prefix + "licenses"] == "Apache-2.0"
    assert labels[prefix + "base.name"] == PYTHON_IMAGE


def test_a_relay_is_asked_for_its_health_too(start_with: StartWith) -> None:
    """The check of the image needs no other variable for a relay than for `serve`."""
    container = start_with([*LOCKED, *QUICK_HEALTH], ["relay", "--to=192.0.2.1"])
    wait_until("health", lambda: _health(container) == "healthy", HEALTH_TIMEOUT_S)


@pytest.mark.timeout(1200)
def test_the_variant_with_kerberos_has_its_packages(engine: None) -> None:
    """It is built by one argument, loads what it compiled, and stays small."""
    need_images(PYTHON_IMAGE)
    extras = "EXTRAS=metrics,kerberos"
    docker(
        *("build", f"--tag={KERBEROS_IMAGE}", f"--build-arg={extras}"),
        str(COMPOSE_FILE.parent),
        timeout_s=1200,
    )
    python = "import gssapi, kerberos, prometheus_client"
    docker("run", "--rm", *LOCKED, "--entrypoint=python", KERBEROS_IMAGE, "-c", python)
    sizes = [_inspect(name)["Size"] for name in (KERBEROS_IMAGE, PYTHON_IMAGE)]
    assert sizes[0] - sizes[1] <= MAX_ADDED_BYTES
