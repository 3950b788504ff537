"""Tests of the cluster state that need no ZooKeeper."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pacemaker.client.pool import PacemakerPool
from pacemaker.cluster_state.cluster_state import ClusterState, HeartbeatPool
from pacemaker.config.settings import Settings
from pacemaker.errors import ConfigError, UnavailableError
from pacemaker.testing import FakePool

BEAT = "/workerbeats/t-1/n-1"


def test_heartbeats_go_to_the_pool() -> None:
    """The heartbeat calls are the pool's, whatever ACL or watch a caller gives."""
    pool = FakePool()
    with ClusterState(Settings(), pool) as state:
        state.set_worker_hb(BEAT, b"beat", [])
        assert pool.pulses == {BEAT: b"beat"}
        assert state.get_worker_hb(BEAT, watch=True) == b"beat"
        assert state.get_worker_hb_children("/workerbeats", watch=True) == ["t-1"]
        state.delete_worker_hb("/workerbeats/t-1")
        assert state.get_worker_hb(BEAT) is None
    assert pool.is_closed


def test_pool_of_pacemakers_is_one() -> None:
    """The pool that the factory makes has what the state asks of one."""
    with PacemakerPool(Settings(servers=("127.0.0.1",))) as made:
        pool: HeartbeatPool = made
        assert isinstance(pool, PacemakerPool)


def test_state_that_was_never_started_ends() -> None:
    """A state may be closed whatever became of it, and serves no more then."""
    state = ClusterState(Settings(), FakePool())
    state.close()
    state.close()
    with pytest.raises(UnavailableError, match="it is closed"):
        state.get_data("/a")
    assert repr(state) == (
        "<ClusterState /storm <ZooKeeperSession it is closed watches=0>>"
    )


@pytest.mark.parametrize("servers", [(), ("zk1:2181",), ("a..b",)])
def test_servers_that_are_no_hosts_are_an_error(servers: tuple[str, ...]) -> None:
    """Settings that were not read from a file are checked as well."""
    with pytest.raises(ConfigError, match=r"^storm\.zookeeper\.servers: \[.*: must "):
        ClusterState(Settings(zookeeper_servers=servers), FakePool())


@pytest.mark.io
@pytest.mark.parametrize(
    "module",
    ["pacemaker.cli.serve", "pacemaker.client.pool", "pacemaker.heartbeats.codec"],
)
def test_who_needs_no_zookeeper_does_not_load_it(module: str) -> None:
    """The daemon, the pool and the values come without a ZooKeeper client."""
    code = f"import sys, {module}; sys.exit('kazoo' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
