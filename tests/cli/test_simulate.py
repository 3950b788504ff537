"""`simulate`, over a daemon in this process."""

from __future__ import annotations

import json
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pacemaker.cli.output import exit_codes
from pacemaker.client import PacemakerConnection, ServerAddress, requests
from pacemaker.simulate import tally
from pacemaker.simulate.interrupts import Interrupts
from pacemaker.simulate.tally import Tally
from tests.cli.conftest import Run
from tests.client.daemons import daemon

pytestmark = pytest.mark.io

QUICK = ("--supervisors", "2", "--executors", "1", "--duration", "1")
TOPOLOGY = "/workerbeats/words-1-1700000000"


@pytest.fixture
def server() -> Iterator[ServerAddress]:
    """Start a daemon."""
    with daemon() as address:
        yield address


@pytest.fixture(autouse=True)
def _configured(conf_folder: Path, server: ServerAddress) -> None:
    """Name the daemon in storm.yaml."""
    (conf_folder / "storm.yaml").write_text(f'pacemaker.servers: ["{server}"]\n')


@pytest.fixture
def foreign(server: ServerAddress) -> None:
    """Store a heartbeat of somebody else's."""
    with PacemakerConnection(server, timeout_s=30) as connection:
        connection.request(requests.send_pulse(f"{TOPOLOGY}/7a4e-6700", b"x"))


@pytest.fixture
def no_stalls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a machine that stalls for a moment change no verdict."""
    monkeypatch.setattr(tally, "LATE_S", 1000.0)
    on_written = Tally.on_written
    monkeypatch.setattr(Tally, "on_written", lambda self, lag_s: on_written(self, 0.0))


@pytest.mark.usefixtures("no_stalls")
def test_answer_is_given_in_words(run: Run, server: ServerAddress) -> None:
    """The report goes to stdout and ends in the answer; what goes on, to stderr."""
    result = run("simulate", *QUICK, "--interval", "0.5")
    assert result.exit_code == exit_codes.OK, result.output
    lines = result.stdout.splitlines()
    assert lines[0].endswith("1 executor in a worker: 8 workers")
    assert lines[-1].startswith(f"Yes: {server} carries a cluster of 2 supervisors")
    assert result.stderr.splitlines() == [
        "connecting 8 workers",
        "sending for 1 s",
        "waiting for the last answers",
        "removing what was stored",
    ]
    assert run("ls", "/").stdout == ""


def test_answer_is_given_in_json(run: Run) -> None:
    """On stdout is JSON and nothing else."""
    result = run("simulate", *QUICK, "--interval", "0.5", "--json")
    shown = json.loads(result.stdout)
    assert (shown["workers"], shown["scheduled"], shown["lost"]) == (8, 16, 0)
    assert shown["shape"]["topologies"] == 8  # no more than there are workers


@pytest.mark.usefixtures("foreign")
def test_heartbeats_of_others_are_not_put_at_risk(run: Run) -> None:
    """Nothing is sent, and the error says what is there and how to go on."""
    result = run("simulate", *QUICK)
    assert result.exit_code == exit_codes.IN_USE
    assert f"holds heartbeats of others: {TOPOLOGY}. Use --force" in result.stderr
    assert result.stdout == ""


def test_what_a_simulation_left_is_known(run: Run, server: ServerAddress) -> None:
    """One that was killed leaves its keys; the error says what takes them away."""
    with PacemakerConnection(server, timeout_s=30) as connection:
        path = "/workerbeats/storm-pacemaker-simulation-1-1/w-1"
        connection.request(requests.send_pulse(path, b"x"))
    result = run("simulate", *QUICK)
    assert result.exit_code == exit_codes.IN_USE
    assert (
        "`storm-pacemaker-py rm PATH` removes leftovers of a simulation"
        in result.stderr
    )


@pytest.mark.usefixtures("foreign", "no_stalls")
def test_force_goes_on(run: Run) -> None:
    """The others' heartbeats are still there afterwards."""
    result = run("simulate", *QUICK, "--force")
    assert result.exit_code == exit_codes.OK, result.output
    assert run("ls", "/workerbeats").stdout == "words-1-1700000000\n"


def test_one_server_is_loaded(run: Run) -> None:
    """Of several it does not choose."""
    result = run("simulate", "-c", "pacemaker.servers=[pm1, pm2]")
    assert result.exit_code == exit_codes.USAGE
    assert "names more than one server: pm1:6699, pm2:6699" in result.stderr
    assert "with --server" in result.stderr


def test_server_that_is_not_there(run: Run) -> None:
    """It says so by the code of all client commands."""
    result = run("simulate", "--server", "127.0.0.1:1")
    assert result.exit_code == exit_codes.NO_ANSWER
    assert result.stderr == "Error: 127.0.0.1:1: Connection refused\n"


def test_too_few_descriptors_are_told(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says what is needed, what is allowed, and what would go."""
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1024, 1064))
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: None)
    result = run("simulate", "--supervisors", "1500", "--workers", "10")
    assert result.exit_code == exit_codes.USAGE
    assert (
        "15,000 workers need 15,064 descriptors, but this process may open 1,064"
        " (ulimit -Hn), enough for 1,000 workers" in result.stderr
    )


def test_too_large_heartbeats_are_told(run: Run) -> None:
    """A heartbeat that the server would refuse is not sent to it."""
    small = "pacemaker.thrift.message.size.max=5000"
    result = run("simulate", "-c", small, "--executors", "50")
    assert result.exit_code == exit_codes.USAGE
    assert "pacemaker.thrift.message.size.max allows 5,000" in result.stderr


def test_generator_that_fell_behind_has_a_code(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of a run whose pulses were written a second late each."""
    on_written = Tally.on_written
    monkeypatch.setattr(
        Tally, "on_written", lambda self, lag_s: on_written(self, lag_s + 1)
    )
    result = run("simulate", *QUICK, "--interval", "0.5")
    assert result.exit_code == exit_codes.GENERATOR_BEHIND
    assert "The generator is saturated: no verdict." in result.stdout


@pytest.mark.usefixtures("no_stalls")
def test_interrupted_run_has_the_code_of_its_signal(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was seen so far is told, and nothing is left."""

    def came(self: Interrupts) -> bool:
        self.signal_number = signal.SIGTERM
        return True

    monkeypatch.setattr(Interrupts, "came", property(came))
    result = run("simulate", *QUICK)
    assert result.exit_code == 128 + signal.SIGTERM
    assert result.stdout.splitlines()[-1].startswith("Interrupted; so far")
    assert run("ls", "/").stdout == ""
