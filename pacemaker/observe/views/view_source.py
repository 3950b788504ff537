"""The interface that the terminal and the pages get their data from."""

from __future__ import annotations

from typing import Protocol

from pacemaker.observe.views.cluster_view import ClusterView, ExecutorView


class ViewSource(Protocol):
    """Gives views and executors; `pacemaker.observe.observer.Observer` is one."""

    def view(self) -> ClusterView:
        """Return the picture of the cluster."""
        ...

    def executors(
        self, topology_id: str, component: str | None = None, worker: str | None = None
    ) -> list[ExecutorView]:
        """Return the executors of a topology, of one component or worker if given."""
        ...
