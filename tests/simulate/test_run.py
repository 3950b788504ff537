"""Whole short runs against a daemon in this process."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator

import pytest

from pacemaker.client import PacemakerConnection, ServerAddress, requests
from pacemaker.config import Settings
from pacemaker.errors import CannotConnectError, ServerInUseError
from pacemaker.sasl.digest import DigestClient, DigestServer, digest_secret
from pacemaker.sasl.mechanism import ClientMechanismFactory
from pacemaker.sasl.secret import Secret
from pacemaker.simulate.display import Display
from pacemaker.simulate.generated_heartbeats import HEARTBEATS_PER_POOL
from pacemaker.simulate.report import RunVerdict
from pacemaker.simulate.run import SimulatedCluster, Simulation, make_cluster
from pacemaker.simulate.shape import ClusterShape
from tests.client.daemons import daemon

pytestmark = pytest.mark.io

RNG = random.Random(1)  # noqa: S311  (no secret)
SHAPE = ClusterShape(
    supervisors=5, workers=4, executors=2, topologies=3, interval_s=0.25
)


@pytest.fixture
def server() -> Iterator[ServerAddress]:
    """Start a daemon."""
    with daemon() as address:
        yield address


@pytest.fixture
def cluster() -> SimulatedCluster:
    """Make a small cluster."""
    return make_cluster(SHAPE, RNG)


def simulation(
    cluster: SimulatedCluster,
    server: ServerAddress,
    mechanism_factory: ClientMechanismFactory | None = None,
) -> Simulation:
    """Return a run of 2 s."""
    return Simulation(cluster, 2.0, server, Settings(), mechanism_factory, 30.0, RNG)


def stored(server: ServerAddress) -> list[str]:
    """Return the topologies that a server has."""
    with PacemakerConnection(server, timeout_s=30) as connection:
        return connection.request(requests.list_nodes("/workerbeats"))


def test_run_loads_reads_and_cleans_up(
    cluster: SimulatedCluster, server: ServerAddress
) -> None:
    """Each worker pulses at its interval, Nimbus reads all, and nothing is left."""
    run = simulation(cluster, server)
    run.refuse_others()
    report = run.run(Display(io.StringIO()))
    assert report.scheduled == 160  # 20 workers, 4 times a second
    assert (report.pulses.answered, report.lost) == (report.scheduled, 0)
    assert (report.rounds.count, report.reads.answered) == (1, 21)
    assert report.wrong == report.losses == {}
    assert report.value_bytes == cluster.value_bytes > 1000
    assert report.sent_bytes_per_s > 60 * report.value_bytes
    assert report.server_use is not None
    assert (run.problem, run.signal_number) == ("", None)
    assert stored(server) == []


def test_others_are_refused(cluster: SimulatedCluster, server: ServerAddress) -> None:
    """What the server holds is named, wherever it is."""
    with PacemakerConnection(server, timeout_s=30) as connection:
        connection.request(requests.send_pulse("/workerbeats/words-1-1/w-1", b"x"))
        connection.request(requests.send_pulse("/test/one", b"x"))
    with pytest.raises(ServerInUseError) as caught:
        simulation(cluster, server).refuse_others()
    assert caught.value.paths == ("/test", "/workerbeats/words-1-1")
    assert str(caught.value) == (
        f"{server} holds heartbeats of others: /test, /workerbeats/words-1-1"
    )


def test_others_stay(cluster: SimulatedCluster, server: ServerAddress) -> None:
    """A forced run removes its own topologies alone."""
    with PacemakerConnection(server, timeout_s=30) as connection:
        connection.request(requests.send_pulse("/workerbeats/words-1-1/w-1", b"x"))
    report = simulation(cluster, server).run(Display(io.StringIO()))
    assert report.wrong == {}
    assert stored(server) == ["words-1-1"]


def test_nimbus_authenticates_and_workers_do_not(cluster: SimulatedCluster) -> None:
    """With DIGEST the reads are allowed to it, and pulses to everyone, as in Storm."""
    secret = digest_secret("u", Secret("p"))
    with daemon(lambda: DigestServer(secret)) as server:
        run = simulation(cluster, server, lambda host: DigestClient(secret, "nimbus"))
        report = run.run(Display(io.StringIO()))
        assert (report.reads.answered, report.wrong, run.problem) == (21, {}, "")
        assert report.pulses.answered == report.scheduled


def test_nimbus_without_a_right_to_read_is_a_no(cluster: SimulatedCluster) -> None:
    """Reads that are refused are told, and so is what could not be looked after."""
    secret = digest_secret("u", Secret("p"))
    with daemon(lambda: DigestServer(secret)) as server:
        run = simulation(cluster, server)
        report = run.run(Display(io.StringIO()))
        assert report.wrong == {"unauthorized reads": 21}
        assert report.verdict in (RunVerdict.DOES_NOT, RunVerdict.UNKNOWN)
        assert "may not read" in run.problem


def test_server_that_is_not_there(cluster: SimulatedCluster) -> None:
    """It is an error before anything is sent."""
    with pytest.raises(CannotConnectError, match="Connection refused"):
        simulation(cluster, ServerAddress("127.0.0.1", 1)).run(Display(io.StringIO()))


def test_largest_message_is_known(cluster: SimulatedCluster) -> None:
    """Its size is that of key and heartbeat, and what is around them."""
    sizes = [
        len(beats.at(n, 0.0))
        for beats in cluster.beats
        for n in range(HEARTBEATS_PER_POOL)
    ]
    most_bytes = max(sizes)
    assert cluster.most_message_bytes == most_bytes + len(cluster.workers[0].key) + 37
