"""The command `ping`, over a daemon in this process."""

from __future__ import annotations

import json

import pytest

from pacemaker.cli.output import exit_codes
from pacemaker.client import ServerAddress
from tests.cli.conftest import Run
from tests.cli.stored import DEAD

pytestmark = [pytest.mark.io, pytest.mark.usefixtures("server")]


def test_ping_says_that_the_server_answers(run: Run, server: ServerAddress) -> None:
    """One line for each server, and exit code 0."""
    result = run("ping")
    assert result.exit_code == exit_codes.OK
    assert result.stdout.split()[:2] == [str(server), "answers"]
    assert result.stderr == ""


def test_ping_fails_where_one_server_does(run: Run, server: ServerAddress) -> None:
    """Each server is named with its reason, and the exit code says try later."""
    result = run("ping", "-c", f"pacemaker.servers=[{server}, '{DEAD}']", "--json")
    assert result.exit_code == exit_codes.NO_ANSWER
    good, bad = json.loads(result.stdout)
    assert (good["server"], good["ok"], good["error"]) == (str(server), True, None)
    assert (bad["server"], bad["ok"]) == (DEAD, False)
    assert bad["error"] == "Connection refused"
    table = run("ping", "--server", DEAD)
    assert table.stdout == f"{DEAD}  fails  Connection refused\n"
