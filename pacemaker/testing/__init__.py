"""Fakes for tests of programs that use the client or the cluster state.

They need no socket, no process and no real time; docs/testing-your-code.md shows how to
use them.
"""

from pacemaker.testing.clock import MemoryClock
from pacemaker.testing.network import MemoryNetwork
from pacemaker.testing.pool import FakePool
from pacemaker.testing.server import (
    MemoryPeer,
    MemoryServer,
    Script,
    silent,
    silent_after,
)
from pacemaker.testing.zookeeper import FakeZooKeeper, ZooKeeperLink

__all__ = [
    "FakePool",
    "FakeZooKeeper",
    "MemoryClock",
    "MemoryNetwork",
    "MemoryPeer",
    "MemoryServer",
    "Script",
    "ZooKeeperLink",
    "silent",
    "silent_after",
]
