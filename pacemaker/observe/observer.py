"""Track a cluster with two threads: one reads Pacemakers, the other ZooKeeper."""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Final

from pacemaker.client import PacemakerPool
from pacemaker.config import Settings
from pacemaker.errors import PacemakerError
from pacemaker.observe.reader import HeartbeatReader
from pacemaker.observe.tracking.cluster import TrackedCluster
from pacemaker.observe.views.cluster_view import ClusterView, ExecutorView
from pacemaker.observe.views.make_views import make_cluster_view, make_executor_views
from pacemaker.observe.zookeeper.storm_nodes import ClusterNodes

# How often ZooKeeper is read.
NODES_EVERY_S: Final = 5.0

# How often workers with an unchanged heartbeat are read again.
SUSPECTS_EVERY_S: Final = 2.0

# How often the view is made again.
VIEW_EVERY_S: Final = 1.0

# Making the view of 15,000 workers takes a second.  The next one is made ten times as
# long after it, so that views cost at most a tenth of a core.
_VIEW_PAUSE: Final = 10

_logger: Final = logging.getLogger(__name__)


class Observer:
    """Observes a cluster until it is closed; any thread may ask for a view.

    Args:
        settings: Storm's configuration.
        timeout_s: how long each request may take.
        with_zookeeper: whether to read ZooKeeper as well.

    Raises:
        ConfigError: the configuration names no Pacemaker, or is wrong.
    """

    def __init__(
        self, settings: Settings, timeout_s: float, *, with_zookeeper: bool = True
    ) -> None:
        self._settings = settings
        self._with_zookeeper = with_zookeeper
        self._pool = PacemakerPool(settings, timeout_s=timeout_s)
        self._cluster = TrackedCluster()
        self._lock = threading.Lock()  # guards the cluster
        self._ending = threading.Event()
        self._reader = HeartbeatReader(
            self._pool, self._cluster, self._lock, wait=self._ending.wait
        )
        # Replaced as a whole by whoever makes one, so readers need no lock.
        self._view: ClusterView | None = None
        self._threads: list[threading.Thread] = []

    def read_once(self) -> None:
        """Read everything once, on this thread.

        Raises:
            NotAuthorizedError: the servers do not let this client read.
        """
        if self._with_zookeeper:
            with self._noting_problems(), self._zookeeper() as read_nodes:
                read_nodes()
        self._reader.read_all()

    def start(self) -> None:
        """Start the threads."""
        targets = [self._read_rounds, self._make_views]
        if self._with_zookeeper:
            targets.append(self._read_nodes_often)
        for target in targets:
            thread = threading.Thread(
                target=target, name=f"observe-{target.__name__.strip('_')}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def view(self) -> ClusterView:
        """Return the picture of the cluster.

        Once the threads run, this never waits: the view is the last that they made, a
        second old in most clusters and 15 s in one of 15,000 workers.
        """
        if self._view is None or not self._threads:
            self._make_view()
        assert self._view is not None  # noqa: S101  (just made)
        return self._view

    def _make_view(self) -> None:
        with self._lock:
            self._view = make_cluster_view(self._cluster, time.time())

    def _make_views(self) -> None:
        """Make views in advance, so that no page has to wait for one."""
        pause_s = 0.0
        while not self._ending.wait(pause_s):
            begin_s = time.monotonic()
            self._guarded(self._make_view)
            pause_s = max(VIEW_EVERY_S, _VIEW_PAUSE * (time.monotonic() - begin_s))

    def executors(
        self, topology_id: str, component: str | None = None, worker: str | None = None
    ) -> list[ExecutorView]:
        """Return the executors of a topology; none if it has gone.

        Args:
            component: only those of a component.
            worker: only those of a worker.
        """
        with self._lock:
            topology = self._cluster.topologies.get(topology_id)
            if topology is None:
                return []
            return make_executor_views(self._cluster, topology, component, worker)

    def nodes(self) -> tuple[ClusterNodes | None, str | None]:
        """Return what was last read from ZooKeeper, and why it does not answer."""
        with self._lock:
            return self._cluster.nodes, self._cluster.nodes_problem

    def close(self) -> None:
        """End the threads and close all connections."""
        self._ending.set()
        self._pool.close()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Observer:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _read_rounds(self) -> None:
        while not self._ending.is_set():
            begin_s = time.monotonic()
            round_s = self._reader.round_s()
            self._guarded(functools.partial(self._reader.read_all, round_s))
            while (left_s := begin_s + round_s - time.monotonic()) > 0:
                if self._ending.wait(min(left_s, SUSPECTS_EVERY_S)):
                    return
                self._guarded(self._reader.read_suspects)

    def _guarded(self, function: Callable[[], None]) -> None:
        """Call a function; an error is shown in the view and ends no thread."""
        try:
            function()
        except PacemakerError as exc:
            if not self._ending.is_set():
                with self._lock:
                    self._cluster.on_servers(self._cluster.servers, str(exc))
        except Exception as exc:
            _logger.exception("reading the Pacemakers failed (a bug)")
            with self._lock:
                self._cluster.on_servers(self._cluster.servers, f"a bug: {exc!r}")

    def _read_nodes_often(self) -> None:
        while not self._ending.is_set():
            with self._noting_problems(), self._zookeeper() as read_nodes:
                while not self._ending.is_set():
                    read_nodes()
                    self._ending.wait(NODES_EVERY_S)
            self._ending.wait(NODES_EVERY_S)

    @contextlib.contextmanager
    def _noting_problems(self) -> Iterator[None]:
        """Show an error of ZooKeeper in the view; the calling thread continues."""
        try:
            yield
        except PacemakerError as exc:
            with self._lock:
                self._cluster.on_nodes(None, str(exc))
        except Exception as exc:
            _logger.exception("reading ZooKeeper failed (a bug)")
            with self._lock:
                self._cluster.on_nodes(None, f"a bug: {exc!r}")

    @contextlib.contextmanager
    def _zookeeper(self) -> Iterator[Callable[[], None]]:
        """Connect to ZooKeeper; give a function that reads all nodes."""
        # Imported late: kazoo is loaded only if ZooKeeper is read.
        from pacemaker.cluster_state.zookeeper_state import ZooKeeperState
        from pacemaker.observe.zookeeper.reading import read_nodes

        with ZooKeeperState(self._settings) as state:
            state.start(creates_root=False)

            def read() -> None:
                found = read_nodes(state, time.time())
                with self._lock:
                    self._cluster.on_nodes(found)

            yield read
