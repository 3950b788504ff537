"""Heartbeats for the tests: one of each kind, and any that Storm could write."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from pacemaker.heartbeats.model import (
    BoltStats,
    ExecutorInfo,
    ExecutorStats,
    GlobalStreamId,
    SpoutStats,
    WorkerHeartbeat,
)

SOURCE = GlobalStreamId("spout", "default")
SPOUT = ExecutorStats(
    emitted={":all-time": {"default": 3}, "600": {}},
    transferred={":all-time": {"default": 5}},
    specific=SpoutStats(
        acked={"600": {"default": 2}},
        failed={},
        complete_ms_avg={"600": {"default": 1.5}},
    ),
    rate=20.0,
)
BOLT = ExecutorStats(
    emitted={},
    transferred={},
    specific=BoltStats(
        acked={"600": {SOURCE: 1}},
        failed={"600": {}},
        process_ms_avg={"600": {SOURCE: 0.5}},
        executed={"600": {SOURCE: 2**40}},
        execute_ms_avg={"600": {SOURCE: -0.0}},
    ),
    rate=1.0,
)
HEARTBEAT = WorkerHeartbeat(
    topology_id="wörter-1-1700000000",
    time_secs=1700000123,
    uptime_secs=77,
    executors={ExecutorInfo(1, 1): SPOUT, ExecutorInfo(2, 4): BOLT},
)


def large_heartbeat(executors: int, streams: int) -> WorkerHeartbeat:
    """Return a heartbeat of bolts with so many streams, in and out."""
    windows = (":all-time", "600", "10800", "86400")
    names = [f"stream-{number}" for number in range(streams)]
    counts = {window: dict.fromkeys(names, 10**6) for window in windows}
    sources = [GlobalStreamId("component", name) for name in names]
    by_source = {window: dict.fromkeys(sources, 10**6) for window in windows}
    averages = {window: dict.fromkeys(sources, 0.25) for window in windows}
    bolt = BoltStats(by_source, by_source, averages, by_source, averages)
    stats = ExecutorStats(counts, counts, bolt, 20.0)
    return WorkerHeartbeat(
        "large-1-1700000000",
        1700000123,
        77,
        {ExecutorInfo(task, task): stats for task in range(executors)},
    )


def _windows(keys: st.SearchStrategy[Any], values: st.SearchStrategy[Any]) -> Any:
    figures = st.dictionaries(keys, values, max_size=3)
    return st.dictionaries(_texts, figures, max_size=3)


_texts = st.text(st.characters(codec="utf-8"), max_size=8)
_i32 = st.integers(-(2**31), 2**31 - 1)
_i64 = st.integers(-(2**63), 2**63 - 1)
_doubles = st.floats(allow_nan=False)
_sources = st.builds(GlobalStreamId, _texts, _texts)
_counts = _windows(_texts, _i64)
_counts_by_source = _windows(_sources, _i64)
_averages_by_source = _windows(_sources, _doubles)
_bolts = st.builds(
    BoltStats,
    _counts_by_source,
    _counts_by_source,
    _averages_by_source,
    _counts_by_source,
    _averages_by_source,
)
_spouts = st.builds(SpoutStats, _counts, _counts, _windows(_texts, _doubles))
_stats = st.builds(ExecutorStats, _counts, _counts, _bolts | _spouts, _doubles)
_executors = st.dictionaries(st.builds(ExecutorInfo, _i32, _i32), _stats, max_size=2)

heartbeats = st.builds(WorkerHeartbeat, _texts, _i32, _i32, _executors)
"""Any heartbeat with a time of 32 bits."""

wide_heartbeats = st.builds(WorkerHeartbeat, _texts, _i64, _i32, _executors)
"""Any heartbeat with a time of 64 bits."""
