"""Describe what is wrong with a cluster, in sentences, the worst first; pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Final

from pacemaker.observe.tracking.cluster import TrackedCluster
from pacemaker.observe.tracking.worker import SKEW_SECS
from pacemaker.observe.views.cluster_view import (
    ClusterView,
    ComponentView,
    TopologyView,
    Trouble,
    WorkerView,
)
from pacemaker.texts import clipped, counted

# A bolt with at least this capacity counts as full.  Storm's UI warns from 0.8 on.
FULL_CAPACITY: Final = 0.9

# The share of failed tuple trees that is reported.
FAILED_PERCENT: Final = 5.0

# The most characters of a name in a sentence.
MAX_NAME_CHARACTERS: Final = 80

# Data older than this is reported: three rounds of a large cluster.
DATA_OLD_S: Final = 30

# The most characters of an error in a sentence.
MAX_ERROR_CHARACTERS: Final = 200

RECENT_S: Final = 600

# The kinds of trouble, the worst first.
KINDS: Final = (
    "no_server",
    "old_data",
    "server",
    "no_leader",
    "missing",
    "late",
    "gone",
    "unreadable",
    "restarted",
    "moved",
    "failures",
    "full",
    "error",
    "skew",
    "zookeeper",
    "stale_topology",
    "too_many_keys",
)

_BAD_STATES: Final = ("missing", "late", "gone", "unreadable")


def with_troubles(cluster: TrackedCluster, view: ClusterView) -> ClusterView:
    """Return the view with all troubles added."""
    found = [*_of_servers(cluster, view), *_of_zookeeper(view)]
    for topology in view.topologies:
        found += _of_topology(view, topology)
    found.sort(key=_rank)
    return dataclasses.replace(view, troubles=tuple(found))


def _rank(trouble: Trouble) -> tuple[bool, int]:
    return not trouble.is_bad, KINDS.index(trouble.kind)


def sentence(view: ClusterView) -> str:
    """Say in one sentence what is wrong, or that nothing is."""
    bad = [each for each in view.troubles if each.is_bad]
    shown = bad or list(view.troubles)
    if not shown:
        workers = sum(each.workers_present for each in view.topologies)
        if view.listed_s is None:
            return "Nothing has been read yet."
        return (
            f"All is well: heartbeats from {counted(workers, 'worker')} of"
            f" {counted(len(view.topologies), 'topology', plural='topologies')}."
        )
    more = len(view.troubles) - 1
    tail = f" ({counted(more, 'further finding')})" if more else ""
    return f"{shown[0].text}{tail}."


def _of_servers(cluster: TrackedCluster, view: ClusterView) -> Iterator[Trouble]:
    if cluster.servers_problem is not None:
        yield Trouble(
            is_bad=True,
            kind="no_server",
            topology_id=None,
            subject="pacemaker",
            text=f"No data: {cluster.servers_problem}",
        )
    age_s = view.data_age_s
    if age_s is not None and age_s > DATA_OLD_S:
        yield Trouble(
            is_bad=True,
            kind="old_data",
            topology_id=None,
            subject="pacemaker",
            text=f"The data is {age_s:.0f} s old",
        )
    for name, problem in view.absent:
        yield Trouble(
            is_bad=True,
            kind="server",
            topology_id=None,
            subject=name,
            text=f"Pacemaker {name} does not answer: {problem}",
        )
    if cluster.dropped:
        text = f"too many keys: {counted(cluster.dropped, 'key')} not read"
        yield Trouble(
            is_bad=False,
            kind="too_many_keys",
            topology_id=None,
            subject="pacemaker",
            text=text,
        )


def _of_zookeeper(view: ClusterView) -> Iterator[Trouble]:
    if view.nodes_problem is not None:
        text = f"ZooKeeper does not answer: {view.nodes_problem}"
        yield Trouble(
            is_bad=False,
            kind="zookeeper",
            topology_id=None,
            subject="zookeeper",
            text=text,
        )
    elif view.has_zookeeper and view.leader is None:
        yield Trouble(
            is_bad=True,
            kind="no_leader",
            topology_id=None,
            subject="nimbus",
            text="No Nimbus leads the cluster",
        )


def _of_topology(view: ClusterView, topology: TopologyView) -> Iterator[Trouble]:
    name = _short(topology.name)
    if not topology.is_known:
        text = f"{name}: heartbeats remain, but Storm no longer has the topology"
        yield Trouble(
            is_bad=False,
            kind="stale_topology",
            topology_id=topology.id,
            subject=topology.name,
            text=text,
        )
        return
    for worker in topology.workers:
        yield from _of_worker(topology, worker)
    if topology.moves:
        moved = counted(topology.moves, "move")
        text = f"{name}: {moved} of executors in the last 10 minutes"
        yield Trouble(
            is_bad=False,
            kind="moved",
            topology_id=topology.id,
            subject=topology.name,
            text=text,
        )
    for component in topology.components:
        yield from _of_component(view, topology, component)
    failed_percent = topology.rates.failed_percent
    if failed_percent is not None and failed_percent >= FAILED_PERCENT:
        text = f"{name}: {failed_percent:.1f} % of the tuple trees fail"
        yield Trouble(
            is_bad=True,
            kind="failures",
            topology_id=topology.id,
            subject=topology.name,
            text=text,
        )


def _of_worker(topology: TopologyView, worker: WorkerView) -> Iterator[Trouble]:
    trouble = partial(Trouble, topology_id=topology.id, subject=worker.name)
    name, place = _short(topology.name), _short(worker.place)
    if worker.state in _BAD_STATES:
        text = f"{name}: worker {place} {_bad_state(worker)}"
        yield trouble(is_bad=True, kind=worker.state, text=text)
    if worker.restarts:
        times = "once" if worker.restarts == 1 else f"{worker.restarts} times"
        is_new = (worker.uptime_secs or 0) < 60
        text = f"{name}: worker {place} was restarted {times} in the last 10 minutes"
        if is_new:
            text += f", the last time {worker.uptime_secs} s ago"
        yield trouble(is_bad=is_new, kind="restarted", text=text)
    skew_s = worker.skew_s
    if worker.state == "ok" and skew_s is not None and _is_skew(skew_s):
        direction = "behind" if skew_s > 0 else "ahead of"
        text = f"{name}: the clock of {place} is {abs(skew_s):.0f} s {direction} ours"
        yield trouble(is_bad=False, kind="skew", text=text)


def _short(name: str) -> str:
    """Cut a name, so that a long forged one leaves room for the trouble itself."""
    return clipped(name, MAX_NAME_CHARACTERS)


def _is_skew(skew_s: float) -> bool:
    # A heartbeat may have waited a round of 10 s to be read.
    return skew_s < -SKEW_SECS or skew_s > SKEW_SECS + 10


def _bad_state(worker: WorkerView) -> str:
    if worker.state == "late":
        return f"has sent no heartbeat for {worker.age_s or 0:.0f} s"
    if worker.state == "unreadable":
        return f"has a heartbeat that cannot be read: {worker.problem}"
    if worker.state == "gone":
        return "has ended: its heartbeat was deleted"
    return "is assigned but has no heartbeat"


def _of_component(
    view: ClusterView, topology: TopologyView, component: ComponentView
) -> Iterator[Trouble]:
    trouble = partial(Trouble, topology_id=topology.id, subject=component.name)
    name, bolt = _short(topology.name), _short(component.name)
    load = component.load
    if load is not None and load >= FULL_CAPACITY:
        place = _short(_place(topology, component.busiest))
        text = f"{name}: {bolt} is full: capacity {load:.2f} at {place}"
        yield trouble(is_bad=True, kind="full", text=text)
    error = component.error
    if error is not None and view.time_s - error.time_secs < RECENT_S:
        age_s = max(0.0, view.time_s - error.time_secs)
        text = f"{name}: {bolt} failed {age_s:.0f} s ago: "
        text += clipped(error.summary, MAX_ERROR_CHARACTERS)
        yield trouble(is_bad=False, kind="error", text=text)


def _place(topology: TopologyView, worker: str | None) -> str:
    found = (each.place for each in topology.workers if each.name == worker)
    return next(found, worker or "?")
