"""The state of a Storm cluster that has Pacemakers: Storm's PaceMakerStateStorage.

The four heartbeat calls go to the Pacemakers, all others to ZooKeeper:

    with pacemaker_state_factory(settings) as state:
        for topology in state.get_children("/storms"):
            ...

Heartbeats' paths and nodes' paths are independent, even if they are spelled alike.
"""

from __future__ import annotations

from typing import Protocol

from pacemaker.cluster_state.acls import Acls
from pacemaker.cluster_state.zookeeper_client import MakeClient, kazoo_client
from pacemaker.cluster_state.zookeeper_state import ZooKeeperState
from pacemaker.config.settings import Settings


class HeartbeatPool(Protocol):
    """The calls to the Pacemakers, as in `pacemaker.client.pool.PacemakerPool`."""

    def send_pulse(self, path: str, details: bytes) -> None:
        """Store a heartbeat."""

    def get_pulse(self, path: str) -> bytes | None:
        """Return the newest heartbeat, or None."""

    def list_nodes(self, path: str) -> list[str]:
        """Return the names below a path."""

    def delete_path(self, path: str) -> None:
        """Delete a heartbeat and everything below its path."""

    def close(self) -> None:
        """Close all connections."""


class ClusterState(ZooKeeperState):
    """A Storm cluster's state.  Thread-safe; ``with`` closes it.

    The heartbeat calls raise the same errors as the pool.

    Args:
        settings: the ZooKeeper servers, the timeouts, the authentication.
        pool: the Pacemakers; it is closed with the state.
        default_acls: the ACLs of nodes that are created without any; see
            `ZooKeeperState`.
        make_client: returns the client of one session with ZooKeeper.
    """

    def __init__(
        self,
        settings: Settings,
        pool: HeartbeatPool,
        default_acls: Acls | None = None,
        make_client: MakeClient = kazoo_client,
    ) -> None:
        super().__init__(settings, default_acls, make_client)
        self._pool = pool

    def close(self) -> None:
        """Close the ZooKeeper session and all connections to Pacemakers."""
        try:
            super().close()
        finally:
            self._pool.close()

    def set_worker_hb(self, path: str, data: bytes, acls: Acls | None = None) -> None:
        """Store a worker's heartbeat on one Pacemaker.

        Args:
            path: such as ``/workerbeats/TOPOLOGY-ID/SUPERVISOR-ID-PORT``.
            data: the heartbeat, encoded by `pacemaker.heartbeats.codec.encode`.
            acls: ignored; part of Storm's call, but Pacemaker has no ACLs.
        """
        self._pool.send_pulse(path, data)

    def get_worker_hb(self, path: str, watch: bool = False) -> bytes | None:
        """Return a worker's newest heartbeat of all Pacemakers that answer, or None.

        Args:
            watch: ignored; part of Storm's call, but Pacemaker has no watches.
        """
        return self._pool.get_pulse(path)

    def get_worker_hb_children(self, path: str, watch: bool = False) -> list[str]:
        """Return the names below a path on all Pacemakers that answer, in any order.

        Args:
            watch: ignored; part of Storm's call, but Pacemaker has no watches.
        """
        return self._pool.list_nodes(path)

    def delete_worker_hb(self, path: str) -> None:
        """Delete a heartbeat and all below it, on all Pacemakers that answer."""
        self._pool.delete_path(path)
