"""Fakes for tests of programs that use the client or the cluster state.

They need no socket, no process and no real time; docs/testing-your-code.md shows how to
use them.
"""

from pacemaker.testing.pool import FakePool
from pacemaker.testing.zookeeper import FakeZooKeeper, ZooKeeperLink

__all__ = ["FakePool", "FakeZooKeeper", "ZooKeeperLink"]
