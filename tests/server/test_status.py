"""The daemon's status: its contents, and who may read it."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from pacemaker.core.figures import Figures
from pacemaker.server import status
from pacemaker.server.measurements import Measurements
from pacemaker.server.process.clocks import boot_time_s
from pacemaker.server.process.local_socket import address_of
from pacemaker.server.status import PURPOSE, StatusSocket
from pacemaker.server.status_client import ask
from tests.real.daemons import Served
from tests.wire.by_hand import Wire, send_pulse

TIMEOUT_S = 10.0
MEASURED = Measurements(
    figures=Figures(connections=3, addresses=2, refused_connections=1),
    keys=7,
    store_bytes=100,
    store_budget_bytes=1000,
    buffer_bytes=10,
    buffer_budget_bytes=500,
    held_read_bytes=0,
    io_threads=1,
    most_descriptors=1024,
    resident_bytes=2**20,
    cpu_s=1.234,
    auth_method="DIGEST",
    started_s=1.0,
)


def test_status_has_load_budgets_and_hold() -> None:
    """The status has every figure, named with its unit."""
    told = status.describe(
        MEASURED,
        address="[::]:6699",
        hold_until_s=boot_time_s() + 10,
    )
    assert (told["connections"], told["addresses"], told["keys"]) == (3, 2, 7)
    assert told["store"] == {"used_bytes": 100, "budget_bytes": 1000}
    assert told["refused"]["connections"] == 1
    assert told["authentication"] == "DIGEST"
    assert 9 <= told["hold"]["left_s"] <= 10


def test_status_tells_the_last_upgrade_and_the_last_refusal() -> None:
    """Both are null at first; a refusal has its reason."""
    assert status.describe_upgrades(0, 0.0, None) == {
        "done": 0,
        "last": None,
        "refused": None,
    }
    told = status.describe_upgrades(2, 0.0, (0.0, "no memory"))
    assert told["last"].startswith("19")
    assert told["refused"]["reason"] == "no memory"


@pytest.mark.io
def test_uptime_is_that_of_the_process() -> None:
    """The uptime counts from the start, not from the last upgrade."""
    told = status.describe_process()
    assert told["pid"] == os.getpid()
    assert 0 <= told["uptime_s"] < boot_time_s()


@pytest.fixture
def sock() -> Iterator[StatusSocket]:
    """Open the socket of this process."""
    opened = StatusSocket()
    yield opened
    opened.close()


def _asking() -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(TIMEOUT_S)
    connection.connect(address_of(os.getpid(), PURPOSE))
    return connection


@pytest.mark.io
def test_everybody_who_asked_gets_the_answer_in_one_turn(sock: StatusSocket) -> None:
    """One turn of the main thread answers everybody, and waits for nobody."""
    askers = [_asking(), _asking()]
    sock.answer_waiting(lambda: {"keys": 1})
    for asker in askers:
        with asker:
            assert json.loads(asker.recv(1000)) == {"keys": 1}


@pytest.mark.io
def test_a_peer_that_has_gone_costs_nothing(sock: StatusSocket) -> None:
    """A peer that has disconnected causes no error."""
    _asking().close()
    sock.answer_waiting(lambda: {"keys": 1})
    sock.answer_waiting(lambda: {"keys": 1})


@pytest.mark.io
def test_strangers_get_nothing(
    sock: StatusSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Users other than root and the daemon's own get an empty answer."""
    monkeypatch.setattr(status, "credentials", lambda _: (os.getpid(), 4242))
    with _asking() as asker:
        sock.answer_waiting(lambda: {"keys": 1})
        assert asker.recv(1000) == b""


@pytest.mark.io
def test_trial_of_an_upgrade_does_not_listen() -> None:
    """A socket that is not open answers nobody, and can be closed."""
    closed = StatusSocket(is_open=False)
    closed.answer_waiting(dict)
    closed.close()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asker:
        assert asker.connect_ex(address_of(os.getpid(), PURPOSE)) == errno.ECONNREFUSED


@pytest.mark.io
def test_daemon_tells_its_status_before_and_after_an_upgrade() -> None:
    """A running daemon answers, and keeps its process id and uptime."""
    place = ("--bind", "127.0.0.1", "-c", "pacemaker.port=0")
    with Served([sys.executable, "-m", "pacemaker", "serve", *place]) as daemon:
        told = _status_with_a_heartbeat(daemon)
        assert (told["keys"], told["connections"]) == (1, 1)
        assert told["authentication"] == "NONE"
        pid = told["pid"]
        reload = [sys.executable, "-m", "pacemaker", "reload", str(pid)]
        subprocess.run(reload, check=True, capture_output=True)
        again = ask(pid, TIMEOUT_S)
        assert again["upgrades"]["done"] == 1
        assert again["keys"] == 1


def _status_with_a_heartbeat(daemon: Served) -> dict[str, Any]:
    with Wire(daemon.address) as connection:
        connection.ask(send_pulse("/a", b"x", 1))
        return dict(ask(daemon.pid, TIMEOUT_S))
