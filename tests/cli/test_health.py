"""`health`: which endpoint it asks, and its output and exit codes."""

from __future__ import annotations

import pytest

from pacemaker.admin import client
from pacemaker.admin.address import AdminAddress
from pacemaker.admin.client import Answer
from pacemaker.cli import exit_codes
from pacemaker.errors import AdminError
from tests.cli.conftest import Run


class Endpoint:
    """Stands in for a daemon's endpoint."""

    def __init__(self) -> None:
        self.answer = Answer(200, "[+]serving ok: on [::]:6699\nok\n")
        self.is_there = True
        self.asked: list[tuple[str, str, float]] = []

    def ask(self, address: AdminAddress, target: str, timeout_s: float) -> Answer:
        """Take the place of `ask`."""
        self.asked.append((str(address), target, timeout_s))
        if not self.is_there:
            raise AdminError(str(address), "Connection refused")
        return self.answer


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    """Put a stand-in in the place of the endpoint."""
    monkeypatch.delenv("STORM_PACEMAKER_ADMIN", raising=False)
    endpoint = Endpoint()
    monkeypatch.setattr(client, "ask", endpoint.ask)
    return endpoint


def test_health_prints_every_check(run: Run, endpoint: Endpoint) -> None:
    """As the daemon says them."""
    result = run("health", "--admin", "127.0.0.1:6698")
    assert (result.exit_code, result.stdout) == (exit_codes.OK, endpoint.answer.text)
    assert endpoint.asked == [("127.0.0.1:6698", "/readyz?verbose", 4.0)]


def test_health_of_a_daemon_that_is_not_well(run: Run, endpoint: Endpoint) -> None:
    """The exit code says no; controls of a terminal are escaped."""
    endpoint.answer = Answer(503, "[-]io-0 failed: \x1b[0m\nfailed\n")
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


def test_health_finds_the_endpoint_in_the_environment(
    run: Run, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `serve` does: a container names it once."""
    monkeypatch.setenv("STORM_PACEMAKER_ADMIN", "127.0.0.1:6698")
    assert run("health").exit_code == exit_codes.OK
    monkeypatch.setenv("STORM_PACEMAKER_ADMIN", "")
    assert run("health").exit_code == exit_codes.USAGE
    assert len(endpoint.asked) == 1


def test_address_that_is_none_is_refused(run: Run, endpoint: Endpoint) -> None:
    """With what is allowed."""
    result = run("health", "--admin", "6698")
    assert result.exit_code == exit_codes.USAGE
    assert "ADDRESS:PORT" in result.stderr
    assert endpoint.asked == []
