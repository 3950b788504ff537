"""Opens the state of a cluster, as Storm's ``pacemaker_state_factory`` does."""

from __future__ import annotations

from pacemaker.client.pool import PacemakerPool
from pacemaker.cluster_state.acls import Acls
from pacemaker.cluster_state.cluster_state import ClusterState, HeartbeatPool
from pacemaker.config.settings import Settings


def pacemaker_state_factory(
    settings: Settings,
    *,
    pool: HeartbeatPool | None = None,
    default_acls: Acls | None = None,
) -> ClusterState:
    """Connect to a cluster's Pacemakers and its ZooKeeper.

    Args:
        settings: as `pacemaker.config.load_configuration` reads them.
        pool: the Pacemakers; made from the settings unless given, and closed with
            the state, or if this fails.
        default_acls: the ACLs of nodes that are made without any; as Nimbus's
            unless given: `CREATOR_ALL` where storm.zookeeper.auth.scheme is set,
            else `OPEN`.

    Returns:
        The state, connected to ZooKeeper; for a ``with`` block.  Pacemakers are
        connected to when they are first asked.

    Raises:
        ConfigError: the settings name no Pacemaker or no host of ZooKeeper, or the
            authentication that they name cannot be used.
        UnavailableError: no connection to ZooKeeper within
            storm.zookeeper.connection.timeout.
        ZooKeeperError: ZooKeeper refuses the authentication, or does not let
            storm.zookeeper.root be made.
    """
    state = ClusterState(settings, pool or PacemakerPool(settings), default_acls)
    state.start()
    return state
