"""A cluster whose Pacemaker lets nobody read without credentials.

KERBEROS with 2.x, whose clients cannot use DIGEST; DIGEST with 1.2.4.

Nimbus of 1.2.4 begins to read as soon as its client exists.  It makes eleven attempts,
separated only by the time that it takes to log each error, and ends itself if the
client has not authenticated by then.  With a fast log that happens at every start, with
either Pacemaker.  So the log is slow here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pacemaker.cli.output import exit_codes
from tests.cluster.cluster import Cluster, Setup
from tests.cluster.commands import WITHOUT_CREDENTIALS
from tests.cluster.conftest import HostMaker
from tests.cluster.hosts import Host
from tests.cluster.pacemakers import Kind
from tests.cluster.releases import OLDEST_RELEASE, RELEASES
from tests.real.realm import NIMBUS, SERVER, running_realm

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(1800),
    pytest.mark.parametrize("release", RELEASES, scope="module"),
]

LINE_PAUSE_S = 0.002
"""Some 600 lines, of 11 attempts, then take longer than to authenticate."""

DIGEST_JAAS = """\
PacemakerDigest {
    org.apache.zookeeper.server.auth.DigestLoginModule required
    username="storm"
    password="of a test";
};
"""


@pytest.fixture(scope="module")
def setup(
    release: str, kind: Kind, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Setup]:
    """Say what kind of cluster: with the method that its clients can use."""
    folder = tmp_path_factory.mktemp("credentials")
    if release == OLDEST_RELEASE:
        jaas = folder / "jaas.conf"
        jaas.touch(mode=0o600)
        jaas.write_text(DIGEST_JAAS)
        yield _setup(release, kind, "DIGEST", jaas)._replace(
            nimbus_line_pause_s=LINE_PAUSE_S
        )
        return
    with running_realm(folder) as realm:
        jaas = realm.write_jaas(
            "jaas.conf", {"PacemakerServer": SERVER, "PacemakerClient": NIMBUS}
        )
        yield _setup(release, kind, "KERBEROS", jaas, realm.java_options)


def _setup(release: str, kind: Kind, method: str, jaas: Path, *options: str) -> Setup:
    settings = {
        "pacemaker.auth.method": method,
        "java.security.auth.login.config": str(jaas),
        "nimbus.daemon.user": "nimbus",
    }
    return Setup(release, workers=2, kind=kind, settings=settings, options=options)


@pytest.fixture(scope="module")
def make_hosts() -> HostMaker:
    """Run the Pacemaker under the name that its principal has."""
    return lambda: [Host("localhost")]


def test_nimbus_reads_workers_write_and_strangers_read_nothing(
    cluster: Cluster,
) -> None:
    """Nimbus sees heartbeats, and so do our commands; but not without credentials.

    The fixture has waited until Nimbus has an uptime for each executor: workers
    write, and Nimbus reads.
    """
    cluster.wait_for_round()
    path = f"/workerbeats/{cluster.topology_id}"
    workers = cluster.placement().workers
    assert set(cluster.commands.names(path)) == workers
    assert cluster.commands.heartbeat(f"{path}/{min(workers)}")["executors"]
    for command in ("ls", "get", "exists"):
        done = cluster.commands.run(command, path, *WITHOUT_CREDENTIALS)
        assert done.returncode == exit_codes.NOT_AUTHORIZED, done
        assert not done.stdout, done
    assert not cluster.not_alive(0)
