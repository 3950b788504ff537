"""Storm's own clients authenticate to our daemon, and workers write to it without."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.child import ChildError
from tests.real.clients import StormClient
from tests.real.daemons import Daemon, Served
from tests.real.realm import NIMBUS, SERVER, SUPERVISOR, Realm

pytestmark = pytest.mark.real

PASSWORD = "correct-horse-battery-staple"
BEAT = "/workerbeats/words-1-1700000000/7a4e-6700"

READS = (
    f"EXISTS {BEAT}",
    f"GET_PULSE {BEAT}",
    "GET_ALL_NODES_FOR_PATH /workerbeats",
    "GET_ALL_PULSE_FOR_PATH /workerbeats",
)


def write_digest_jaas(file: Path, password: str = PASSWORD) -> Path:
    """Write a JAAS file as Storm's documentation has it, in a form that a JVM takes."""
    file.write_text(
        "PacemakerDigest {\n"
        "    org.apache.zookeeper.server.auth.DigestLoginModule required\n"
        f'    username="cluster" password="{password}";\n'
        "};\n"
    )
    file.chmod(0o600)
    return file


def options(method: str, jaas_file: Path, **further: str) -> list[str]:
    """Write the daemon's options for a method of authentication."""
    settings = {
        "pacemaker.auth.method": method,
        "java.security.auth.login.config": str(jaas_file),
        **further,
    }
    return [word for item in settings.items() for word in ("-c", "=".join(item))]


def storm_client(
    release: str, daemon: Served, jaas_file: Path | None = None, method: str = "NONE"
) -> StormClient:
    """Start Storm's client, with or without credentials."""
    settings = {"pacemaker.auth.method": method}
    if jaas_file:
        settings["java.security.auth.login.config"] = str(jaas_file)
    port = daemon.address[1]
    return StormClient(release, port, "localhost", settings=settings)


@pytest.fixture(scope="module")
def digest_jaas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the cluster's JAAS file for DIGEST."""
    return write_digest_jaas(tmp_path_factory.mktemp("jaas") / "jaas.conf")


@pytest.fixture(scope="module")
def digest_daemon(digest_jaas: Path, attack: str | None) -> Iterator[Daemon]:
    """Start our daemon with DIGEST."""
    with Daemon("--log-level", "debug", *options("DIGEST", digest_jaas)) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def kerberos_daemon(realm: Realm, attack: str | None) -> Iterator[Daemon]:
    """Start our daemon with KERBEROS."""
    jaas_file = realm.write_jaas("daemon.conf", {"PacemakerServer": SERVER})
    user = {"nimbus.daemon.user": "nimbus"}
    with Daemon(*options("KERBEROS", jaas_file, **user)) as daemon:
        yield daemon


def send(client: StormClient, command: str) -> None:
    """Send a command that will get no answer."""
    with contextlib.suppress(ChildError):
        client.ask(command, timeout_s=0.01)


def write_and_read(worker: StormClient, nimbus: StormClient) -> None:
    """Let a worker write, and see that Nimbus may read and the worker may not."""
    assert worker.ask(f"ask SEND_PULSE {BEAT} 00ff") == "SEND_PULSE_RESPONSE"
    for read in READS:
        assert worker.ask(f"ask {read}") == "NOT_AUTHORIZED"
    assert nimbus.ask(f"ask {READS[0]}") == "EXISTS_RESPONSE true"
    assert nimbus.ask(f"ask {READS[1]}") == f"GET_PULSE_RESPONSE {BEAT} 00ff"
    topologies = nimbus.ask(f"ask {READS[2]}")
    assert topologies == "GET_ALL_NODES_FOR_PATH_RESPONSE words-1-1700000000"
    assert nimbus.ask(f"ask SEND_PULSE {BEAT} 01") == "SEND_PULSE_RESPONSE"
    assert nimbus.ask(f"ask {READS[1]}") == f"GET_PULSE_RESPONSE {BEAT} 01"
    assert worker.ask(f"ask DELETE_PATH {BEAT}") == "DELETE_PATH_RESPONSE"
    assert nimbus.ask(f"ask {READS[0]}") == "EXISTS_RESPONSE false"


def test_storm_1_reads_with_digest(digest_daemon: Daemon, digest_jaas: Path) -> None:
    """The client of 1.2.4 reads with DIGEST; workers of both lines only write."""
    with storm_client("1.2.4", digest_daemon, digest_jaas, "DIGEST") as nimbus:
        for release in ("1.2.4", "2.8.3"):
            with storm_client(release, digest_daemon) as worker:
                write_and_read(worker, nimbus)


def test_storm_2_reads_with_kerberos(realm: Realm, kerberos_daemon: Daemon) -> None:
    """The client of 2.8.3 reads with KERBEROS; a worker only writes."""
    jaas_file = realm.write_jaas("nimbus.conf", {"PacemakerClient": NIMBUS})
    with (
        storm_client("2.8.3", kerberos_daemon, jaas_file, "KERBEROS") as nimbus,
        storm_client("2.8.3", kerberos_daemon) as worker,
    ):
        write_and_read(worker, nimbus)


def test_storm_2_as_another_principal_is_refused(
    realm: Realm, kerberos_daemon: Daemon
) -> None:
    """A genuine ticket of another principal is logged with its name, and closed."""
    jaas_file = realm.write_jaas("supervisor.conf", {"PacemakerClient": SUPERVISOR})
    daemon = kerberos_daemon
    with storm_client("2.8.3", daemon, jaas_file, "KERBEROS") as client:
        send(client, f"ask GET_PULSE {BEAT}")
        daemon.logged(rf"closed: not nimbus\.daemon\.user: {SUPERVISOR}")


def test_daemon_with_a_wrong_password_is_logged_and_closed(
    digest_daemon: Daemon, tmp_path: Path
) -> None:
    """A client with another password is closed, with its address and the reason."""
    jaas_file = write_digest_jaas(tmp_path / "jaas.conf", "wrong")
    with storm_client("1.2.4", digest_daemon, jaas_file, "DIGEST") as client:
        send(client, f"ask GET_PULSE {BEAT}")
        digest_daemon.logged(r"127\.0\.0\.1.*closed: wrong secret")


def test_daemon_never_logs_the_password(digest_daemon: Daemon) -> None:
    """After all of the above, at the most talkative level, no password is logged."""
    log = digest_daemon.stderr.all()
    assert any("authentication: DIGEST" in line for line in log)
    assert not any(PASSWORD in line for line in log)
