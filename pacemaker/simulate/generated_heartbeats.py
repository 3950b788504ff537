"""Generate the heartbeats of a run in advance: real ones that change from beat to beat.

The figures of workers differ only at random, so all workers of a topology share a pool
of beats and start at different positions in it.  Their tasks differ, as in Storm: each
component has an executor in every worker of the topology.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias, TypeVar

from pacemaker.heartbeats.model import (
    BoltStats,
    ExecutorInfo,
    ExecutorStats,
    GlobalStreamId,
    SpoutStats,
    WorkerHeartbeat,
)
from pacemaker.simulate.prepared_heartbeats import PreparedHeartbeats, WorkerHeartbeats
from pacemaker.simulate.shape import ClusterShape, PlannedWorker

K = TypeVar("K")
V = TypeVar("V")
_Figures: TypeAlias = dict[str, dict[K, V]]

# The beats in a pool; after the last, a worker starts over.
HEARTBEATS_PER_POOL: Final = 16

# Storm's windows of statistics: 10 minutes, 3 hours, a day, and since the start.
_WINDOWS: Final = {"600": 600, "10800": 10800, "86400": 86400, ":all-time": 2**31}
_SPOUT_STREAMS: Final = ("default", "__ack_init", "__metrics")
_BOLT_STREAMS: Final = ("default", "__ack_ack", "__metrics")
_EXECUTORS_A_SPOUT: Final = 5
# The components that a bolt subscribes to, which determine the size of a heartbeat.
# With these, one of 10 executors has 5 KB, as in real topologies.
_SOURCES: Final = range(1, 4)
# One tuple in this many is sampled, and counts for all of them: Storm's
# topology.stats.sample.rate of 0.05.
_RATE: Final = 20
_MAX_UPTIME_SECS: Final = 30 * 86400


class _Executor:
    """One executor, whose statistics grow with its uptime."""

    def __init__(self, number: int, rng: random.Random) -> None:
        self._rng = rng
        self._is_spout = number % _EXECUTORS_A_SPOUT == 0
        streams = _SPOUT_STREAMS if self._is_spout else _BOLT_STREAMS
        self._stream_rates = {stream: rng.uniform(1, 500) for stream in streams}
        sources = [f"component-{number + step}" for step in _SOURCES]
        self._source_rates = {
            GlobalStreamId(source, "default"): rng.uniform(1, 500) for source in sources
        }

    def stats(self, uptime_secs: int) -> ExecutorStats:
        specific: BoltStats | SpoutStats
        streams, sources = self._stream_rates, self._source_rates
        if self._is_spout:
            specific = SpoutStats(
                acked=self._counts(streams, uptime_secs),
                failed=self._counts({}, uptime_secs),
                complete_ms_avg=self._averages(streams),
            )
        else:
            specific = BoltStats(
                acked=self._counts(sources, uptime_secs),
                failed=self._counts({}, uptime_secs),
                process_ms_avg=self._averages(sources),
                executed=self._counts(sources, uptime_secs),
                execute_ms_avg=self._averages(sources),
            )
        return ExecutorStats(
            emitted=self._counts(streams, uptime_secs),
            transferred=self._counts(streams, uptime_secs),
            specific=specific,
            rate=float(_RATE),
        )

    def _counts(self, rates: Mapping[K, float], uptime_secs: int) -> _Figures[K, int]:
        return {
            window: {
                key: int(rate * min(seconds, uptime_secs)) // _RATE * _RATE
                for key, rate in rates.items()
            }
            for window, seconds in _WINDOWS.items()
        }

    def _averages(self, rates: Mapping[K, float]) -> _Figures[K, float]:
        return {
            window: {key: self._rng.expovariate(1.0) for key in rates}
            for window in _WINDOWS
        }


def make_pools(
    shape: ClusterShape,
    topology_ids: Sequence[str],
    now_secs: int,
    rng: random.Random,
    epoch_s: float = 0.0,
) -> list[PreparedHeartbeats]:
    """Generate the beats of each topology's workers.

    Args:
        now_secs: the present time, in seconds since 1970.
        epoch_s: when the generator's clock began, in seconds since 1970.

    Returns:
        For each topology, a pool of `HEARTBEATS_PER_POOL` beats.
    """
    return [
        _pool(shape, topology_id, now_secs, rng, epoch_s)
        for topology_id in topology_ids
    ]


def heartbeats_of(
    shape: ClusterShape,
    pools: Sequence[PreparedHeartbeats],
    workers: Sequence[PlannedWorker],
    rng: random.Random,
) -> list[WorkerHeartbeats]:
    """Return the beats of each worker, which begin at a random one of its pool."""
    return [
        pools[worker.topology].of_worker(
            infos_of(shape, worker), rng.randrange(HEARTBEATS_PER_POOL)
        )
        for worker in workers
    ]


def infos_of(shape: ClusterShape, worker: PlannedWorker) -> list[ExecutorInfo]:
    """Return the tasks of a worker's executors, numbered as Storm does.

    Storm numbers the tasks of one component after another, and its scheduler deals the
    executors out to the workers in turn.
    """
    count = shape.workers_of(worker.topology)
    first = worker.number + 1
    tasks = range(first, first + count * shape.executors, count)
    return [ExecutorInfo(task, task) for task in tasks]


def _pool(
    shape: ClusterShape,
    topology_id: str,
    now_secs: int,
    rng: random.Random,
    epoch_s: float,
) -> PreparedHeartbeats:
    executors = {
        ExecutorInfo(number, number): _Executor(number, rng)
        for number in range(1, shape.executors + 1)
    }
    uptime_secs = rng.randrange(_MAX_UPTIME_SECS)
    ages_secs = (int(beat * shape.interval_s) for beat in range(HEARTBEATS_PER_POOL))
    beats = [
        WorkerHeartbeat(
            topology_id=topology_id,
            time_secs=now_secs + age_secs,
            uptime_secs=uptime_secs + age_secs,
            executors={
                info: executor.stats(uptime_secs + age_secs)
                for info, executor in executors.items()
            },
        )
        for age_secs in ages_secs
    ]
    return PreparedHeartbeats(beats, epoch_s)
