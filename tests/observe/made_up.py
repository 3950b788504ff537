"""A small topology, its heartbeats and its nodes, for the tests of `observe`.

The topology "words" has the components __acker (task 1), count (2 and 3), split (4) and
words (5, the spout), in the workers "sup-a-6700" and "sup-b-6701".
"""

from __future__ import annotations

from collections.abc import Mapping

from pacemaker.heartbeats import codec
from pacemaker.heartbeats.model import (
    BoltStats,
    ExecutorInfo,
    ExecutorStats,
    GlobalStreamId,
    SpoutStats,
    WorkerHeartbeat,
)
from pacemaker.observe.tracking.cluster import TrackedCluster
from pacemaker.observe.zookeeper.storm_nodes import (
    Assignment,
    ClusterNodes,
    NimbusNode,
    Slot,
    Status,
    StormBase,
    Supervisor,
)

TOPOLOGY = "words-1-1700000000"
NOW = 1_700_001_000
A, B = "sup-a-6700", "sup-b-6701"

ACKER, COUNT_1, COUNT_2, SPLIT, SPOUT = (
    ExecutorInfo(task, task) for task in range(1, 6)
)
WINDOWS = ("600", "10800", "86400", ":all-time")


def bolt(
    source: str = "split",
    executed: int = 1000,
    execute_ms: float = 2.0,
    process_ms: float = 3.0,
    streams: Mapping[str, int] | None = None,
) -> ExecutorStats:
    """Return the statistics of a bolt, the same in all windows."""
    emitted = dict(streams or {})
    key = GlobalStreamId(source, "default")
    return ExecutorStats(
        emitted=dict.fromkeys(WINDOWS, emitted),
        transferred=dict.fromkeys(WINDOWS, emitted),
        specific=BoltStats(
            acked={window: {key: executed} for window in WINDOWS},
            failed={window: {} for window in WINDOWS},
            process_ms_avg={window: {key: process_ms} for window in WINDOWS},
            executed={window: {key: executed} for window in WINDOWS},
            execute_ms_avg={window: {key: execute_ms} for window in WINDOWS},
        ),
        rate=20.0,
    )


def spout(
    acked: int = 600, failed: int = 0, complete_ms: float = 40.0
) -> ExecutorStats:
    """Return the statistics of a spout, the same in all windows."""
    emitted = {"default": acked + failed, "__ack_init": acked + failed}
    return ExecutorStats(
        emitted=dict.fromkeys(WINDOWS, emitted),
        transferred=dict.fromkeys(WINDOWS, emitted),
        specific=SpoutStats(
            acked={window: {"default": acked} for window in WINDOWS},
            failed={window: {"default": failed} for window in WINDOWS},
            complete_ms_avg={window: {"default": complete_ms} for window in WINDOWS},
        ),
        rate=20.0,
    )


def acker(executed: int = 10) -> ExecutorStats:
    """Return the statistics of an acker that has heard of all components."""
    keys = [
        GlobalStreamId("words", "__ack_init"),
        GlobalStreamId("split", "__ack_ack"),
        GlobalStreamId("count", "__ack_ack"),
    ]
    counts = {window: dict.fromkeys(keys, executed) for window in WINDOWS}
    times = {window: dict.fromkeys(keys, 0.1) for window in WINDOWS}
    emitted = {window: {"__ack_ack": executed} for window in WINDOWS}
    specific = BoltStats(counts, {}, times, counts, times)
    return ExecutorStats(emitted, emitted, specific, 20.0)


def executors_of(worker: str, factor: int = 1) -> dict[ExecutorInfo, ExecutorStats]:
    """Return the executors of a worker, with counts times a factor."""
    if worker == A:
        return {
            ACKER: acker(10 * factor),
            COUNT_1: bolt(executed=1000 * factor, streams={"__ack_ack": 10}),
            SPOUT: spout(600 * factor),
        }
    emitted = {"default": 500 * factor, "__ack_ack": 10}
    return {
        COUNT_2: bolt(executed=3000 * factor, streams={"__ack_ack": 10}),
        SPLIT: bolt("words", executed=400 * factor, streams=emitted),
    }


def value(
    executors: Mapping[ExecutorInfo, ExecutorStats],
    time_secs: int = NOW,
    uptime_secs: int = 700,
) -> bytes:
    """Return a heartbeat of the topology as it is stored."""
    return codec.encode(WorkerHeartbeat(TOPOLOGY, time_secs, uptime_secs, executors))


def beat(
    cluster: TrackedCluster,
    worker: str,
    now_s: float = NOW,
    uptime_secs: int = 700,
    factor: int = 1,
    executors: Mapping[ExecutorInfo, ExecutorStats] | None = None,
) -> None:
    """Have a worker's heartbeat read at the moment it was written."""
    shown = executors_of(worker, factor) if executors is None else executors
    details = value(shown, int(now_s), uptime_secs)
    cluster.on_value(TOPOLOGY, worker, details, now_s)


def listed(cluster: TrackedCluster, *workers: str, now_s: float = NOW) -> None:
    """Have the workers' keys listed."""
    cluster.on_listed({TOPOLOGY: list(workers)}, now_s)


def running() -> TrackedCluster:
    """Return a cluster of which both workers were read."""
    cluster = TrackedCluster()
    listed(cluster, A, B)
    beat(cluster, A)
    beat(cluster, B)
    return cluster


ASSIGNMENT = Assignment(
    hosts={"sup-a": "alpha", "sup-b": "beta"},
    executors={
        ACKER: Slot("sup-a", 6700),
        COUNT_1: Slot("sup-a", 6700),
        SPOUT: Slot("sup-a", 6700),
        COUNT_2: Slot("sup-b", 6701),
        SPLIT: Slot("sup-b", 6701),
    },
    starts_secs=dict.fromkeys((ACKER, COUNT_1, COUNT_2, SPLIT, SPOUT), NOW - 900),
)

BASE = StormBase(
    name="words",
    status=Status.ACTIVE,
    num_workers=2,
    component_executors={
        "words": 1,
        "split": 1,
        "count": 2,
        "__acker": 1,
        "__system": 0,
    },
    launch_time_secs=NOW - 950,
    owner="storm",
)

NODES = ClusterNodes(
    read_s=NOW,
    bases={TOPOLOGY: BASE},
    assignments={TOPOLOGY: ASSIGNMENT},
    supervisors={
        "sup-a": Supervisor("alpha", (6700,), (6700, 6701), 5000, "2.8.3"),
        "sup-b": Supervisor("beta", (6701,), (6700, 6701), 5000, "2.8.3"),
    },
    nimbuses=(NimbusNode("alpha", 6627, NOW - 9000, "2.8.3", True),),
)
