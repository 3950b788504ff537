"""The units on a machine with systemd, installed as their page says."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

import pytest

from tests.cluster.waiting import wait_until
from tests.compose.machine import CLONE, Machine
from tests.real.jvm import ROOT
from tests.wire.by_hand import (
    ClosedError,
    Type,
    Wire,
    ack,
    path_request,
    pulse_reply,
    send_pulse,
)

pytestmark = [pytest.mark.compose, pytest.mark.timeout(600)]

PAGE = ROOT / "docs" / "systemd.md"
SERVICE = "storm-pacemaker-py.service"
SOCKET = "storm-pacemaker-py.socket"
PORT = 6699

STORM_YAML = "/etc/storm/storm.yaml"
GOOD_YAML = 'pacemaker.servers: ["localhost"]'
PATH = "/workerbeats/words-1-1700000000/7a4e-6700"

COME_BACK_TIMEOUT_S = 60


@pytest.fixture(scope="module")
def booted(engine: None) -> Iterator[Machine]:
    """Boot a machine, and install the units as the page says."""
    machine = Machine()
    try:
        _, _, rest = PAGE.read_text().partition("<!-- install: begin -->\n")
        commands, _, _ = rest.partition("<!-- install: end -->")
        machine.shell(textwrap.dedent(commands), CLONE)
        machine.shell(f"mkdir -p /etc/storm; echo '{GOOD_YAML}' >{STORM_YAML}")
        yield machine
    finally:
        machine.close()


@pytest.fixture
def machine(booted: Machine) -> Machine:
    """Give the machine with both units started."""
    booted.run("systemctl", "enable", "--now", SOCKET, SERVICE)
    wait_until("READY", lambda: _is_active(booted), COME_BACK_TIMEOUT_S)
    return booted


def _is_active(machine: Machine) -> bool:
    return machine.property(SERVICE, "ActiveState") == "active"


def _pid(machine: Machine) -> int:
    return int(machine.property(SERVICE, "MainPID"))


def _connect(machine: Machine) -> Wire:
    return Wire((machine.address, PORT), COME_BACK_TIMEOUT_S)


def _wait_for_another(machine: Machine, pid: int) -> None:
    wait_until(
        "another process",
        lambda: _is_active(machine) and _pid(machine) != pid,
        COME_BACK_TIMEOUT_S,
    )


def test_serves_as_its_own_user(machine: Machine) -> None:
    """Installed and started, it answers, and is not root."""
    with _connect(machine) as connection:
        reply = connection.ask(send_pulse(PATH, b"beat", 1))
    assert reply == ack(Type.SEND_PULSE_RESPONSE, 1)
    assert machine.property(SERVICE, "StatusText")
    user = machine.run("stat", "--format=%U", f"/proc/{_pid(machine)}").strip()
    assert user == "storm-pacemaker"


def test_reload_keeps_process_connections_and_heartbeats(machine: Machine) -> None:
    """`systemctl reload` is an upgrade in place, which no client notices."""
    pid = _pid(machine)
    with _connect(machine) as connection:
        connection.ask(send_pulse(PATH, b"before", 1))
        machine.run("systemctl", "reload", SERVICE)
        reply = connection.ask(path_request(Type.GET_PULSE, PATH, 2))
    assert reply == pulse_reply(PATH, b"before", 2)
    assert _pid(machine) == pid
    assert machine.property(SERVICE, "NRestarts") == "0"


def test_reload_that_is_refused_changes_nothing(machine: Machine) -> None:
    """With a wrong configuration `systemctl reload` fails, and the daemon serves on."""
    pid = _pid(machine)
    machine.shell(f"echo 'pacemaker.port: none' >{STORM_YAML}")
    try:
        with _connect(machine) as connection:
            connection.ask(send_pulse(PATH, b"before", 1))
            assert not machine.succeeds("systemctl", "reload", SERVICE)
            reply = connection.ask(path_request(Type.GET_PULSE, PATH, 2))
    finally:
        machine.shell(f"echo '{GOOD_YAML}' >{STORM_YAML}")
    assert reply == pulse_reply(PATH, b"before", 2)
    assert _pid(machine) == pid
    assert "pacemaker.port: 'none'" in machine.log(SERVICE)


def test_port_outlives_the_process(machine: Machine) -> None:
    """Killed, it is started again; who connected meanwhile is served, reads held."""
    pid = _pid(machine)
    path = f"{PATH}-after"
    machine.run("systemctl", "stop", SERVICE)
    with _connect(machine) as reader, _connect(machine) as writer:
        # The reader's request is there first; it is answered when the key comes.
        reader.send(path_request(Type.GET_PULSE, path, 1))
        _wait_for_another(machine, pid)
        assert writer.ask(send_pulse(path, b"after", 1))
        assert reader.receive() == pulse_reply(path, b"after", 1)
    assert re.search(r"holding misses for \d+ s", machine.log(SERVICE))


def test_connection_is_reset_by_a_kill_and_the_port_is_kept(machine: Machine) -> None:
    """SIGKILL ends the connections; the next one waits for the next process."""
    pid = _pid(machine)
    with _connect(machine) as connection:
        connection.ask(send_pulse(PATH, b"before", 1))
        machine.run("systemctl", "kill", "--signal=KILL", SERVICE)
        with pytest.raises((ClosedError, ConnectionError)):
            connection.receive()
    with _connect(machine) as connection:
        assert connection.ask(send_pulse(PATH, b"after", 1)) == ack(
            Type.SEND_PULSE_RESPONSE, 1
        )
    assert _pid(machine) != pid


def test_watchdog_ends_a_daemon_that_hangs(machine: Machine) -> None:
    """A daemon that stands still is killed by systemd, and another one serves."""
    pid = _pid(machine)
    machine.run("systemctl", "kill", "--signal=STOP", SERVICE)
    _wait_for_another(machine, pid)
    assert "Watchdog timeout" in machine.log(SERVICE)
    with _connect(machine) as connection:
        assert connection.ask(send_pulse(PATH, b"after", 1)) == ack(
            Type.SEND_PULSE_RESPONSE, 1
        )


def test_stop_of_both_closes_the_port(machine: Machine) -> None:
    """With both units stopped nobody listens, and nothing starts the daemon again."""
    machine.run("systemctl", "stop", SOCKET, SERVICE)
    with pytest.raises(ConnectionRefusedError):
        _connect(machine)
    assert machine.property(SERVICE, "ActiveState") == "inactive"
    assert machine.property(SERVICE, "Result") == "success"
