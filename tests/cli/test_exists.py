"""The command `exists`, over a daemon in this process."""

from __future__ import annotations

import json

import pytest

from pacemaker.cli.output import exit_codes
from pacemaker.client import ServerAddress
from tests.cli.conftest import Run
from tests.cli.stored import store

pytestmark = [pytest.mark.io, pytest.mark.usefixtures("server")]


@pytest.mark.parametrize(
    ("path", "answer", "code"), [("/w", "yes", exit_codes.OK), ("/v", "no", 1)]
)
def test_exists_answers(
    run: Run, server: ServerAddress, path: str, answer: str, code: int
) -> None:
    """By a word, by JSON and by the exit code."""
    store(server, "/w")
    result = run("exists", path)
    assert (result.stdout, result.exit_code) == (f"{answer}\n", code)
    as_json = run("exists", "--json", path)
    assert (json.loads(as_json.stdout), as_json.exit_code) == (answer == "yes", code)
