"""The command `get`, over a daemon in this process."""

from __future__ import annotations

import base64
import json

import pytest

from pacemaker.cli.output import exit_codes
from pacemaker.client import ServerAddress
from pacemaker.heartbeats import codec
from pacemaker.heartbeats.model import WorkerHeartbeat
from tests.cli.conftest import Run
from tests.cli.stored import BEAT, TOPOLOGY, heartbeat, store
from tests.client.daemons import daemon

pytestmark = [pytest.mark.io, pytest.mark.usefixtures("server")]


def test_get_shows_a_heartbeat(run: Run, server: ServerAddress) -> None:
    """Topology, executors, uptime and age, for people."""
    store(server, BEAT, codec.encode(heartbeat()))
    result = run("get", BEAT)
    assert result.exit_code == exit_codes.OK
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[:2] == [["path", BEAT], ["topology", TOPOLOGY]]
    assert lines[2][:3] == ["age", "1", "min"]
    assert lines[3] == ["uptime", "1", "h", "1", "min"]
    assert lines[5] == ["executors", "2"]
    assert lines[7:] == [
        ["TASKS", "KIND", "EMITTED", "TRANSFERRED", "ACKED", "FAILED"],
        ["1-1", "spout", "34", "20", "10", "0"],
        ["2-4", "bolt", "0", "0", "0", "0"],
    ]


def test_get_gives_json(run: Run, server: ServerAddress) -> None:
    """Everything, for programs, with the bytes as they are stored."""
    details = codec.encode(heartbeat())
    store(server, BEAT, details)
    shown = json.loads(run("get", "--json", BEAT).stdout)
    assert base64.b64decode(shown["details"]) == details
    assert shown["problem"] is None
    beat = shown["heartbeat"]
    assert (beat["topology_id"], beat["uptime_secs"]) == (TOPOLOGY, 3700)
    assert beat["age_secs"] >= 75
    assert beat["executors"][0]["emitted"] == 34
    assert [each["kind"] for each in beat["executors"]] == ["spout", "bolt"]


def test_get_shows_other_values_as_bytes(run: Run, server: ServerAddress) -> None:
    """What is no heartbeat is shown with the reason, and is no error."""
    store(server, "/w", b"\x1b[31m" + bytes(300))
    result = run("get", "/w")
    assert result.exit_code == exit_codes.OK
    assert "problem  not a heartbeat" in result.stdout
    assert "00000000  1b 5b 33 31 6d 00" in result.stdout
    assert result.stdout.endswith("\n... and 49 more bytes\n")
    assert all(line.isprintable() for line in result.stdout.splitlines())
    shown = json.loads(run("get", "--json", "/w").stdout)
    assert shown["heartbeat"] is None
    assert shown["problem"].startswith("not a heartbeat")


def test_get_shows_a_time_that_is_none(run: Run, server: ServerAddress) -> None:
    """A worker's clock may be anything, and a heartbeat anybody's."""
    beat = WorkerHeartbeat("t", 2**62, -5, {})
    store(server, "/w", codec.encode(beat, time_bits=64))
    result = run("get", "/w")
    assert result.exit_code == exit_codes.OK
    assert f"made at {2**62} s, which is not a valid time" in result.stdout
    assert "uptime     -5 s" in result.stdout


def test_get_says_that_nothing_is_there(run: Run) -> None:
    """A path without a heartbeat is exit code 1."""
    result = run("get", "/none\n")
    assert result.exit_code == exit_codes.NO
    assert result.stderr == "Error: /none\\n: nothing is stored there\n"


@pytest.mark.parametrize("path", ["/w", "/w/"])
def test_get_of_a_directory_names_ls(
    run: Run, server: ServerAddress, path: str
) -> None:
    """Where only others are stored below, the error says which command shows them."""
    store(server, "/w/1")
    result = run("get", path)
    assert result.exit_code == exit_codes.NO
    message = f"Error: {path}: is a directory: `ls` lists what is below it\n"
    assert result.stderr == message


def test_get_does_not_wait_for_a_hold(run: Run) -> None:
    """A server that holds misses after its start is not taken for a dead one."""
    with daemon(hold_s=100) as address:
        result = run("get", "/w", "--server", str(address))
        assert result.exit_code == exit_codes.NO
        assert "/w: nothing is stored there yet. A server was just" in result.stderr
        store(address, "/w", b"\0")
        assert run("get", "/w", "--server", str(address)).exit_code == exit_codes.OK
