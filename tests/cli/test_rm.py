"""The command `rm`, over a daemon in this process."""

from __future__ import annotations

import pytest

from pacemaker.cli.output import exit_codes
from pacemaker.client import ServerAddress
from tests.cli.conftest import Run
from tests.cli.stored import store

pytestmark = [pytest.mark.io, pytest.mark.usefixtures("server")]


def test_rm_deletes_one_key_without_asking(run: Run, server: ServerAddress) -> None:
    """One key, or a directory with one key in it, or nothing at all."""
    store(server, "/w/t/1")
    for path in ("/none", "/w"):
        result = run("rm", path)
        assert (result.exit_code, result.output) == (exit_codes.OK, "")
    assert run("exists", "/w/t/1").exit_code == exit_codes.NO


@pytest.mark.parametrize(
    "paths",
    [
        ("/w/1", "/w/2"),
        ("/w", "/w/1"),
        ("/w/t/1", "/w/t/1/x"),
        ("/w//1",),
        ("/w" + "/x" * 30,),
    ],
)
def test_rm_asks_before_it_deletes_more(
    run: Run, server: ServerAddress, paths: tuple[str, ...]
) -> None:
    """Where there may be more than one key, only a yes deletes them."""
    for path in paths:
        store(server, path)
    result = run("rm", "/w")
    assert result.exit_code == exit_codes.NO
    assert "more than one heartbeat is stored there" in result.stderr
    assert run("exists", paths[0]).exit_code == exit_codes.OK
    assert run("rm", "--yes", "/w").exit_code == exit_codes.OK
    assert run("exists", paths[0]).exit_code == exit_codes.NO


def test_rm_deletes_after_a_yes(run: Run, server: ServerAddress) -> None:
    """The question can be answered."""
    store(server, "/w/1")
    store(server, "/w/2")
    assert run("rm", "/w", stdin="y\n").exit_code == exit_codes.OK
    assert run("ls", "/w").stdout == ""
