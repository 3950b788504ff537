"""A cluster whose Pacemaker lets nobody read without credentials.

KERBEROS alone: clients of 2.x cannot use DIGEST, and Nimbus of 1.2.4 makes its
first eleven attempts within a tenth of a second, so that whether it lives long
enough to be authenticated by DIGEST is a matter of luck, with the JVM's
Pacemaker too.  `tests/real/test_sasl_digest.py` has the clients of 1.2.4.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.cluster import Cluster, Setup
from tests.cluster.conftest import HostMaker
from tests.cluster.hosts import Host
from tests.cluster.pacemakers import Kind
from tests.real.jvm import NEWEST_RELEASE
from tests.real.realm import NIMBUS, SERVER, running_realm
from tests.wire import Type, Wire, ack, path_request

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(1800),
    pytest.mark.parametrize("release", [NEWEST_RELEASE], scope="module"),
]


@pytest.fixture(scope="module")
def setup(
    release: str, kind: Kind, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Setup]:
    """Say what kind of cluster: with a realm, and KERBEROS."""
    with running_realm(tmp_path_factory.mktemp("realm")) as realm:
        jaas = realm.write_jaas(
            "jaas.conf", {"PacemakerServer": SERVER, "PacemakerClient": NIMBUS}
        )
        settings = {
            "pacemaker.auth.method": "KERBEROS",
            "java.security.auth.login.config": str(jaas),
            "nimbus.daemon.user": "nimbus",
        }
        yield Setup(
            release,
            workers=2,
            kind=kind,
            settings=settings,
            options=(realm.java_options,),
        )


@pytest.fixture(scope="module")
def make_hosts() -> HostMaker:
    """Run the Pacemaker under the name that its principal has."""
    return lambda: [Host("localhost")]


def test_kerberos_lets_nimbus_read_workers_write_and_strangers_not_read(
    cluster: Cluster,
) -> None:
    """With KERBEROS on, Nimbus sees heartbeats; who has no credentials sees none.

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
