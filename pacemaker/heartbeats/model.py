"""The data model of heartbeats: what a worker reports about itself and its executors.

The names are those of Storm's IDL.  In all statistics the outer key is a time window as
Storm writes it: a number of seconds, or ``:all-time``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, TypeVar

T = TypeVar("T")


class ExecutorInfo(NamedTuple):
    """The tasks that one executor runs, including both ends."""

    task_start: int
    task_end: int


class GlobalStreamId(NamedTuple):
    """The stream of a component that a bolt's tuples came from."""

    component_id: str
    stream_id: str


# Statistics by window and by the stream that the tuples go to.
ByStream: TypeAlias = Mapping[str, Mapping[str, T]]

# Statistics by window and by the stream that the tuples came from.
BySource: TypeAlias = Mapping[str, Mapping[GlobalStreamId, T]]


@dataclass(frozen=True, slots=True)
class BoltStats:
    """Statistics of the tuples that a bolt received; averages in milliseconds."""

    acked: BySource[int]
    failed: BySource[int]
    process_ms_avg: BySource[float]
    executed: BySource[int]
    execute_ms_avg: BySource[float]


@dataclass(frozen=True, slots=True)
class SpoutStats:
    """Statistics of a spout's tuples; averages in milliseconds."""

    acked: ByStream[int]
    failed: ByStream[int]
    complete_ms_avg: ByStream[float]


@dataclass(frozen=True, slots=True)
class ExecutorStats:
    """The statistics of one executor.

    Attributes:
        emitted: tuples emitted.
        transferred: tuples sent, counted once for each receiver.
        specific: the statistics that only bolts or only spouts have.
        rate: the number of tuples that each sampled one stands for: 20.0 with
            Storm's default of 0.05 for topology.stats.sample.rate.  The counts have
            already been multiplied by it.
    """

    emitted: ByStream[int]
    transferred: ByStream[int]
    specific: BoltStats | SpoutStats
    rate: float


@dataclass(frozen=True, slots=True)
class WorkerHeartbeat:
    """One heartbeat of one worker: Storm's ``ClusterWorkerHeartbeat``.

    Attributes:
        topology_id: the topology that the worker serves: Storm's ``storm_id``.
        time_secs: its time in seconds since 1970, by the worker's clock.
        uptime_secs: how long the worker had been running.
        executors: the worker's executors: Storm's ``executor_stats``.
    """

    topology_id: str
    time_secs: int
    uptime_secs: int
    executors: Mapping[ExecutorInfo, ExecutorStats]
