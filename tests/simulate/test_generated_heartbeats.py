"""Heartbeats of a run: Storm's own, which change from beat to beat."""

from __future__ import annotations

import random

from pacemaker.heartbeats import codec
from pacemaker.heartbeats.model import BoltStats, SpoutStats
from pacemaker.observe.tracking.cluster import TrackedCluster
from pacemaker.observe.views.make_views import make_cluster_view
from pacemaker.simulate.generated_heartbeats import (
    HEARTBEATS_PER_POOL,
    heartbeats_of,
    infos_of,
    make_pools,
)
from pacemaker.simulate.shape import ClusterShape, plan_workers

SHAPE = ClusterShape(
    supervisors=2, workers=3, executors=10, topologies=2, interval_s=3.0
)
RNG = random.Random(1)  # noqa: S311  (no secret)
IDS = ("a-1-1", "b-2-1")
NOW = 1_700_000_000
POOLS = make_pools(SHAPE, IDS, NOW, RNG, epoch_s=NOW)
PLANNED = plan_workers(SHAPE, IDS, RNG)
WORKERS = heartbeats_of(SHAPE, POOLS, PLANNED, RNG)


def beats(worker: int) -> list[bytes]:
    """Return a round of a worker's beats."""
    return [
        WORKERS[worker].at(number, 3.0 * number)
        for number in range(HEARTBEATS_PER_POOL)
    ]


def test_values_are_heartbeats_of_the_topology() -> None:
    """Each is gzipped, as Storm 2.x writes, and has the shape's executors."""
    for worker, planned in enumerate(PLANNED):
        for details in beats(worker):
            assert details.startswith(b"\x1f\x8b")
            beat = codec.decode(details)
            assert beat.topology_id == IDS[planned.topology]
            assert list(beat.executors) == infos_of(SHAPE, planned)
            kinds = {type(stats.specific) for stats in beat.executors.values()}
            assert kinds == {BoltStats, SpoutStats}


def test_each_executor_runs_in_one_worker() -> None:
    """The tasks of a topology are numbered from 1, and dealt out to its workers."""
    for topology in range(2):
        tasks = [
            info.task_start
            for planned in PLANNED
            if planned.topology == topology
            for info in infos_of(SHAPE, planned)
        ]
        assert sorted(tasks) == list(range(1, 31))


def test_observe_sees_a_sound_cluster() -> None:
    """No executor moves, no worker restarts, and each component has one in each."""
    cluster = TrackedCluster()
    names = [planned.key.split("/")[2:] for planned in PLANNED]
    by_topology = {each: [n for t, n in names if t == each] for each in IDS}
    for number in range(5):
        now_s = NOW + 3.0 * number
        cluster.on_listed(by_topology, now_s)
        for worker, (topology_id, name) in enumerate(names):
            details = WORKERS[worker].at(number, 3.0 * number)
            cluster.on_value(topology_id, name, details, now_s)
    assert list(cluster.events) == []
    for topology in make_cluster_view(cluster, NOW + 12.0).topologies:
        assert [worker.state for worker in topology.workers] == ["ok"] * 3
        assert [each.executors for each in topology.components] == [3] * 10


def test_values_change_from_beat_to_beat() -> None:
    """Time and uptime go on by the interval, the counts grow, no two are the same."""
    found = [codec.decode(details) for details in beats(0)]
    assert [beat.time_secs - NOW for beat in found] == [
        3 * n for n in range(HEARTBEATS_PER_POOL)
    ]
    assert found[5].uptime_secs - found[0].uptime_secs == 15
    totals = [
        next(iter(beat.executors.values())).emitted[":all-time"]["default"]
        for beat in found
    ]
    start = totals.index(min(totals))
    in_order = totals[start:] + totals[:start]
    assert in_order == sorted(in_order)
    assert in_order[0] < in_order[-1]
    values = {details for worker in range(6) for details in beats(worker)}
    assert len(values) == 6 * HEARTBEATS_PER_POOL


def test_counts_are_sampled_as_storms_are() -> None:
    """The rate is the factor by which the counts are multiplied, 20 by default."""
    for stats in codec.decode(beats(0)[0]).executors.values():
        assert stats.rate == 20.0
        counts = [each for by in stats.emitted.values() for each in by.values()]
        assert all(count % 20 == 0 for count in counts)
        assert any(counts)


def test_size_is_that_of_real_heartbeats() -> None:
    """One of 10 executors has about 5 KB, as Storm's have."""
    assert all(4500 < len(details) < 6500 for details in beats(0))
