"""The metrics: names, values that do not fall, and their bounds."""

from __future__ import annotations

import dataclasses

from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import CollectorRegistry

from pacemaker.observe.tracking.cluster import TrackedCluster
from pacemaker.observe.views.cluster_view import ClusterView
from pacemaker.observe.views.make_views import make_cluster_view
from pacemaker.observe.web.metrics import MAX_COMPONENTS, MAX_TOPOLOGIES, families
from tests.observe import made_up
from tests.observe.made_up import NOW, TOPOLOGY, A, B, beat, running


def samples(view: ClusterView) -> dict[tuple[str, ...], float]:
    """Return all samples by their name and labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families(view)
        for sample in family.samples
    }


def view_of(cluster: TrackedCluster, now_s: float = NOW) -> ClusterView:
    """Return the view."""
    return make_cluster_view(cluster, now_s)


def test_totals_do_not_fall_when_a_worker_is_restarted() -> None:
    """A rate over any time is right."""
    cluster = running()
    cluster.on_nodes(made_up.NODES)
    key = ("storm_component_executed_tuples_total", "words", TOPOLOGY, "count")
    seconds = ("storm_component_execute_seconds_total", "words", TOPOLOGY, "count")
    before = samples(view_of(cluster))
    assert (before[key], before[seconds]) == (4000, 8.0)
    beat(cluster, A, NOW + 20, uptime_secs=1, executors={})
    assert samples(view_of(cluster, NOW + 20))[key] == 4000
    beat(cluster, A, NOW + 30, uptime_secs=11)
    assert samples(view_of(cluster, NOW + 30))[key] == 5000


def test_gauges_are_those_of_the_view() -> None:
    """Workers present and expected, ages, states, servers."""
    cluster = running()
    cluster.on_nodes(made_up.NODES)
    cluster.on_value(TOPOLOGY, A, made_up.value(made_up.executors_of(A)), NOW + 20)
    found = samples(view_of(cluster, NOW + 20))
    labels = ("words", TOPOLOGY)
    assert found[("storm_topology_workers", *labels)] == 1
    assert found[("storm_topology_workers_expected", *labels)] == 2
    assert found[("storm_topology_heartbeat_age_seconds", *labels)] == 20
    assert found[("storm_topology_worker_states", *labels, "late")] == 1
    assert found[("storm_slots_free",)] == 2
    assert found[("storm_nimbus_leader",)] == 1


def test_series_end_with_their_topology() -> None:
    """A topology that was killed leaves no series behind."""
    cluster = running()
    cluster.on_listed({}, NOW + 5)
    assert not any(TOPOLOGY in key for key in samples(view_of(cluster)))


def test_series_are_bounded() -> None:
    """What is beyond the limits is added up, and counted."""
    cluster = TrackedCluster()
    names = [f"t-{n:04}-1700000000" for n in range(MAX_TOPOLOGIES + 2)]
    cluster.on_listed({name: [B] for name in names}, NOW)
    details = made_up.value(made_up.executors_of(B))
    for name in names:
        cluster.on_value(name, B, details, NOW)
    view = view_of(cluster)
    wide = view.topologies[0]
    copies = tuple(
        dataclasses.replace(wide.components[0], name=f"c{n:04}")
        for n in range(MAX_COMPONENTS + 3)
    )
    wide = dataclasses.replace(wide, components=copies)
    view = dataclasses.replace(view, topologies=(wide, *view.topologies[1:]))
    found = samples(view)
    name = "storm_component_executed_tuples_total"
    assert len({key[2] for key in found if key[0] == name}) == MAX_TOPOLOGIES + 1
    assert found[(name, "other", "other", "other")] == 2 * 3400
    one = found[(name, wide.name, wide.id, "c0000")]
    assert found[(name, wide.name, wide.id, "other")] == 3 * one
    assert found[("storm_observe_dropped_series", "topology")] == 2
    assert found[("storm_observe_dropped_series", "component")] == 3 + 2 * 2


def test_hostile_names_are_labels() -> None:
    """Quotes, line ends and lone surrogates are written as Prometheus reads them."""
    cluster = TrackedCluster()
    name = 'evil"\n{}\ud800' + "x" * 10_000 + "-1-1700000000"
    cluster.on_listed({name: [A]}, NOW)
    view = view_of(cluster)

    class Collector:
        def collect(self) -> list[Metric]:
            return list(families(view))

    registry = CollectorRegistry()
    registry.register(Collector())
    text = generate_latest(registry).decode()
    assert 'topology="evil\\"\\n{}?xxx' in text
    assert "x" * 300 not in text
