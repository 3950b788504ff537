"""The view: sums as Storm has them, states of workers, names and hosts."""

from __future__ import annotations

import dataclasses

import pytest

from pacemaker.observe.decoding import executor_figures
from pacemaker.observe.tracking.cluster import ServerState, TrackedCluster
from pacemaker.observe.views.cluster_view import ClusterView, TopologyView
from pacemaker.observe.views.make_views import (
    address_in,
    make_cluster_view,
    make_executor_views,
    name_and_time_of,
)
from pacemaker.observe.views.troubles import sentence
from pacemaker.observe.zookeeper.storm_nodes import LastError
from tests.observe import made_up
from tests.observe.made_up import NOW, TOPOLOGY, A, B, beat, listed, running


def view_of(cluster: TrackedCluster, now_s: float = NOW) -> ClusterView:
    """Return the view of the cluster."""
    return make_cluster_view(cluster, now_s)


def words(cluster: TrackedCluster, now_s: float = NOW) -> TopologyView:
    """Return the view of the topology."""
    found = view_of(cluster, now_s).topology(TOPOLOGY)
    assert found is not None
    return found


def with_nodes() -> TrackedCluster:
    """Return a cluster of which ZooKeeper's nodes are known, too."""
    cluster = running()
    cluster.on_nodes(made_up.NODES)
    return cluster


def states(cluster: TrackedCluster, now_s: float = NOW) -> dict[str, str]:
    """Return the states of the workers."""
    return {each.name: each.state for each in words(cluster, now_s).workers}


def texts(cluster: TrackedCluster, now_s: float = NOW) -> list[str]:
    """Return what is wrong."""
    return [each.text for each in view_of(cluster, now_s).troubles]


def test_a_topology_adds_up_as_on_storms_page() -> None:
    """Emitted leaves out system streams; acked and failed are those of spouts."""
    totals = words(running()).totals
    assert totals.count(executor_figures.EMITTED) == 600 + 500
    assert totals.count(executor_figures.ACKED) == 600
    assert totals.count(executor_figures.FAILED) == 0
    assert totals.latency_ms(executor_figures.COMPLETE_MS) == 40.0


def test_a_component_adds_up_its_executors() -> None:
    """Latencies are weighted by executed; the capacity is the highest."""
    count = next(c for c in words(running()).components if c.name == "count")
    assert count.totals.count(executor_figures.EXECUTED) == 4000
    assert count.totals.latency_ms(executor_figures.EXECUTE_MS) == 2.0
    assert count.totals.latency_ms(executor_figures.PROCESS_MS) == 3.0
    assert count.capacity == 3000 * 2.0 / (1000 * 600)
    assert count.busiest == B
    assert (count.executors, count.tasks, count.expected) == (2, 2, None)


def test_capacity_divides_by_a_shorter_uptime() -> None:
    """A worker of 100 s is measured over 100 s; at 0 s the capacity is 0."""
    figures = [0.0] * executor_figures.FIGURES_PER_EXECUTOR
    figures[executor_figures.EXECUTE_MS] = 50_000
    assert executor_figures.capacity(figures, 100) == 0.5
    assert executor_figures.capacity(figures, 3600) == 50_000 / 600_000
    assert executor_figures.capacity(figures, 0) == 0.0


def test_rates_are_of_thirty_seconds_once_they_are_known() -> None:
    """Until then they are the averages of Storm's window."""
    cluster = running()
    assert not words(cluster).rates.is_recent
    assert words(cluster).rates.acked == 1.0
    for name in (A, B):
        beat(cluster, name, NOW + 30, uptime_secs=730, factor=2)
    rates = words(cluster, NOW + 30).rates
    assert rates.is_recent
    assert rates.acked == 20.0
    count = next(c for c in words(cluster).components if c.name == "count")
    assert count.busy == 3000 * 2.0 / 30_000


def test_zookeeper_names_components_hosts_and_what_is_expected() -> None:
    """Names are no guesses, workers are called by their hosts."""
    view = view_of(with_nodes())
    topology = view.topologies[0]
    assert [c.name for c in topology.components] == [
        "__acker",
        "count",
        "split",
        "words",
    ]
    assert not any(component.is_guess for component in topology.components)
    assert [worker.place for worker in topology.workers] == ["alpha:6700", "beta:6701"]
    assert (topology.workers_present, topology.workers_expected) == (2, 2)
    assert (topology.executors, topology.executors_expected) == (5, 5)
    assert (topology.status, topology.owner, topology.uptime_secs) == (
        "ACTIVE",
        "storm",
        950,
    )
    assert view.leader == "alpha:6627"
    assert view.slots == (4, 2)
    assert view.troubles == ()
    assert sentence(view) == "All is well: heartbeats from 2 workers of 1 topology."


def test_a_silent_worker_is_late_after_three_heartbeats() -> None:
    """Its age is that at the last reading, by the clock of its heartbeats."""
    cluster = with_nodes()
    details = made_up.value(made_up.executors_of(A))
    cluster.on_value(TOPOLOGY, A, details, NOW + 9)
    assert states(cluster)[A] == "ok"
    cluster.on_value(TOPOLOGY, A, details, NOW + 10)
    assert states(cluster) == {A: "late", B: "ok"}
    assert texts(cluster) == ["words: worker alpha:6700 has sent no heartbeat for 10 s"]
    assert words(cluster).workers_present == 1


def test_an_assigned_worker_without_a_key_is_missing() -> None:
    """It is starting while its assignment is young."""
    cluster = TrackedCluster()
    listed(cluster, A)
    beat(cluster, A)
    cluster.on_nodes(made_up.NODES)
    assert states(cluster) == {A: "ok", B: "missing"}
    assert states(cluster, NOW - 900 + 100) == {A: "ok", B: "starting"}
    assert "beta:6701 is assigned but has no heartbeat" in texts(cluster)[0]


def test_a_deleted_key_is_missing_or_gone() -> None:
    """With ZooKeeper it is missing; without it, gone for a minute."""
    cluster = running()
    listed(cluster, A, now_s=NOW + 5)
    assert states(cluster, NOW + 10) == {A: "ok", B: "gone"}
    assert states(cluster, NOW + 70) == {A: "ok"}
    cluster.on_nodes(made_up.NODES)
    assert states(cluster, NOW + 70) == {A: "ok", B: "missing"}


def test_worker_that_is_assigned_again_is_starting() -> None:
    """A rebalance stops a worker, and assigns its slot once more."""
    cluster = running()
    listed(cluster, A, now_s=NOW + 5)
    again = dataclasses.replace(
        made_up.ASSIGNMENT,
        starts_secs=dict.fromkeys(made_up.ASSIGNMENT.executors, NOW + 10),
    )
    cluster.on_nodes(
        dataclasses.replace(made_up.NODES, assignments={made_up.TOPOLOGY: again})
    )
    assert states(cluster, NOW + 70)[B] == "starting"
    assert states(cluster, NOW + 10 + 120)[B] == "missing"


@pytest.mark.parametrize("has_nodes", [False, True])
def test_a_key_whose_executors_run_elsewhere_is_left_over(has_nodes: bool) -> None:
    """Nimbus leaves the keys of workers that it has moved; they are not late."""
    cluster = with_nodes() if has_nodes else running()
    listed(cluster, A, B, "sup-c-6702")
    executors = made_up.executors_of(B)
    if has_nodes:
        beat(cluster, "sup-c-6702", NOW, 999, executors=executors)
        assert states(cluster)["sup-c-6702"] == "leftover"
    else:
        beat(cluster, "sup-c-6702", NOW + 30, 5, executors=executors)
        cluster.on_value(TOPOLOGY, B, made_up.value(executors), NOW + 60)
        assert states(cluster)[B] == "leftover"


def test_a_restart_is_bad_while_it_is_new() -> None:
    """Afterwards it is a warning, for ten minutes."""
    cluster = with_nodes()
    beat(cluster, A, NOW + 20, uptime_secs=2)
    (trouble,) = view_of(cluster, NOW + 20).troubles
    assert trouble.is_bad
    assert "alpha:6700 was restarted once" in trouble.text
    beat(cluster, A, NOW + 90, uptime_secs=72)
    listed(cluster, A, B, now_s=NOW + 90)
    (trouble,) = view_of(cluster, NOW + 90).troubles
    assert not trouble.is_bad
    listed(cluster, A, B, now_s=NOW + 700)
    assert view_of(cluster, NOW + 700).troubles == ()


def test_a_full_bolt_is_seen_over_thirty_seconds() -> None:
    """Storm's own capacity is that of ten minutes."""
    cluster = with_nodes()
    busy = {
        made_up.COUNT_2: made_up.bolt(executed=17_000, streams={"__ack_ack": 10}),
        made_up.SPLIT: made_up.executors_of(B)[made_up.SPLIT],
    }
    beat(cluster, B, NOW + 30, uptime_secs=730, executors=busy)
    beat(cluster, A, NOW + 30, uptime_secs=730)
    count = next(c for c in words(cluster, NOW + 30).components if c.name == "count")
    assert count.capacity is not None
    assert count.capacity < 0.1
    assert count.busy == pytest.approx(14_000 * 2 / 30_000)
    assert texts(cluster, NOW + 30) == [
        "words: count is full: capacity 0.93 at beta:6701"
    ]


def test_failures_errors_and_skew_are_reported() -> None:
    """Each names the topology, and what it is."""
    cluster = with_nodes()
    failing = {**made_up.executors_of(A), made_up.SPOUT: made_up.spout(900, 100)}
    beat(cluster, A, NOW + 3, 703, executors=failing)
    error = LastError("java.lang.RuntimeException: no\n\tat X", NOW - 5, "alpha", 6700)
    nodes = dataclasses.replace(made_up.NODES, errors={(TOPOLOGY, "count"): error})
    cluster.on_nodes(nodes)
    for lag_secs in (40, 41):
        details = made_up.value(made_up.executors_of(B), NOW + lag_secs - 40, 700)
        cluster.on_value(TOPOLOGY, B, details, NOW + lag_secs)
    for worker in cluster.topologies[TOPOLOGY].workers.values():
        if worker.name == B:
            worker.lags_s.clear()
            worker.lags_s.extend((40, 41))
    assert texts(cluster, NOW + 3) == [
        "words: 10.0 % of the tuple trees fail",
        "words: count failed 8 s ago: java.lang.RuntimeException: no",
        "words: the clock of beta:6701 is 40 s behind ours",
    ]


def test_servers_and_old_data_come_first() -> None:
    """What cannot be read is said before what was read."""
    cluster = with_nodes()
    cluster.on_servers(
        [ServerState("pm1:6699", None), ServerState("pm2:6699", "refused")]
    )
    assert texts(cluster) == ["Pacemaker pm2:6699 does not answer: refused"]
    cluster.on_servers(cluster.servers, "no server answered")
    assert texts(cluster, NOW + 40)[:2] == [
        "No data: no server answered",
        "The data is 40 s old",
    ]
    assert "No data" in sentence(view_of(cluster, NOW + 40))


def test_heartbeats_of_a_topology_that_storm_does_not_know_are_stale() -> None:
    """They remain when Nimbus could not delete them."""
    cluster = running()
    cluster.on_nodes(dataclasses.replace(made_up.NODES, bases={}, assignments={}))
    (trouble,) = view_of(cluster).troubles
    assert trouble.kind == "stale_topology"


def test_zookeeper_that_does_not_answer_is_a_warning() -> None:
    """What it said before still counts."""
    cluster = with_nodes()
    cluster.on_nodes(None, "no connection")
    assert texts(cluster) == ["ZooKeeper does not answer: no connection"]
    assert words(cluster).workers_expected == 2


def test_executors_are_shown_by_component_and_by_worker() -> None:
    """Each has its own figures, and its worker's uptime."""
    cluster = with_nodes()
    topology = cluster.topologies[TOPOLOGY]
    of_count = make_executor_views(cluster, topology, component="count")
    assert [(e.tasks, e.worker) for e in of_count] == [((2, 2), A), ((3, 3), B)]
    of_b = make_executor_views(cluster, topology, worker=B)
    assert [e.component for e in of_b] == ["count", "split"]
    assert of_b[0].totals.count(executor_figures.EXECUTED) == 3000
    assert of_b[0].uptime_secs == 700


def test_json_has_storms_four_windows() -> None:
    """Programs get every figure by Storm's name of its window."""
    shown = view_of(with_nodes()).as_json()["topologies"][0]
    assert list(shown["windows"]) == ["600", "10800", "86400", ":all-time"]
    assert shown["windows"]["600"]["acked"] == 600
    assert shown["components"][1]["windows"][":all-time"]["executed"] == 4000


@pytest.mark.parametrize(
    ("topology_id", "parts"),
    [
        ("words-1-1700000000", ("words", 1700000000)),
        ("a-b-2-1700000000", ("a-b", 1700000000)),
        ("words", ("words", None)),
        ("-1-2", ("-1-2", None)),
        ("x-1-" + "9" * 5000, ("x-1-" + "9" * 5000, None)),
    ],
)
def test_the_id_of_a_topology_has_its_name_and_time(
    topology_id: str, parts: tuple[str, int | None]
) -> None:
    """Names may have dashes, and forged ids any form."""
    assert name_and_time_of(topology_id) == parts


def test_supervisor_ids_of_2x_have_an_address() -> None:
    """Those of 1.x are a UUID alone."""
    uuid = "6a9f5032-296e-467f-823e-a353769bd0d1"
    assert address_in(f"{uuid}-172.18.0.7") == "172.18.0.7"
    assert address_in(uuid) is None
