"""What these tests share with those of the client and of the cluster state."""

from __future__ import annotations

from tests.client.conftest import network, server
from tests.cluster_state.conftest import zookeeper

__all__ = ["network", "server", "zookeeper"]
