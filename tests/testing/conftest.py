"""The ZooKeepers of these tests, which are those of the cluster state's tests."""

from __future__ import annotations

from tests.cluster_state.conftest import zookeeper

__all__ = ["zookeeper"]
