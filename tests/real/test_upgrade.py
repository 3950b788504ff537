"""Storm's own clients notice nothing when their daemon is upgraded in place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.real.attacked import HOSTILE_ADDRESS
from tests.real.clients import StormClient
from tests.real.daemons import Daemon
from tests.real.realm import NIMBUS, SERVER, Realm
from tests.real.test_sasl_daemon import (
    BEAT,
    options,
    storm_client,
    write_and_read,
    write_digest_jaas,
)
from tests.test_upgrade import UPGRADED, must_reload

pytestmark = pytest.mark.real

UPGRADES = 3


def goes_on(daemon: Daemon, worker: StormClient, nimbus: StormClient) -> None:
    """Upgrade the daemon some times: the same two connections go on, as they were."""
    write_and_read(worker, nimbus)
    for _ in range(UPGRADES):
        must_reload(daemon)
        assert daemon.logged(UPGRADED)[1] == "2"
        write_and_read(worker, nimbus)
    log = own_lines(daemon)
    # Neither connected anew, nor authenticated anew.
    assert sum(line.endswith(": connected") for line in log) == 2
    assert sum("authenticated as" in line for line in log) <= 1


def own_lines(daemon: Daemon) -> list[str]:
    """Return the lines that the daemon has logged, but those on attackers."""
    return [line for line in daemon.stderr.all() if HOSTILE_ADDRESS not in line]


@pytest.fixture
def digest_jaas(tmp_path: Path) -> Path:
    """Write a JAAS file for DIGEST."""
    return write_digest_jaas(tmp_path / "jaas.conf")


def test_clients_of_2_go_on_without_authentication() -> None:
    """Nimbus and a worker of 2.8.3, NONE."""
    with Daemon("--hold", "0") as daemon:
        with (
            storm_client("2.8.3", daemon) as worker,
            storm_client("2.8.3", daemon) as nimbus,
        ):
            for number in range(UPGRADES):
                written = worker.ask(f"ask SEND_PULSE {BEAT} 0{number}")
                assert written == "SEND_PULSE_RESPONSE"
                must_reload(daemon)
                read = nimbus.ask(f"ask GET_PULSE {BEAT}")
                assert read == f"GET_PULSE_RESPONSE {BEAT} 0{number}"
        log = own_lines(daemon)
    assert sum(line.endswith(": connected") for line in log) == 2


def test_clients_of_1_go_on_with_digest(digest_jaas: Path) -> None:
    """Nimbus of 1.2.4 stays authenticated, a worker stays without."""
    with (
        Daemon("--hold", "0", *options("DIGEST", digest_jaas)) as daemon,
        storm_client("1.2.4", daemon, digest_jaas, "DIGEST") as nimbus,
        storm_client("1.2.4", daemon) as worker,
    ):
        goes_on(daemon, worker, nimbus)


def test_clients_of_2_go_on_with_kerberos(realm: Realm) -> None:
    """Nimbus of 2.8.3 stays authenticated, a worker stays without."""
    server = realm.write_jaas("daemon.conf", {"PacemakerServer": SERVER})
    client = realm.write_jaas("nimbus.conf", {"PacemakerClient": NIMBUS})
    user = {"nimbus.daemon.user": "nimbus"}
    with (
        Daemon("--hold", "0", *options("KERBEROS", server, **user)) as daemon,
        storm_client("2.8.3", daemon, client, "KERBEROS") as nimbus,
        storm_client("2.8.3", daemon) as worker,
    ):
        goes_on(daemon, worker, nimbus)
