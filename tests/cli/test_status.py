"""`status`: which daemon it asks, and what it prints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pacemaker.cli.output import exit_codes
from pacemaker.errors import StatusError
from pacemaker.server import status, status_client
from pacemaker.server.process import local_socket
from tests.cli.conftest import Run
from tests.server.test_status import MEASURED

STATUS = {
    "version": "1.2.3",
    "pid": 5,
    "uptime_s": 3700,
    "python": "3.13.1",
    **status.describe(MEASURED, address="[::]:6699", hold_until_s=0.0),
    "admin": "127.0.0.1:6698",
    "upgrades": status.describe_upgrades(1, 0.0, (0.0, "no memory")),
}


class Daemons:
    """Stands in for the daemons of a host."""

    def __init__(self) -> None:
        self.running = [5]
        self.problem = ""

    def ask(self, pid: int, timeout_s: float) -> Mapping[str, Any]:
        """Take the place of `ask`."""
        if self.problem:
            raise StatusError(self.problem)
        return {**STATUS, "pid": pid}


@pytest.fixture
def daemons(monkeypatch: pytest.MonkeyPatch) -> Daemons:
    """Put stand-ins in the place of the daemons."""
    daemons = Daemons()
    monkeypatch.setattr(status_client, "ask", daemons.ask)
    monkeypatch.setattr(local_socket, "running_daemons", lambda _: daemons.running)
    return daemons


def test_status_shows_the_only_daemon_to_people(run: Run, daemons: Daemons) -> None:
    """Without a process id the daemon of this host is meant."""
    result = run("status")
    assert result.exit_code == exit_codes.OK
    lines = result.stdout.splitlines()
    assert lines[0] == "storm-pacemaker-py 1.2.3, process 5, up 1 h 1 min"
    assert "connections      3, addresses: 2" in lines
    assert "heartbeats       7, 0.0 of 0 MiB" in lines
    assert "refused at 1970-01-01" in result.stdout
    assert "no memory" in result.stdout


def test_status_is_json_for_programs(run: Run, daemons: Daemons) -> None:
    """All that the daemon said is there, as it said it."""
    assert json.loads(run("status", "--json").stdout) == STATUS


def test_status_asks_the_process_that_is_named(
    run: Run, daemons: Daemons, tmp_path: Path
) -> None:
    """By its process id, or by a file that has it."""
    daemons.running = []
    (tmp_path / "pid").write_text("71\n")
    assert "process 71" in run("status", "71").stdout
    assert "process 71" in run("status", "--pid-file", str(tmp_path / "pid")).stdout


@pytest.mark.parametrize(
    ("running", "args", "code", "said"),
    [
        ([], (), exit_codes.NO_ANSWER, "no storm-pacemaker-py serves on this host"),
        ([5, 71], (), exit_codes.USAGE, "there are 2 daemons; choose one: 5, 71"),
        ([5], ("5", "--pid-file", "/x"), exit_codes.USAGE, "not both"),
    ],
)
def test_status_says_why_it_asks_nobody(
    run: Run,
    daemons: Daemons,
    running: list[int],
    args: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    """No daemon, and no choice among several, are errors of their own."""
    daemons.running = running
    result = run("status", *args)
    assert result.exit_code == code
    assert said in result.stderr


def test_status_hands_on_why_there_is_no_answer(run: Run, daemons: Daemons) -> None:
    """The exit code is that of a server that does not answer."""
    daemons.problem = "process 5 did not answer in time"
    result = run("status")
    assert result.exit_code == exit_codes.NO_ANSWER
    assert daemons.problem in result.stderr
