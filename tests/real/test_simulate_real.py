"""`simulate` as a process, against servers that answer, hang and die."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from pacemaker.cli.output import exit_codes
from pacemaker.client import PacemakerConnection, ServerAddress, requests
from tests.real.child import Child
from tests.real.daemons import ENVIRONMENT, Daemon, JvmDaemon
from tests.real.jvm import ROOT
from tests.real.realm import NIMBUS, SERVER, SUPERVISOR, Realm
from tests.real.test_sasl_daemon import options

pytestmark = pytest.mark.real

SHAPE = ("--supervisors", "5", "--workers", "4", "--executors", "4")
STANDSTILL_S = 5.0
TIMEOUT_S = 120.0
TRIES = 5


class Simulation(Child):
    """`storm-pacemaker-py simulate` against a server, with JSON at its end."""

    def __init__(self, address: tuple[str, int], *options: str) -> None:
        name = "%s:%d" % address  # noqa: UP031  (a pair)
        argv = [sys.executable, "-m", "pacemaker", "simulate", "--server", name]
        argv += ["--json", *SHAPE, *options]
        super().__init__(argv, env=ENVIRONMENT, cwd=ROOT)

    def wait_until_stored(self, server: Daemon) -> None:
        """Wait until the server has pulses of its."""
        self.logged(r"^sending for", TIMEOUT_S)
        while not stored(server.address):
            assert self.running()
            assert server.running()

    def report(self) -> tuple[int, dict[str, Any]]:
        """Wait for its end and return the exit code and the JSON."""
        code = self.wait(TIMEOUT_S)
        self.close()
        found: dict[str, Any] = json.loads("\n".join(self.stdout.all()))
        return code, found


@pytest.fixture(scope="module")
def ours() -> Iterator[Daemon]:
    """Start our daemon, for the tests that leave it as it is."""
    with Daemon() as started:
        yield started


def stored(address: tuple[str, int]) -> Sequence[str]:
    """Return the topologies that a server has."""
    with PacemakerConnection(ServerAddress(*address), timeout_s=30) as connection:
        return connection.request(requests.list_nodes("/workerbeats"))


def hold(process: Child, seconds: float) -> None:
    """Let a process stand still."""
    process.signal(signal.SIGSTOP)
    threading.Event().wait(seconds)
    process.signal(signal.SIGCONT)


def check_a_run(address: tuple[str, int]) -> None:
    """Run for 4 s, each worker pulsing once a second, and look at the figures."""
    for _ in range(TRIES):
        with Simulation(address, "--interval", "1", "--duration", "4") as simulation:
            code, report = simulation.report()
        if code != exit_codes.GENERATOR_BEHIND:
            break
    assert code == exit_codes.OK, report
    assert report["verdict"] == "carries"
    assert (report["scheduled"], report["pulses"]["answered"], report["lost"]) == (
        80,
        80,
        0,
    )
    assert report["rounds"]["count"] == 1
    assert report["wrong"] == report["losses"] == {}
    assert report["server_use"]["cpu_share"] > 0
    assert stored(address) == []


def test_our_daemon_carries_a_small_cluster(ours: Daemon) -> None:
    """Every pulse answered, every read the bytes of a worker's beat."""
    check_a_run(ours.address)


def test_the_jvms_pacemaker_carries_a_small_cluster() -> None:
    """The load is Storm's, so Storm's own Pacemaker takes it as well."""
    with JvmDaemon() as jvm:
        check_a_run(jvm.address)


def test_nimbus_authenticates_by_kerberos(realm: Realm) -> None:
    """Its Nimbus reads with a ticket, its workers write without; no other may read."""
    principals = {"PacemakerServer": SERVER, "PacemakerClient": NIMBUS}
    user = {"nimbus.daemon.user": "nimbus"}
    nimbus = options("KERBEROS", realm.write_jaas("nimbus.conf", principals), **user)
    other = {"PacemakerClient": SUPERVISOR}
    supervisor = options("KERBEROS", realm.write_jaas("supervisor.conf", other))
    short = ("--interval", "1", "--duration", "4")
    with Daemon(*nimbus) as daemon:
        address = ("localhost", daemon.address[1])
        for credentials, expected in (
            ((), exit_codes.NOT_AUTHORIZED),
            (supervisor, exit_codes.NO_ANSWER),
        ):
            with Simulation(address, *short, *credentials) as simulation:
                assert simulation.wait(TIMEOUT_S) == expected
                simulation.close()
        for _ in range(TRIES):
            with Simulation(address, *short, *nimbus) as simulation:
                code, report = simulation.report()
            if code != exit_codes.GENERATOR_BEHIND:
                break
    assert code == exit_codes.OK, report
    assert (report["lost"], report["rounds"]["count"]) == (0, 1)


def test_standstill_shows_in_the_latencies() -> None:
    """A server that stands still for 5 s is seen to take 5 s, and it is a no."""
    for _ in range(TRIES):
        with (
            Daemon() as daemon,
            Simulation(
                daemon.address, "--interval", "0.25", "--duration", "8"
            ) as simulation,
        ):
            simulation.wait_until_stored(daemon)
            hold(daemon, STANDSTILL_S)
            code, report = simulation.report()
        assert (report["scheduled"], report["lost"]) == (20 * 32, 0)
        # The first pulse of the standstill was due within a few hundredths.
        assert report["pulses"]["max_s"] >= STANDSTILL_S - 0.25
        assert report["pulses"]["late"] >= 20 * 4 * (STANDSTILL_S - 1) - 20
        if code != exit_codes.GENERATOR_BEHIND:
            break
    assert code == exit_codes.NO
    assert "answered after more than 1 s" in report["problems"][0]


def test_killed_server_loses_pulses() -> None:
    """They are never answered: a no; and the keys that may be left are named."""
    with (
        Daemon() as daemon,
        Simulation(
            daemon.address, "--interval", "0.5", "--duration", "2"
        ) as simulation,
    ):
        simulation.wait_until_stored(daemon)
        daemon.signal(signal.SIGKILL)
        code, report = simulation.report()
        words = "\n".join(simulation.stderr.all())
    assert report["lost"] > 0
    assert report["losses"]["Connection refused"] > 0
    # Its own hiccups would make it 3; a loss is never taken for a yes.
    assert code in (exit_codes.NO, exit_codes.GENERATOR_BEHIND)
    assert "Warning: /workerbeats/storm-pacemaker-simulation-1-" in words
    assert "could not be removed" in words


def test_generator_that_stood_still_says_so(ours: Daemon) -> None:
    """It blames itself and not the server: exit code 3."""
    with Simulation(
        ours.address, "--interval", "0.25", "--duration", "3"
    ) as simulation:
        simulation.wait_until_stored(ours)
        hold(simulation, 1.5)
        code, report = simulation.report()
    assert code == exit_codes.GENERATOR_BEHIND
    assert report["verdict"] == "unknown"
    assert report["lag_max_s"] > 1
    assert report["scheduled"] == 20 * 12


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_run_and_nothing_is_left(
    ours: Daemon, number: signal.Signals
) -> None:
    """It reports what it saw, removes its keys and says by what it ended."""
    with Simulation(
        ours.address, "--interval", "0.2", "--duration", "600"
    ) as simulation:
        simulation.wait_until_stored(ours)
        simulation.signal(number)
        code, report = simulation.report()
    assert code == exit_codes.SIGNALLED + number
    assert report["is_interrupted"]
    assert report["scheduled"] > 0
    assert stored(ours.address) == []


def test_heartbeats_of_others_are_refused(ours: Daemon) -> None:
    """Nothing is sent to a server that somebody uses."""
    path = "/workerbeats/words-1-1700000000/7a4e-6700"
    with PacemakerConnection(ServerAddress(*ours.address), timeout_s=30) as connection:
        connection.request(requests.send_pulse(path, b"x"))
        with Simulation(ours.address) as simulation:
            assert simulation.wait(TIMEOUT_S) == exit_codes.IN_USE
            simulation.close()
            assert "words-1-1700000000" in simulation.stderr.all()[-1]
        assert stored(ours.address) == ["words-1-1700000000"]
        connection.request(requests.delete_path("/workerbeats"))
