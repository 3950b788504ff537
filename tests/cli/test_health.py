"""`health`: which endpoint it asks, and its output and exit codes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pacemaker.admin import client
from pacemaker.admin.address import AdminAddress
from pacemaker.admin.client import FetchedPage
from pacemaker.cli.output import exit_codes
from pacemaker.errors import AdminError
from pacemaker.server import status_client
from pacemaker.server.process import local_socket
from tests.cli.conftest import Run
from tests.real.daemons import Daemon
from tests.real.jvm import ROOT

DOCKERFILE = ROOT / "Dockerfile"


class Endpoint:
    """Stands in for a daemon's endpoint."""

    def __init__(self) -> None:
        self.answer = FetchedPage(200, "[+]serving ok: on [::]:6699\nok\n")
        self.is_there = True
        self.asked: list[tuple[str, str, float]] = []

    def ask(self, address: AdminAddress, target: str, timeout_s: float) -> FetchedPage:
        """Take the place of `ask`."""
        self.asked.append((str(address), target, timeout_s))
        if not self.is_there:
            raise AdminError(str(address), "Connection refused")
        return self.answer


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    """Put a stand-in in the place of the endpoint."""
    endpoint = Endpoint()
    monkeypatch.setattr(client, "fetch_page", endpoint.ask)
    return endpoint


def test_health_prints_every_check(run: Run, endpoint: Endpoint) -> None:
    """As the daemon says them."""
    result = run("health", "--admin", "127.0.0.1:6698")
    assert (result.exit_code, result.stdout) == (exit_codes.OK, endpoint.answer.text)
    assert endpoint.asked == [("127.0.0.1:6698", "/readyz?verbose", 4.0)]


def test_health_of_a_daemon_that_is_not_well(run: Run, endpoint: Endpoint) -> None:
    """The exit code says no; controls of a terminal are escaped."""
    endpoint.answer = FetchedPage(503, "[-]io-0 failed: \x1b[0m\nfailed\n")
    result = run("health", "--admin", "unix:/run/pm", "--live", "--timeout", "1")
    assert result.exit_code == exit_codes.NO
    assert result.stdout == "[-]io-0 failed: \\x1b[0m\nfailed\n"
    assert endpoint.asked == [("unix:/run/pm", "/livez?verbose", 1.0)]


def test_health_without_an_answer(run: Run, endpoint: Endpoint) -> None:
    """Which endpoint, why, and what to look at."""
    endpoint.is_there = False
    result = run("health", "--admin", "127.0.0.1:6698")
    assert result.exit_code == exit_codes.NO_ANSWER
    assert "127.0.0.1:6698 (Connection refused)" in result.stderr


@pytest.fixture
def status(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Put a stand-in in the place of the only daemon; return what it says of itself."""
    says: dict[str, object] = {"address": "[::]:6699", "admin": "127.0.0.1:7000"}
    monkeypatch.setattr(local_socket, "running_daemons", lambda _: [5])
    monkeypatch.setattr(status_client, "ask", lambda pid, timeout_s: says)
    return says


def test_health_asks_the_daemon_where_its_endpoint_is(
    run: Run,
    endpoint: Endpoint,
    status: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the environment says: the command line of the daemon wins over it."""
    monkeypatch.setenv("STORM_PACEMAKER_ADMIN", "127.0.0.1:6698")
    assert run("health").exit_code == exit_codes.OK
    status["admin"] = "unix:/run/pm"
    assert run("health").exit_code == exit_codes.OK
    assert [asked[0] for asked in endpoint.asked] == ["127.0.0.1:7000", "unix:/run/pm"]


def test_health_of_a_daemon_without_an_endpoint(
    run: Run, endpoint: Endpoint, status: dict[str, object]
) -> None:
    """It answers, so it serves."""
    status["admin"] = None
    result = run("health")
    assert result.exit_code == exit_codes.OK
    assert result.stdout == "[+]serving ok: on [::]:6699; no admin endpoint\n"
    assert endpoint.asked == []


def test_health_of_an_endpoint_or_of_a_process(run: Run, endpoint: Endpoint) -> None:
    """Both may be different daemons."""
    result = run("health", "--admin", "127.0.0.1:6698", "5")
    assert result.exit_code == exit_codes.USAGE
    assert "not both" in result.stderr


@pytest.mark.io
@pytest.mark.parametrize("options", [(), ("--admin", "127.0.0.1:0")])
def test_check_of_the_image_needs_no_storm_yaml(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    """A plain "=" is a string for Storm and no YAML for others; nobody logs in.

    Neither the port, nor what the command line says, is known to the check.
    """
    jaas, yaml = tmp_path / "jaas", tmp_path / "storm.yaml"
    jaas.write_text('PacemakerDigest { username="u" password="p"; };')
    yaml.write_text(
        "ui.filter: =\npacemaker.auth.method: DIGEST\n"
        f"java.security.auth.login.config: {jaas}\n"
    )
    check = re.search(r"HEALTHCHECK .*?CMD (\[.*?\])", DOCKERFILE.read_text(), re.S)
    assert check is not None
    _, *command = json.loads(check[1])
    with Daemon("--config", str(yaml), *options) as daemon:
        argv = [sys.executable, "-m", "pacemaker", *command, str(daemon.pid)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == exit_codes.OK, done.stderr
    assert f"[+]serving ok: on 127.0.0.1:{daemon.address[1]}" in done.stdout


def test_health_without_a_daemon(
    run: Run, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has answered."""
    monkeypatch.setattr(local_socket, "running_daemons", lambda _: [])
    result = run("health")
    assert result.exit_code == exit_codes.NO_ANSWER
    assert "no storm-pacemaker-py serves on this host" in result.stderr


def test_address_that_is_none_is_refused(run: Run, endpoint: Endpoint) -> None:
    """With what is allowed."""
    result = run("health", "--admin", "6698")
    assert result.exit_code == exit_codes.USAGE
    assert "ADDRESS:PORT" in result.stderr
    assert endpoint.asked == []
