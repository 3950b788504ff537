"""Our client and Storm's own, crosswise, at Storm's Pacemaker and at ours."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pacemaker.client import PacemakerPool, ServerAddress
from pacemaker.config import AuthMethod, Settings
from pacemaker.errors import NoServerError, NotAuthorizedError
from pacemaker.heartbeats import codec
from pacemaker.heartbeats.model import WorkerHeartbeat
from tests.real.clients import StormClient
from tests.real.daemons import Daemon, JvmDaemon
from tests.real.realm import NIMBUS, SERVER, Realm
from tests.real.test_sasl_daemon import options, write_digest_jaas

pytestmark = pytest.mark.real

TOPOLOGY = "words+1-1-1700000000"
BEAT = f"/workerbeats/{TOPOLOGY}/7a4e-6700"
DAEMON_RELEASES = ("1.2.4", "2.8.3")
TIMEOUT_S = 60.0


def pool_over(
    daemon: Daemon | JvmDaemon,
    method: AuthMethod = AuthMethod.NONE,
    jaas_file: Path | None = None,
) -> PacemakerPool:
    """Make our pool over one daemon; a JVM may be slow at first."""
    servers = (str(ServerAddress("localhost", daemon.address[1])),)
    settings = Settings(servers=servers, auth_method=method, jaas_file=jaas_file)
    return PacemakerPool(settings, timeout_s=TIMEOUT_S)


@pytest.fixture(scope="module", params=["1.2.4", "2.8.3", "ours"])
def server(request: pytest.FixtureRequest) -> Iterator[Daemon | JvmDaemon]:
    """Start each Pacemaker."""
    with Daemon() if request.param == "ours" else JvmDaemon(request.param) as daemon:
        yield daemon


@pytest.fixture
def pool(server: Daemon | JvmDaemon) -> Iterator[PacemakerPool]:
    """Make our pool over it, and leave nothing stored."""
    with pool_over(server) as pool:
        yield pool
        pool.delete_path("/")


def test_pool_does_everything_at_each_pacemaker(pool: PacemakerPool) -> None:
    """Every call of the pool means the same to Storm's servers and to ours."""
    assert [health.error for health in pool.ping()] == [None]
    pool.create_path("/workerbeats")
    assert pool.get_pulse(BEAT) is None
    assert pool.list_nodes("/workerbeats") == []
    for number in range(3):
        pool.send_pulse(f"/workerbeats/t-{number}-1/w", bytes([number]))
    pool.send_pulse(BEAT, b"")
    assert pool.get_pulse(BEAT) == b""
    assert pool.exists(BEAT)
    assert not pool.exists("/workerbeats")
    names = ["t-0-1", "t-1-1", "t-2-1", TOPOLOGY]
    assert pool.list_nodes("/workerbeats") == names
    pool.delete_pulse("/workerbeats/t-0-1/w")
    pool.delete_path("/workerbeats/t-1-1")
    assert pool.list_nodes("/workerbeats") == names[2:]


def test_pool_carries_large_heartbeats_to_each_pacemaker(pool: PacemakerPool) -> None:
    """A value of 1 MiB goes to and fro in many segments."""
    details = bytes(range(256)) * 4096
    pool.send_pulse(BEAT, details)
    assert pool.get_pulse(BEAT) == details


@pytest.mark.parametrize("release", DAEMON_RELEASES)
def test_each_reads_what_the_other_wrote(
    server: Daemon | JvmDaemon, pool: PacemakerPool, release: str
) -> None:
    """Storm's cluster state and our pool see each other's heartbeats and deletes."""
    now_secs = int(time.time())
    with StormClient(release, server.address[1], "localhost") as storm:
        storm.ask_until(f"write {BEAT} {now_secs}", "ok")
        details = pool.get_pulse(BEAT)
        assert details is not None
        assert codec.decode(details).time_secs == now_secs
        assert codec.decode(details).topology_id == "topology-1-1"
        ours = WorkerHeartbeat(TOPOLOGY, now_secs + 1, 60, {})
        pool.send_pulse(BEAT, codec.encode(ours))
        storm.ask_until(f"read {BEAT}", str(now_secs + 1))
        storm.ask_until("children /workerbeats", TOPOLOGY)
        assert pool.list_nodes("/workerbeats") == [TOPOLOGY]
        pool.delete_path(f"/workerbeats/{TOPOLOGY}")
        storm.ask_until(f"read {BEAT}", "none")
        pool.send_pulse(BEAT, codec.encode(ours))
        storm.ask_until(f"delete {BEAT}", "ok")
        assert not pool.exists(BEAT)


# Authentication.


def read_and_write(nimbus: PacemakerPool, worker: PacemakerPool) -> None:
    """See that a worker may write, and only who authenticated may read."""
    worker.send_pulse(BEAT, b"beat")
    with pytest.raises(NotAuthorizedError):
        worker.get_pulse(BEAT)
    assert nimbus.get_pulse(BEAT) == b"beat"
    assert nimbus.list_nodes("/workerbeats") == [TOPOLOGY]
    assert nimbus.exists(BEAT)
    nimbus.send_pulse(BEAT, b"other")
    assert nimbus.get_pulse(BEAT) == b"other"
    worker.delete_path(BEAT)
    assert nimbus.get_pulse(BEAT) is None


@pytest.mark.parametrize("which", [*DAEMON_RELEASES, "ours"])
def test_digest_client_reads_at_each_pacemaker(which: str, tmp_path: Path) -> None:
    """With DIGEST our client reads, which the client of Storm 2.x itself cannot."""
    jaas_file = write_digest_jaas(tmp_path / "jaas.conf")
    with (
        _started(which, "DIGEST", jaas_file) as daemon,
        pool_over(daemon, AuthMethod.DIGEST, jaas_file) as nimbus,
        pool_over(daemon) as worker,
    ):
        read_and_write(nimbus, worker)
        wrong = write_digest_jaas(tmp_path / "wrong.conf", "wrong")
        with (
            pool_over(daemon, AuthMethod.DIGEST, wrong) as stranger,
            pytest.raises(NoServerError, match="during authentication"),
        ):
            stranger.get_pulse(BEAT)


def _started(
    which: str, method: str, jaas_file: Path, **further: str
) -> Daemon | JvmDaemon:
    if which == "ours":
        return Daemon(*options(method, jaas_file, **further))
    settings = {
        "pacemaker.auth.method": method,
        "java.security.auth.login.config": str(jaas_file),
        **further,
    }
    return JvmDaemon(which, settings)


@pytest.mark.parametrize("which", ["2.8.3", "ours"])
def test_kerberos_client_reads_at_each_pacemaker(which: str, realm: Realm) -> None:
    """With KERBEROS our client gets its ticket by keytab, and reads."""
    principals = {"PacemakerServer": SERVER, "PacemakerClient": NIMBUS}
    jaas_file = realm.write_jaas(f"{which}.conf", principals)
    user = {"nimbus.daemon.user": "nimbus"}
    with (
        _started(which, "KERBEROS", jaas_file, **user) as daemon,
        pool_over(daemon, AuthMethod.KERBEROS, jaas_file) as nimbus,
        pool_over(daemon) as worker,
    ):
        read_and_write(nimbus, worker)
