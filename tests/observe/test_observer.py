"""The reader and the threads, with real daemons."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import TypeAlias

import pytest

from pacemaker.client import PacemakerPool, ServerAddress
from pacemaker.config import Settings
from pacemaker.observe.observer import Observer
from pacemaker.observe.reader import LARGE_ROUND_S, ROUND_S, HeartbeatReader
from pacemaker.observe.tracking.cluster import TrackedCluster
from tests.client.daemons import daemon
from tests.observe import made_up
from tests.observe.made_up import NOW, TOPOLOGY, A, B

pytestmark = pytest.mark.io

Servers: TypeAlias = "list[ServerAddress]"

DEAD = "127.0.0.1:1"


@pytest.fixture
def servers() -> Iterator[list[ServerAddress]]:
    """Start two daemons."""
    with daemon() as first, daemon() as second:
        yield [first, second]


def pool_of(*servers: object) -> PacemakerPool:
    """Return a pool of these servers."""
    return PacemakerPool(Settings(servers=tuple(map(str, servers))), timeout_s=5)


def pulse(server: ServerAddress, worker: str, time_secs: int, factor: int = 1) -> None:
    """Store a heartbeat at one server."""
    details = made_up.value(made_up.executors_of(worker, factor), time_secs, 700)
    with pool_of(server) as pool:
        pool.send_pulse(f"/workerbeats/{TOPOLOGY}/{worker}", details)


def read(pool: PacemakerPool) -> TrackedCluster:
    """Do one round."""
    cluster = TrackedCluster()
    HeartbeatReader(pool, cluster, threading.Lock(), clock=lambda: NOW).read_all()
    return cluster


def test_a_round_reads_every_worker_of_every_server(
    servers: Servers,
) -> None:
    """Of two values the newer one counts, and of both servers the keys."""
    pulse(servers[0], A, NOW - 60)
    pulse(servers[1], A, NOW - 2, factor=7)
    pulse(servers[1], B, NOW)
    with pool_of(*servers) as pool:
        cluster = read(pool)
    workers = cluster.topologies[TOPOLOGY].workers
    assert {name: each.age_s for name, each in workers.items()} == {A: 2, B: 0}
    assert [server.problem for server in cluster.servers] == [None, None]
    assert cluster.servers_problem is None


def test_a_dead_server_is_named_and_the_others_are_read(
    servers: Servers,
) -> None:
    """The rest of the cluster is shown."""
    pulse(servers[0], A, NOW)
    with pool_of(servers[0], DEAD) as pool:
        cluster = read(pool)
    assert list(cluster.topologies[TOPOLOGY].workers) == [A]
    assert [bool(server.problem) for server in cluster.servers] == [False, True]


def test_no_server_at_all_is_the_problem() -> None:
    """Nothing is read, and the cluster says why."""
    with pool_of(DEAD) as pool:
        cluster = read(pool)
    assert cluster.listed_s is None
    assert cluster.servers_problem is not None


def test_a_worker_that_went_silent_is_read_again_soon(
    servers: Servers,
) -> None:
    """Between two rounds only the suspects are read."""
    pulse(servers[0], A, NOW)
    pulse(servers[0], B, NOW)
    now_s = float(NOW)
    cluster = TrackedCluster()
    with pool_of(servers[0]) as pool:
        reader = HeartbeatReader(pool, cluster, threading.Lock(), clock=lambda: now_s)
        reader.read_all()
        pulse(servers[0], B, NOW + 3)
        now_s += 6
        reader.read_all()
        now_s += 4
        reader.read_suspects()
    workers = cluster.topologies[TOPOLOGY].workers
    assert (workers[A].age_s, workers[B].read_s) == (10, NOW + 6)


def test_a_large_cluster_is_read_less_often(servers: Servers) -> None:
    """Above 5,000 workers a round takes as long as one of Nimbus."""
    cluster = TrackedCluster()
    with pool_of(servers[0]) as pool:
        reader = HeartbeatReader(pool, cluster, threading.Lock())
        assert reader.round_s() == ROUND_S
        cluster.on_listed({TOPOLOGY: map(str, range(5001))}, NOW)
        assert reader.round_s() == LARGE_ROUND_S


def test_an_observer_reads_until_it_is_closed(servers: Servers) -> None:
    """Its threads end with it, and none is left."""
    pulse(servers[0], A, int(time.time()))
    before = set(threading.enumerate())
    settings = Settings(servers=(str(servers[0]),))
    with Observer(settings, 5.0, with_zookeeper=False) as observer:
        observer.read_once()
        observer.start()
        assert [t.id for t in observer.view().topologies] == [TOPOLOGY]
        assert [e.worker for e in observer.executors(TOPOLOGY)] == [A, A, A]
        assert observer.executors("other") == []
    assert set(threading.enumerate()) == before


def test_zookeeper_that_is_not_there_leaves_the_rest(
    servers: Servers,
) -> None:
    """The view says so, and shows the heartbeats."""
    pulse(servers[0], A, int(time.time()))
    settings = Settings(
        servers=(str(servers[0]),),
        zookeeper_servers=("127.0.0.1",),
        zookeeper_port=1,
        zookeeper_connection_timeout_ms=300,
    )
    with Observer(settings, 5.0) as observer:
        observer.read_once()
        view = observer.view()
    assert view.nodes_problem is not None
    assert len(view.topologies) == 1


def test_a_view_waits_for_nobody_once_the_threads_run(servers: Servers) -> None:
    """A page shows the last view while the cluster is busy with the next one."""
    settings = Settings(servers=tuple(map(str, servers)))
    with Observer(settings, 5.0, with_zookeeper=False) as observer:
        observer.start()
        first = observer.view()
        with observer._lock:
            assert observer.view().time_s >= first.time_s
