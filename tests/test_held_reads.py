"""Held misses of a real process, as its users and its peers see them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.daemons import Daemon
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type, Wire

pytestmark = pytest.mark.io

KEY = "/workerbeats/words-1-1700000000/7a4e-6700"
GET = wire.path_request(Type.GET_PULSE, KEY, 7)


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """Start a daemon that holds misses for longer than any test takes."""
    with Daemon("--hold", "100", "--log-level", "debug") as started:
        yield started


def test_daemon_says_that_it_holds_misses(tmp_path: Path) -> None:
    """A storm.yaml that names one server is enough, and one line tells of it."""
    conf = tmp_path / "storm.yaml"
    conf.write_text(json.dumps({"pacemaker.servers": ["127.0.0.1"]}))
    with Daemon("--config", str(conf)) as started:
        assert started.logged("holding misses for 20 s", 10)


def test_held_read_is_answered_when_its_key_is_stored(daemon: Daemon) -> None:
    """One peer's read waits for another peer's pulse."""
    with Wire(daemon.address) as nimbus, Wire(daemon.address) as worker:
        nimbus.send(GET)
        daemon.logged("held: id=7", 10)
        worker.ask(wire.send_pulse(KEY, b"beat", 1))
        assert nimbus.receive() == wire.pulse_reply(KEY, b"beat", 7)


def test_stopped_daemon_resets_who_waits(daemon: Daemon) -> None:
    """SIGTERM ends a connection with a held read by a reset, without a reply."""
    with Wire(daemon.address) as nimbus:
        nimbus.send(GET)
        daemon.logged("held: id=7", 10)
        daemon.signal(signal.SIGTERM)
        assert nimbus.ended() == "reset"
        assert daemon.wait() == 0


def test_get_of_what_is_not_there_yet_says_so(daemon: Daemon) -> None:
    """The command does not call it absent: it may come, and it says what to do."""
    host, port = daemon.address
    server = ("--server", f"{host}:{port}", "--timeout", "0.5")
    command = [sys.executable, "-m", "pacemaker", "get", *server, KEY]
    got = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert got.returncode == 1
    assert "nothing is stored there yet. A server was just started" in got.stderr
