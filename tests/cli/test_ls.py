"""The command `ls`, over a daemon in this process."""

from __future__ import annotations

import json

import pytest

from pacemaker.cli.output import exit_codes
from pacemaker.client import ServerAddress
from pacemaker.heartbeats import codec
from tests.cli.conftest import Run
from tests.cli.stored import heartbeat, store

pytestmark = [pytest.mark.io, pytest.mark.usefixtures("server")]


def test_ls_lists_names(run: Run, server: ServerAddress) -> None:
    """One name a line, sorted; without a path the topmost names."""
    store(server, "/w/b/1")
    store(server, "/w/a")
    assert run("ls", "/w").stdout == "a\nb\n"
    assert json.loads(run("ls", "--json", "/w").stdout) == ["a", "b"]
    assert run("ls").stdout == "w\n"


@pytest.mark.parametrize("options", [(), ("-l",), ("--json",)])
def test_ls_says_that_nothing_is_below(
    run: Run, server: ServerAddress, options: tuple[str, ...]
) -> None:
    """An empty list is an answer, and a line on stderr tells it from a slip."""
    empty = "[]\n" if options == ("--json",) else ""
    assert run("ls", *options).stderr == "Note: no heartbeats are stored\n"
    store(server, "/w/1")
    for path, why in [("/v", "nothing is below /v"), ("/w/1", "`get` shows it")]:
        result = run("ls", *options, path)
        assert (result.exit_code, result.stdout) == (exit_codes.OK, empty)
        assert why in result.stderr


def test_ls_shows_size_and_age(run: Run, server: ServerAddress) -> None:
    """With -l: a heartbeat, a value that is none, and a directory."""
    details = codec.encode(heartbeat(7200))
    store(server, "/w/beat", details)
    store(server, "/w/odd", b"xyz")
    store(server, "/w/sub/1")
    lines = [line.split() for line in run("ls", "-l", "/w").stdout.splitlines()]
    assert lines[0] == ["SIZE", "AGE", "NAME"]
    assert lines[1][:3] == [str(len(details)), "2", "h"]
    assert lines[2:] == [["3", "?", "odd"], ["-", "-", "sub/"]]
    beat, odd, sub = json.loads(run("ls", "-l", "--json", "/w/").stdout)
    assert beat["size_bytes"] == len(details)
    assert 7200 <= beat["age_secs"] < 7300
    assert odd == {"name": "odd", "size_bytes": 3, "time_secs": None, "age_secs": None}
    assert sub["size_bytes"] is None


def test_ls_prints_no_control_characters(run: Run, server: ServerAddress) -> None:
    """A key that anybody stored cannot drive the terminal."""
    store(server, "/w/\x1b[2J\n\u202e")
    for options in ((), ("-l",), ("--json",)):
        result = run("ls", *options, "/w")
        assert all(line.isprintable() for line in result.output.splitlines())
        assert "[2J" in result.stdout
