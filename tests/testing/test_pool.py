"""Tests of pacemaker.testing.pool: the dict keeps the rules of the daemon's store."""

from __future__ import annotations

from pacemaker.cluster_state.cluster_state import HeartbeatPool
from pacemaker.testing import FakePool


def test_pool_stores_lists_and_deletes() -> None:
    """It has what a cluster state asks of its pool, with Storm's rules for paths."""
    pool = FakePool()
    state_pool: HeartbeatPool = pool
    for path in ("/w/t-1/1", "/w/t-1/2", "/w/t-10/1", "/w/t-1"):
        state_pool.send_pulse(path, path.encode())
    assert state_pool.get_pulse("/w/t-1/1") == b"/w/t-1/1"
    assert state_pool.get_pulse("/w") is None
    assert state_pool.list_nodes("/w") == ["t-1", "t-10"]
    state_pool.delete_path("/w/t-1")
    assert list(pool.pulses) == ["/w/t-10/1"]
    state_pool.close()
    assert pool.is_closed
