"""The ZooKeepers of these tests: the same as those of the cluster state's."""

from __future__ import annotations

from tests.cluster_state.conftest import zookeeper

__all__ = ["zookeeper"]
