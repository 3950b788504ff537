"""Open the state of a cluster, as Storm's ``pacemaker_state_factory`` does."""

from __future__ import annotations

from pacemaker.client.pool import PacemakerPool
from pacemaker.cluster_state.acls import Acls
from pacemaker.cluster_state.cluster_state import ClusterState, HeartbeatPool
from pacemaker.cluster_state.zookeeper_client import MakeClient, kazoo_client
from pacemaker.config.settings import Settings


def pacemaker_state_factory(
    settings: Settings,
    *,
    pool: HeartbeatPool | None = None,
    default_acls: Acls | None = None,
    make_client: MakeClient = kazoo_client,
) -> ClusterState:
    """Connect to a cluster's Pacemakers and its ZooKeeper.

    Args:
        settings: as `pacemaker.config.load_configuration` reads them.
        pool: the Pacemakers; created from the settings by default.  It is closed with
            the state, or if this call fails.
        default_acls: the ACLs of nodes that are created without any.  By default the
            same as Nimbus': `CREATOR_ALL` if storm.zookeeper.auth.scheme is set,
            otherwise `OPEN`.
        make_client: returns the client of one session with ZooKeeper; a test may pass
            that of a `pacemaker.testing.FakeZooKeeper`.

    Returns:
        The state, connected to ZooKeeper; use it in a ``with`` block.  The connections
        to the Pacemakers are opened by the first call that needs them.

    Raises:
        ConfigError: the settings name no Pacemaker or no ZooKeeper host, or their
            authentication method cannot be used.
        UnavailableError: no connection to ZooKeeper within
            storm.zookeeper.connection.timeout.
        ZooKeeperError: ZooKeeper refuses the authentication or the creation of
            storm.zookeeper.root.
    """
    # Not `or`: a pool that can tell its length may be empty.
    pool = PacemakerPool(settings) if pool is None else pool
    try:
        state = ClusterState(settings, pool, default_acls, make_client)
    except BaseException:
        # Nothing is hidden: only the pool is closed, as no state will do that.
        pool.close()
        raise
    state.start()
    return state
