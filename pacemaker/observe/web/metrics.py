"""Figures of topologies and components as Prometheus's metric families.

Import this module only if the page is served: it needs the extra `metrics`.

Names of topologies and components are labels, and anyone can write heartbeats.  So the
number of series is bounded: topologies and components beyond the limits are added up
under the name ``other``, and their number is a metric.  Counters are totals since
`observe` first read the topology; they do not fall when a worker is restarted, and
end with the topology.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
)

from pacemaker.observe.decoding import executor_figures
from pacemaker.observe.views.cluster_view import (
    ClusterView,
    ComponentView,
    TopologyView,
)
from pacemaker.texts import clipped

MAX_TOPOLOGIES: Final = 500
# Of each topology.
MAX_COMPONENTS: Final = 200

# The most characters of a label; longer names are cut.
MAX_LABEL_CHARACTERS: Final = 200

OTHER: Final = "other"

_TOPOLOGY: Final = ("topology", "topology_id")
_COMPONENT: Final = (*_TOPOLOGY, "component")

# Name, help, and the figure; milliseconds become seconds.
_TUPLES: Final = (
    (
        "emitted",
        "Tuples emitted, without Storm's own streams.",
        executor_figures.EMITTED,
    ),
    (
        "transferred",
        "Tuples sent, once for each receiver.",
        executor_figures.TRANSFERRED,
    ),
    ("acked", "Tuples acked; of a spout, trees completed.", executor_figures.ACKED),
    (
        "failed",
        "Tuples failed; of a spout, trees failed or timed out.",
        executor_figures.FAILED,
    ),
    ("executed", "Tuples executed.", executor_figures.EXECUTED),
)
_SECONDS: Final = (
    ("execute", "Time within execute().", executor_figures.EXECUTE_MS),
    ("process", "Time from execute() to the ack.", executor_figures.PROCESS_MS),
    ("complete", "Time until trees were complete.", executor_figures.COMPLETE_MS),
)


class _Row(NamedTuple):
    """One component, or several under the name `other`."""

    labels: tuple[str, ...]
    ever: Sequence[float]
    executors: int
    capacity: float | None
    error_secs: int


def families(view: ClusterView) -> Iterator[Metric]:
    """Yield every family, with the values of a view."""
    shown = sorted(view.topologies, key=lambda each: each.id)[:MAX_TOPOLOGIES]
    hidden = sorted(view.topologies, key=lambda each: each.id)[MAX_TOPOLOGIES:]
    rows, dropped = _rows(shown, hidden)
    yield from _of_observe(view, len(hidden), dropped)
    yield from _of_topologies(shown)
    yield from _of_components(rows)


def _rows(
    shown: Sequence[TopologyView], hidden: Sequence[TopologyView]
) -> tuple[list[_Row], int]:
    rows: list[_Row] = []
    dropped = 0
    for topology in shown:
        labels = _labels(topology)
        first = topology.components[:MAX_COMPONENTS]
        rest = topology.components[MAX_COMPONENTS:]
        rows += [_row((*labels, _label(each.name)), [each]) for each in first]
        dropped += len(rest)
        if rest:
            rows.append(_row((*labels, OTHER), rest))
    others = [each for topology in hidden for each in topology.components]
    if others:
        dropped += len(others)
        rows.append(_row((OTHER, OTHER, OTHER), others))
    return rows, dropped


def _row(labels: tuple[str, ...], components: Sequence[ComponentView]) -> _Row:
    loads = [each.load for each in components if each.load is not None]
    errors = [each.error.time_secs for each in components if each.error is not None]
    return _Row(
        labels,
        [
            sum(each.ever[figure] for each in components)
            for figure in range(executor_figures.FIGURES_PER_WINDOW)
        ],
        sum(each.executors for each in components),
        max(loads, default=None),
        max(errors, default=0),
    )


def _label(text: str) -> str:
    return clipped(text, MAX_LABEL_CHARACTERS).encode(errors="replace").decode()


def _labels(topology: TopologyView) -> tuple[str, str]:
    return _label(topology.name), _label(topology.id)


def _of_observe(
    view: ClusterView, topologies: int, components: int
) -> Iterator[Metric]:
    yield _gauge("storm_observe_topologies", "Topologies seen.", len(view.topologies))
    dropped = GaugeMetricFamily(
        "storm_observe_dropped_series",
        "Topologies and components that are only part of `other`.",
        labels=("kind",),
    )
    dropped.add_metric(("topology",), topologies)
    dropped.add_metric(("component",), components)
    yield dropped
    if view.data_age_s is not None:
        text = "How old the last list of heartbeats is."
        yield _gauge("storm_observe_data_age_seconds", text, view.data_age_s)
    servers = GaugeMetricFamily(
        "storm_observe_pacemaker_up",
        "Whether a Pacemaker answers.",
        labels=("server",),
    )
    absent = {name for name, _ in view.absent}
    for name in view.servers:
        servers.add_metric((name,), name not in absent)
    yield servers
    is_up = view.has_zookeeper and view.nodes_problem is None
    yield _gauge("storm_observe_zookeeper_up", "Whether ZooKeeper answers.", is_up)
    if view.supervisors is not None and view.slots is not None:
        yield _gauge("storm_supervisors", "Supervisors that live.", view.supervisors)
        yield _gauge("storm_slots", "Slots of the supervisors.", view.slots[0])
        yield _gauge("storm_slots_free", "Slots without a worker.", view.slots[1])
        has_leader = view.leader is not None
        yield _gauge("storm_nimbus_leader", "Whether a Nimbus leads.", has_leader)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=float(value))


def _of_topologies(topologies: Sequence[TopologyView]) -> Iterator[Metric]:
    for name, text, value_of in _GAUGES:
        family = GaugeMetricFamily(f"storm_topology_{name}", text, labels=_TOPOLOGY)
        for topology in topologies:
            value = value_of(topology)
            if value is not None:
                family.add_metric(_labels(topology), value)
        yield family
    workers = GaugeMetricFamily(
        "storm_topology_worker_states",
        "Workers by state: ok, loading, starting, late, missing, gone, unreadable.",
        labels=(*_TOPOLOGY, "state"),
    )
    for topology in topologies:
        states = [worker.state for worker in topology.workers]
        for state in sorted(set(states)):
            workers.add_metric((*_labels(topology), state), states.count(state))
    yield workers


def _skew_of(topology: TopologyView) -> float | None:
    skews = [w.skew_s for w in topology.workers if w.skew_s is not None]
    return max(skews, key=abs, default=None)


_GAUGES: Final[tuple[tuple[str, str, Any], ...]] = (
    ("workers", "Workers that send heartbeats.", lambda t: t.workers_present),
    ("workers_expected", "Workers assigned.", lambda t: t.workers_expected),
    ("executors", "Executors in heartbeats.", lambda t: t.executors),
    ("executors_expected", "Executors assigned.", lambda t: t.executors_expected),
    (
        "heartbeat_age_seconds",
        "Age of the oldest heartbeat.",
        lambda t: t.oldest_age_s,
    ),
    ("uptime_seconds", "Time since the submission.", lambda t: t.uptime_secs),
    (
        "clock_skew_seconds",
        "The largest difference of a worker's clock to ours; behind is positive.",
        _skew_of,
    ),
    ("restarts_10m", "Restarts of workers in 10 minutes.", lambda t: t.restarts),
    ("moves_10m", "Moves of executors in 10 minutes.", lambda t: t.moves),
    (
        "known",
        "1 if ZooKeeper has the topology, 0 if only heartbeats are left of it.",
        lambda t: int(t.is_known),
    ),
)


def _of_components(rows: Sequence[_Row]) -> Iterator[Metric]:
    for name, text, figure in _TUPLES:
        family = CounterMetricFamily(
            f"storm_component_{name}_tuples", text, labels=_COMPONENT
        )
        for row in rows:
            family.add_metric(row.labels, row.ever[figure])
        yield family
    for name, text, figure in _SECONDS:
        family = CounterMetricFamily(
            f"storm_component_{name}_seconds", text, labels=_COMPONENT
        )
        for row in rows:
            if row.ever[figure] or figure == executor_figures.EXECUTE_MS:
                family.add_metric(row.labels, row.ever[figure] / 1000)
        yield family
    executors = GaugeMetricFamily(
        "storm_component_executors", "Executors in heartbeats.", labels=_COMPONENT
    )
    capacity = GaugeMetricFamily(
        "storm_component_capacity",
        "Capacity of the busiest executor of a bolt; 1 is full.",
        labels=_COMPONENT,
    )
    error = GaugeMetricFamily(
        "storm_component_last_error_timestamp_seconds",
        "When the last error was reported.",
        labels=_COMPONENT,
    )
    for row in rows:
        executors.add_metric(row.labels, row.executors)
        if row.capacity is not None:
            capacity.add_metric(row.labels, row.capacity)
        if row.error_secs:
            error.add_metric(row.labels, row.error_secs)
    yield from (executors, capacity, error)
