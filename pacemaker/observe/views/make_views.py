"""Make the view of a tracked cluster; pure."""

from __future__ import annotations

import operator
import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pacemaker.heartbeats.model import ExecutorInfo
from pacemaker.observe.decoding import executor_figures as fig
from pacemaker.observe.decoding.executor_figures import (
    FIGURES_PER_EXECUTOR,
    FIGURES_PER_WINDOW,
)
from pacemaker.observe.tracking.cluster import TrackedCluster
from pacemaker.observe.tracking.component_names import ComponentName
from pacemaker.observe.tracking.topology import TrackedExecutor, TrackedTopology
from pacemaker.observe.tracking.worker import RATE_SPAN_SECS, TrackedWorker
from pacemaker.observe.tracking.worker_states import state_of, state_of_unseen
from pacemaker.observe.views.cluster_view import (
    ClusterView,
    ComponentView,
    ExecutorView,
    Rates,
    TopologyView,
    Totals,
    WorkerView,
)
from pacemaker.observe.views.troubles import with_troubles
from pacemaker.observe.zookeeper.storm_nodes import ClusterNodes, Slot, StormBase

# How long restarts and moves are shown.
RECENT_S: Final = 600

_ID: Final = re.compile(r"(.+)-(\d+)-(\d+)", re.DOTALL)
_UUID: Final = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_NODE: Final = re.compile(rf"{_UUID}-(.+)")


def make_cluster_view(cluster: TrackedCluster, now_s: float) -> ClusterView:
    """Return the picture of the cluster at this moment."""
    nodes = cluster.nodes
    topologies = [
        make_topology_view(cluster, topology, now_s)
        for topology in sorted(cluster.topologies.values(), key=lambda each: each.id)
    ]
    leader = None if nodes is None else _leader(nodes)
    view = ClusterView(
        time_s=now_s,
        listed_s=cluster.listed_s,
        servers=tuple(server.name for server in cluster.servers),
        absent=tuple((s.name, s.problem) for s in cluster.servers if s.problem),
        has_zookeeper=nodes is not None,
        nodes_read_s=None if nodes is None else nodes.read_s,
        nodes_problem=cluster.nodes_problem,
        leader=leader,
        supervisors=None if nodes is None else len(nodes.supervisors),
        slots=None if nodes is None else _slots(nodes),
        topologies=tuple(topologies),
    )
    return with_troubles(cluster, view)


def _leader(nodes: ClusterNodes) -> str | None:
    return next(
        (f"{each.host}:{each.port}" for each in nodes.nimbuses if each.is_leader), None
    )


def _slots(nodes: ClusterNodes) -> tuple[int, int]:
    total = sum(len(each.ports) for each in nodes.supervisors.values())
    used = {slot for each in nodes.assignments.values() for slot in each.slots()}
    living = sum(
        slot.node in nodes.supervisors
        and slot.port in nodes.supervisors[slot.node].ports
        for slot in used
    )
    return total, total - living


def make_topology_view(
    cluster: TrackedCluster, topology: TrackedTopology, now_s: float
) -> TopologyView:
    """Return the picture of one topology."""
    nodes = cluster.nodes
    base = None if nodes is None else nodes.bases.get(topology.id)
    assignment = None if nodes is None else nodes.assignments.get(topology.id)
    assigned = None if assignment is None else assignment.slots()
    name, submitted_secs = name_and_time_of(topology.id)
    launched_secs = base.launch_time_secs if base is not None else submitted_secs
    components = _components(topology, nodes, base)
    shown = [each for each in components if not each.is_system]
    recent = [
        event
        for event in cluster.events
        if event.topology_id == topology.id and now_s - event.time_s < RECENT_S
    ]
    return TopologyView(
        id=topology.id,
        name=base.name if base is not None and base.name else name,
        status=None if base is None or base.status is None else base.status.name,
        owner="" if base is None else base.owner,
        uptime_secs=None if launched_secs is None else round(now_s) - launched_secs,
        workers_expected=None if assigned is None else len(assigned),
        executors_expected=None if assignment is None else len(assignment.executors),
        is_known=nodes is None or base is not None,
        components=components,
        workers=tuple(_workers(topology, nodes, assigned, now_s)),
        restarts=sum(event.kind == "restart" for event in recent),
        moves=sum(event.kind == "move" for event in recent),
        totals=_totals_of(shown),
        rates=_rates_of(shown),
    )


def name_and_time_of(topology_id: str) -> tuple[str, int | None]:
    """Split the id of a topology: its name, and when it was submitted."""
    match = _ID.fullmatch(topology_id)
    if match is None or len(match[3]) > 12:
        return topology_id, None
    return match[1], int(match[3])


def make_executor_views(
    cluster: TrackedCluster,
    topology: TrackedTopology,
    component: str | None = None,
    worker: str | None = None,
) -> list[ExecutorView]:
    """Return the executors of a topology, sorted by their tasks.

    Args:
        component: only those of a component.
        worker: only those of a worker.
    """
    names = topology.names(cluster.nodes)
    views = [
        _executor_view(info, executor, _name_of(names, info))
        for info, executor in sorted(topology.executors.items())
        if executor.worker is not None
        and (component is None or _name_of(names, info).name == component)
        and (worker is None or executor.worker.name == worker)
    ]
    return [view for view in views if view is not None]


def _name_of(
    names: Mapping[ExecutorInfo, ComponentName], info: ExecutorInfo
) -> ComponentName:
    return names.get(info) or ComponentName("?", True)


def _executor_view(
    info: ExecutorInfo, executor: TrackedExecutor, name: ComponentName
) -> ExecutorView | None:
    worker = executor.worker
    if worker is None or worker.beat is None:
        return None
    figures = _figures_of(worker, executor.place)
    recent = worker.rates()
    rates = recent or worker.window_rates()
    start = executor.place * FIGURES_PER_WINDOW
    own = rates[start : start + FIGURES_PER_WINDOW]
    is_spout = executor.shape.is_spout
    return ExecutorView(
        tasks=(info.task_start, info.task_end),
        component=name.name,
        worker=worker.name,
        uptime_secs=worker.beat.uptime_secs,
        totals=Totals(figures),
        rates=_as_rates(own, recent is not None),
        capacity=None if is_spout else fig.capacity(figures, worker.beat.uptime_secs),
        busy=None if is_spout or recent is None else own[fig.EXECUTE_MS] / 1000,
    )


def _figures_of(worker: TrackedWorker, place: int) -> array[float]:
    assert worker.beat is not None  # noqa: S101  (it has executors)
    return worker.beat.figures[
        place * FIGURES_PER_EXECUTOR : (place + 1) * FIGURES_PER_EXECUTOR
    ]


class _Sum:
    """The figures of a component while its executors are added up."""

    def __init__(self, name: ComponentName, is_spout: bool) -> None:
        self.name = name
        self.is_spout = is_spout
        self.executors = 0
        self.tasks = 0
        self.figures: Sequence[float] = [0.0] * FIGURES_PER_EXECUTOR
        self.ever: Sequence[float] = [0.0] * FIGURES_PER_WINDOW
        self.rates: Sequence[float] = [0.0] * FIGURES_PER_WINDOW
        self.is_recent = True
        self.capacity: float | None = None
        self.steady: float | None = None
        self.busy: float | None = None
        self.busiest: str | None = None

    def add(
        self,
        info: ExecutorInfo,
        executor: TrackedExecutor,
        rates: Sequence[float],
        is_recent: bool,
    ) -> None:
        """Add an executor whose worker has a heartbeat."""
        worker = executor.worker
        assert worker is not None  # noqa: S101  (the caller has looked)
        assert worker.beat is not None  # noqa: S101
        self.executors += 1
        self.tasks += info.task_end - info.task_start + 1
        figures = _figures_of(worker, executor.place)
        own = rates[
            executor.place * FIGURES_PER_WINDOW : (executor.place + 1)
            * FIGURES_PER_WINDOW
        ]
        self.figures = list(map(operator.add, self.figures, figures))
        self.rates = list(map(operator.add, self.rates, own))
        self.is_recent &= is_recent
        if self.is_spout:
            return
        capacity = fig.capacity(figures, worker.beat.uptime_secs)
        busy = own[fig.EXECUTE_MS] / 1000 if is_recent else None
        if self.busiest is None or self._is_busier(capacity, busy):
            self.busiest = worker.name
        self.capacity = max(self.capacity or 0.0, capacity)
        if worker.beat.uptime_secs >= RATE_SPAN_SECS:
            self.steady = max(self.steady or 0.0, capacity)
        if busy is not None:
            self.busy = max(self.busy or 0.0, busy)

    def _is_busier(self, capacity: float, busy: float | None) -> bool:
        if busy is None or self.busy is None:
            return capacity > (self.capacity or 0.0)
        return busy > self.busy


def _components(
    topology: TrackedTopology, nodes: ClusterNodes | None, base: StormBase | None
) -> tuple[ComponentView, ...]:
    names = topology.names(nodes)
    sums: dict[str, _Sum] = {}
    rates: dict[TrackedWorker, tuple[Sequence[float], bool]] = {}
    for info, executor in topology.executors.items():
        name = _name_of(names, info)
        found = sums.get(name.name)
        if found is None:
            found = sums[name.name] = _Sum(name, executor.shape.is_spout)
        found.ever = list(map(operator.add, found.ever, executor.total()))
        worker = executor.worker
        if worker is None:
            continue
        if worker not in rates:
            recent = worker.rates()
            rates[worker] = (recent or worker.window_rates(), recent is not None)
        found.add(info, executor, *rates[worker])
    expected = None if base is None else base.component_executors
    for component, count in (expected or {}).items():
        if count > 0 and component not in sums:
            sums[component] = _Sum(ComponentName(component), False)
    return tuple(
        _component_view(topology.id, sums[name], nodes, expected)
        for name in sorted(sums)
    )


def _component_view(
    topology_id: str,
    found: _Sum,
    nodes: ClusterNodes | None,
    expected: Mapping[str, int] | None,
) -> ComponentView:
    name = found.name.name
    return ComponentView(
        name=name,
        is_guess=found.name.is_guess,
        is_spout=found.is_spout,
        executors=found.executors,
        expected=None if expected is None else expected.get(name),
        tasks=found.tasks,
        totals=Totals(found.figures),
        ever=found.ever,
        rates=_as_rates(found.rates, found.is_recent and found.executors > 0),
        capacity=found.capacity,
        steady=found.steady,
        busy=found.busy,
        busiest=found.busiest,
        error=None if nodes is None else nodes.errors.get((topology_id, name)),
    )


def _as_rates(rates: Sequence[float], is_recent: bool) -> Rates:
    return Rates(
        rates[fig.EMITTED],
        rates[fig.TRANSFERRED],
        rates[fig.ACKED],
        rates[fig.FAILED],
        rates[fig.EXECUTED],
        is_recent,
    )


_OF_SPOUTS_ALONE: Final = (fig.ACKED, fig.FAILED, fig.COMPLETE_MS)


def _totals_of(components: Sequence[ComponentView]) -> Totals:
    """Add components up as Storm does: acked and failed are those of spouts alone."""
    values = [0.0] * FIGURES_PER_EXECUTOR
    for component in components:
        for place, value in enumerate(component.totals.values):
            if component.is_spout or place % FIGURES_PER_WINDOW not in _OF_SPOUTS_ALONE:
                values[place] += value
    return Totals(values)


def _rates_of(components: Sequence[ComponentView]) -> Rates:
    spouts = [each for each in components if each.is_spout]
    return Rates(
        emitted=sum(each.rates.emitted for each in components),
        transferred=sum(each.rates.transferred for each in components),
        acked=sum(each.rates.acked for each in spouts),
        failed=sum(each.rates.failed for each in spouts),
        executed=sum(each.rates.executed for each in components),
        is_recent=bool(components) and all(c.rates.is_recent for c in components),
    )


def _workers(
    topology: TrackedTopology,
    nodes: ClusterNodes | None,
    assigned: Mapping[Slot, int] | None,
    now_s: float,
) -> Iterator[WorkerView]:
    views = {
        name: _worker_view(worker, nodes, state, now_s)
        for name, worker in topology.workers.items()
        if (state := state_of(topology, worker, assigned, now_s)) is not None
    }
    for slot, assigned_secs in (assigned or {}).items():
        if slot.worker not in topology.workers:
            state = state_of_unseen(assigned_secs, now_s)
            unseen = TrackedWorker(topology.id, slot.worker, slot)
            views[slot.worker] = _worker_view(unseen, nodes, state, now_s)
    yield from sorted(views.values(), key=lambda each: (each.place, each.name))


def _worker_view(
    worker: TrackedWorker, nodes: ClusterNodes | None, state: str, now_s: float
) -> WorkerView:
    recent = [at_s for at_s in worker.restarts_s if now_s - at_s < RECENT_S]
    return WorkerView(
        name=worker.name,
        host=_host_of(worker, nodes),
        port=None if worker.slot is None else worker.slot.port,
        state=state,
        age_s=worker.age_s,
        uptime_secs=None if worker.beat is None else worker.beat.uptime_secs,
        executors=len(worker.infos),
        restarts=len(recent),
        longest_gap_secs=worker.longest_gap_secs,
        skew_s=worker.skew_s,
        size_bytes=worker.size_bytes,
        problem=worker.problem,
    )


def _host_of(worker: TrackedWorker, nodes: ClusterNodes | None) -> str | None:
    if worker.slot is None:
        return None
    if nodes is not None:
        host = nodes.host_of(worker.topology_id, worker.slot.node)
        if host:
            return host
    return address_in(worker.slot.node)


def address_in(node: str) -> str | None:
    """Return the address that Storm 2.x writes after the UUID of a supervisor."""
    match = _NODE.fullmatch(node)
    return None if match is None else match[1]
