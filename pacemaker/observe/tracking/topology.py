"""A topology's executors: which worker runs each, and totals that never fall.

An executor's counts start at 0 in each new worker process.  The totals here add what
the former processes had counted when they were last read.  So a rate over any time is
right, except for the last seconds of a process that died.
"""

from __future__ import annotations

import operator
from array import array
from collections.abc import Mapping
from typing import Final

from pacemaker.heartbeats.model import ExecutorInfo
from pacemaker.observe.decoding.executor_figures import FIGURES_PER_WINDOW, Shape
from pacemaker.observe.tracking.component_names import (
    ComponentName,
    guessed_names,
    names_from_nodes,
)
from pacemaker.observe.tracking.worker import TrackedWorker
from pacemaker.observe.zookeeper.storm_nodes import ClusterNodes

# Anyone can store heartbeats that name executors, so their number is limited.
MAX_EXECUTORS: Final = 100_000


class TrackedExecutor:
    """One executor.

    Attributes:
        worker: the worker that runs it; None between two processes.
        last: the worker that ran it last, or runs it now.
        place: its place among the worker's executors.
        shape: its shape in the last heartbeat.
        former: what former processes had counted.
    """

    __slots__ = ("former", "last", "place", "shape", "worker")

    def __init__(self, worker: TrackedWorker, place: int, shape: Shape) -> None:
        self.worker: TrackedWorker | None = worker
        self.last = worker
        self.place = place
        self.shape = shape
        self.former: array[float] | None = None

    @property
    def current(self) -> array[float]:
        """What the current process has counted."""
        if self.worker is None:
            return array("d", bytes(8 * FIGURES_PER_WINDOW))
        start = self.place * FIGURES_PER_WINDOW
        return self.worker.totals[start : start + FIGURES_PER_WINDOW]

    def total(self) -> array[float]:
        """Return what all processes have counted."""
        if self.former is None:
            return self.current
        return array("d", map(operator.add, self.former, self.current))

    def end_process(self) -> None:
        """Add the counts of the current process to those of former ones."""
        self.former = self.total()
        self.worker = None

    def attach(self, worker: TrackedWorker, place: int) -> None:
        """Note that a worker's process runs it."""
        former = self.worker
        is_replaced = former is not None and former is not worker
        if is_replaced and not self.last.was_gone_before(worker):
            self.end_process()
        self.worker = self.last = worker
        self.place = place


class TrackedTopology:
    """One topology: its workers and its executors.

    Attributes:
        id: Storm's id: name, number and submission time.
        workers: by the name of their key; workers that left are kept for a while.
        executors: by their tasks.
    """

    def __init__(self, topology_id: str) -> None:
        self.id = topology_id
        self.workers: dict[str, TrackedWorker] = {}
        self.executors: dict[ExecutorInfo, TrackedExecutor] = {}
        self._names: Mapping[ExecutorInfo, ComponentName] = {}
        self._named_by: object = None

    def end_processes_of(self, worker: TrackedWorker) -> None:
        """Keep the counts of a worker whose process is about to be replaced."""
        for info in worker.infos:
            executor = self.executors.get(info)
            if executor is not None and executor.worker is worker:
                executor.end_process()

    def place_executors(self, worker: TrackedWorker) -> TrackedWorker | None:
        """Note that a worker runs the executors of its last heartbeat.

        An executor belongs to the worker that was started last: when Nimbus moves one,
        the key of its former worker stays, with its last heartbeat.

        Returns:
            The former worker, if executors moved here from another one.
        """
        former: TrackedWorker | None = None
        for place, (info, shape) in enumerate(
            zip(worker.infos, worker.shapes, strict=True)
        ):
            executor = self.executors.get(info)
            if executor is None:
                if len(self.executors) < MAX_EXECUTORS:
                    self.executors[info] = TrackedExecutor(worker, place, shape)
                    self._named_by = None
                continue
            if executor.last is not worker:
                if executor.last.started_secs > worker.started_secs:
                    continue
                if not executor.last.was_gone_before(worker):
                    former = executor.last
            executor.attach(worker, place)
            if executor.shape != shape:
                executor.shape = shape
                self._named_by = None
        return former

    def runs(self, worker: TrackedWorker) -> bool:
        """Return whether a worker has an executor, or has not reported any yet."""
        infos = worker.infos
        return not infos or any(self._is_at(info, worker) for info in infos)

    def _is_at(self, info: ExecutorInfo, worker: TrackedWorker) -> bool:
        executor = self.executors.get(info)
        return executor is not None and executor.worker is worker

    def forget(self, worker: TrackedWorker) -> None:
        """Remove a worker that left.  Its counts stay if nobody has replaced it."""
        if self.workers.get(worker.name) is worker:
            del self.workers[worker.name]

    def names(self, nodes: ClusterNodes | None) -> Mapping[ExecutorInfo, ComponentName]:
        """Return the component of each executor; guessed if ZooKeeper cannot tell."""
        source = self._source_of_names(nodes)
        if self._named_by is None or self._named_by != source:
            self._names = self._find_names(nodes)
            self._named_by = source
        return self._names

    def _source_of_names(self, nodes: ClusterNodes | None) -> object:
        if nodes is None or self.id not in nodes.bases:
            return "heartbeats"
        return nodes.bases[self.id], nodes.assignments.get(self.id)

    def _find_names(
        self, nodes: ClusterNodes | None
    ) -> Mapping[ExecutorInfo, ComponentName]:
        if nodes is not None and self.id in nodes.bases:
            base, assigned = nodes.bases[self.id], nodes.assignments.get(self.id)
            executors = self.executors if assigned is None else assigned.executors
            names = names_from_nodes(base.component_executors, executors)
            if names is not None:
                return names
        shapes = {info: executor.shape for info, executor in self.executors.items()}
        return guessed_names(shapes)
