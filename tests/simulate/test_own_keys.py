"""A run leaves nothing on the server, or says why."""

from __future__ import annotations

import pytest

from pacemaker.client import PacemakerConnection, ServerAddress, requests
from pacemaker.simulate import own_keys
from tests.client.daemons import daemon

pytestmark = pytest.mark.io

OWN, OTHER = "storm-pacemaker-simulation-1-1", "words-1-1"


def test_own_topologies_are_removed_and_no_others() -> None:
    """All below them goes, however deep, and what is beside them stays."""
    with daemon() as server, PacemakerConnection(server, timeout_s=30) as connection:
        for topology_id in (OWN, OTHER, OWN + "0"):
            path = f"/workerbeats/{topology_id}/w-1"
            connection.request(requests.send_pulse(path, b"x"))
        assert own_keys.remove(connection, [OWN]) == ""
        assert own_keys.paths_of_others(connection) == [
            f"/workerbeats/{OWN}0",
            f"/workerbeats/{OTHER}",
        ]


def test_server_that_is_gone_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried for a while, and then told."""
    monkeypatch.setattr(own_keys, "REMOVAL_TIMEOUT_S", 0.2)
    server = ServerAddress("127.0.0.1", 1)
    with PacemakerConnection(server) as connection:
        assert own_keys.remove(connection, [OWN]) == "127.0.0.1:1: Connection refused"
