"""The load on a system under trial: what it counts."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from typing import Any

import pytest

from pacemaker.client import PacemakerConnection, ServerAddress, requests
from tests.client.daemons import daemon
from tests.release.conftest import ROOT

pytestmark = pytest.mark.io

CONNECTIONS = 3


@pytest.fixture
def server() -> Iterator[ServerAddress]:
    """Start a daemon."""
    with daemon() as address:
        yield address


def _load(server: ServerAddress) -> Any:
    """Connect the load."""
    script = runpy.run_path(str(ROOT / "release" / "fresh_system" / "load.py"))
    return script["Load"](CONNECTIONS, server.port)


def test_every_answer_is_counted(server: ServerAddress) -> None:
    """With a daemon that stays as it is, nothing else is counted."""
    load = _load(server)
    for _ in range(2):
        load.send_pulses()
    load.read_back()
    load.close()
    counted = {name: count for name, count in load.seen.items() if count}
    assert counted == {"rounds": 2, "answered": 2 * CONNECTIONS}


def test_connections_that_end_between_two_rounds_are_counted() -> None:
    """The next pulse finds that a connection was reset after its last reply."""
    with daemon() as address:
        load = _load(address)
        load.send_pulses()
    load.send_pulses()
    load.close()
    assert load.seen["broken"] == CONNECTIONS


def test_an_acknowledged_pulse_that_is_not_stored_is_lost(
    server: ServerAddress,
) -> None:
    """Reading back finds a heartbeat that is gone, and one that is older."""
    load = _load(server)
    load.send_pulses()
    with PacemakerConnection(server) as connection:
        connection.request(requests.delete_path("/workerbeats/load/0"))
        connection.request(requests.send_pulse("/workerbeats/load/1", b"older"))
    load.read_back()
    load.close()
    assert load.seen["lost"] == 2
