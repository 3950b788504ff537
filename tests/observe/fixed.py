"""A source of views of a cluster that changes only when the test says so."""

from __future__ import annotations

from pacemaker.observe.engine import Engine
from pacemaker.observe.picture import cluster_view, executor_views
from pacemaker.observe.view import ClusterView, ExecutorView
from tests.observe.made_up import NOW


class Fixed:
    """Shows what an engine knows at a moment.

    Args:
        engine: the engine.
        now_s: the moment.
    """

    def __init__(self, engine: Engine, now_s: float = NOW) -> None:
        self.engine = engine
        self.now_s = now_s

    def view(self) -> ClusterView:
        """Return the view."""
        return cluster_view(self.engine, self.now_s)

    def executors(
        self, topology_id: str, component: str | None = None, worker: str | None = None
    ) -> list[ExecutorView]:
        """Return the executors."""
        topology = self.engine.topologies[topology_id]
        return executor_views(self.engine, topology, component, worker)
