"""A cluster whose Pacemaker lets nobody read without credentials."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.cluster import Cluster, Setup
from tests.cluster.conftest import HostMaker
from tests.cluster.hosts import Host
from tests.cluster.pacemakers import Kind
from tests.cluster.releases import RELEASES
from tests.real.realm import NIMBUS, SERVER, running_realm
from tests.wire import Type, Wire, ack, path_request

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(1800),
    pytest.mark.parametrize("release", RELEASES, scope="module"),
]

DIGEST_SECTION = """\
PacemakerDigest {
    org.apache.zookeeper.server.auth.DigestLoginModule required
    username="cluster" password="only for tests";
};
"""


@pytest.fixture(scope="module")
def setup(
    release: str, kind: Kind, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Setup]:
    """Say what kind of cluster: KERBEROS, or DIGEST, which 2.x cannot use."""
    folder = tmp_path_factory.mktemp("credentials")
    if release.startswith("1."):
        yield _digest(release, kind, folder)
        return
    with running_realm(folder) as realm:
        jaas = realm.write_jaas(
            "jaas.conf", {"PacemakerServer": SERVER, "PacemakerClient": NIMBUS}
        )
        settings = {"nimbus.daemon.user": "nimbus"}
        options = (realm.java_options,)
        yield _setup(release, kind, "KERBEROS", jaas, settings, options)


def _digest(release: str, kind: Kind, folder: Path) -> Setup:
    jaas = folder / "jaas.conf"
    jaas.write_text(DIGEST_SECTION)
    return _setup(release, kind, "DIGEST", jaas)


def _setup(
    release: str,
    kind: Kind,
    method: str,
    jaas: Path,
    settings: dict[str, str] | None = None,
    options: tuple[str, ...] = (),
) -> Setup:
    return Setup(
        release,
        workers=2,
        kind=kind,
        settings={
            "pacemaker.auth.method": method,
            "java.security.auth.login.config": str(jaas),
            **(settings or {}),
        },
        options=options,
    )


@pytest.fixture(scope="module")
def make_hosts() -> HostMaker:
    """Run the Pacemaker under the name that its principal has."""
    return lambda: [Host("localhost")]


def test_nimbus_reads_workers_write_and_strangers_read_nothing(
    cluster: Cluster,
) -> None:
    """With the method on, Nimbus sees heartbeats and a client without credentials none.

    The fixture has waited until Nimbus has an uptime for each executor: workers
    write, and Nimbus reads.
    """
    (name, *_) = cluster.placement().workers
    path = f"/workerbeats/{cluster.topology_id}/{name}"
    for type_ in (Type.GET_PULSE, Type.EXISTS, Type.GET_ALL_NODES_FOR_PATH):
        with Wire(cluster.pacemakers[0].address) as stranger:
            reply = stranger.ask(path_request(type_, path, 1))
        assert reply == ack(Type.NOT_AUTHORIZED, 1), type_.name
    assert not cluster.not_alive(0)
