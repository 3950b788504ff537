"""A source of views of a cluster that changes only when the test says so."""

from __future__ import annotations

from pacemaker.observe.tracking.cluster import TrackedCluster
from pacemaker.observe.views.cluster_view import ClusterView, ExecutorView
from pacemaker.observe.views.make_views import make_cluster_view, make_executor_views
from tests.observe.made_up import NOW


class Fixed:
    """Shows what is known of a cluster at a moment.

    Args:
        cluster: the cluster.
        now_s: the moment.
    """

    def __init__(self, cluster: TrackedCluster, now_s: float = NOW) -> None:
        self.cluster = cluster
        self.now_s = now_s

    def view(self) -> ClusterView:
        """Return the view."""
        return make_cluster_view(self.cluster, self.now_s)

    def executors(
        self, topology_id: str, component: str | None = None, worker: str | None = None
    ) -> list[ExecutorView]:
        """Return the executors."""
        topology = self.cluster.topologies[topology_id]
        return make_executor_views(self.cluster, topology, component, worker)
