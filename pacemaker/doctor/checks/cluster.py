"""Check what runs: Pacemakers, ZooKeeper, heartbeats, clocks, this host; pure.

Each rule is one function; `_RULES` has all of them, in the order of their findings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from pacemaker.doctor.facts import ClusterFacts, Finding, ServerFacts
from pacemaker.doctor.storm_yaml import SERVERS
from pacemaker.observe.views.cluster_view import WorkerView
from pacemaker.texts import counted

# A heartbeat is reported from this share of the size limit on.
SIZE_SHARE: Final = 0.8

SKEW_S: Final = 5.0

# What the daemon needs besides a descriptor for each worker.
RESERVED_DESCRIPTORS: Final = 100

_SHOWN: Final = 5


def check(facts: ClusterFacts) -> Iterator[Finding]:
    """Yield what is wrong with the running cluster."""
    for rule in _RULES:
        yield from rule(facts)


# The Pacemakers.


def _servers(facts: ClusterFacts) -> Iterator[Finding]:
    for server in facts.servers:
        if not server.addresses:
            yield _unresolved(facts, server)
        elif server.is_tried and server.problem is not None:
            yield _dead_server(facts, server.name, server.problem)


def _unresolved(facts: ClusterFacts, server: ServerFacts) -> Finding:
    return Finding(
        check="unresolved",
        is_failure=True,
        key=SERVERS,
        file=facts.files[0].source,
        value=server.name,
        because="the name does not resolve, so workers and Nimbus on this host cannot"
        " reach this Pacemaker",
        remedy="correct the name, or the DNS or hosts file of this host",
    )


def _dead_server(facts: ClusterFacts, name: str, problem: str) -> Finding:
    others = len(facts.servers) > 1
    return Finding(
        check="dead_server",
        is_failure=True,
        key=SERVERS,
        file=facts.files[0].source,
        value=f"{name}: {problem}",
        because="until it answers, Nimbus 2.x needs 11 s to read each worker"
        if others
        else "Nimbus cannot read heartbeats, and Nimbus 2.x ends itself after"
        " 80 to 121 s",
        remedy="start the Pacemaker there, or remove it from pacemaker.servers and"
        " restart Nimbus, which reads that key only at its start"
        if others
        else "start the Pacemaker there",
    )


# ZooKeeper, and what its nodes say.


def _zookeeper(facts: ClusterFacts) -> Iterator[Finding]:
    if facts.zookeeper_problem is not None:
        yield Finding(
            check="zookeeper",
            is_failure=True,
            key="storm.zookeeper.servers",
            file=facts.files[0].source,
            value=facts.zookeeper_problem,
            because="Nimbus and supervisors do not work without ZooKeeper",
            remedy="start ZooKeeper, or correct storm.zookeeper.servers, .port and"
            " .root",
        )


def _no_leader(facts: ClusterFacts) -> Iterator[Finding]:
    nodes = facts.nodes
    if nodes is not None and not any(each.is_leader for each in nodes.nimbuses):
        nimbuses = counted(len(nodes.nimbuses), "Nimbus", plural="Nimbuses")
        yield Finding(
            check="no_leader",
            is_failure=True,
            key="nimbus.seeds",
            file=facts.files[0].source,
            value=f"{nimbuses}, no leader",
            because="dead workers are not replaced, and topologies cannot be submitted",
            remedy="start Nimbus; if it runs, its log says why it does not lead",
        )


def _leftover_nodes(facts: ClusterFacts) -> Iterator[Finding]:
    if facts.nodes is not None and facts.nodes.leftovers:
        yield Finding(
            check="leftover_nodes",
            is_failure=False,
            key="/workerbeats in ZooKeeper",
            file="storm.zookeeper.root",
            value=_first_names(facts.nodes.leftovers),
            because="ZooKeeper holds their heartbeats, which nothing reads or removes:"
            " they are from before Pacemaker was used, or from workers that do not use"
            " it",
            remedy="set storm.cluster.state.store on every host, then delete the nodes"
            " below storm.zookeeper.root/workerbeats in ZooKeeper",
        )


def _versions(facts: ClusterFacts) -> Iterator[Finding]:
    if len(facts.versions) > 1:
        yield Finding(
            check="versions",
            is_failure=False,
            key="Storm",
            file="ZooKeeper",
            value=", ".join(sorted(facts.versions)),
            because="daemons of different releases run in one cluster",
            remedy="bring all of them to the same release",
        )


# This host, if a Pacemaker runs here.


def _descriptors(facts: ClusterFacts) -> Iterator[Finding]:
    host, workers = facts.host, _worker_count(facts)
    needed = workers + RESERVED_DESCRIPTORS
    if host.listens and host.descriptors is not None and host.descriptors < needed:
        yield Finding(
            check="descriptors",
            is_failure=True,
            key="open files (ulimit -n)",
            file="this host",
            value=str(host.descriptors),
            because=f"each of {counted(workers, 'worker')} needs a connection, and some"
            " will be refused",
            remedy=f"raise the limit to {2 * needed} or more (LimitNOFILE= in systemd)",
        )


def _somaxconn(facts: ClusterFacts) -> Iterator[Finding]:
    host = facts.host
    wanted = min(4096, max(1024, _worker_count(facts)))
    if host.listens and host.somaxconn is not None and host.somaxconn < wanted:
        yield Finding(
            check="somaxconn",
            is_failure=False,
            key="net.core.somaxconn",
            file="this host",
            value=str(host.somaxconn),
            because="after a restart all workers connect at once, and the listen"
            " backlog is too short for them",
            remedy="set it to 4096 with sysctl",
        )


def _port_not_kept(facts: ClusterFacts) -> Iterator[Finding]:
    if facts.host.listens and facts.host.keeps_port is False:
        yield Finding(
            check="port_not_kept",
            is_failure=False,
            key="pacemaker.port",
            file="this host",
            value=str(facts.files[0].get("pacemaker.port")),
            because="nothing keeps the port open while the daemon restarts, so workers"
            " reconnect after 13 s instead of 0.1 s",
            remedy="start the daemon with its systemd socket unit (docs/systemd.md)",
        )


# The heartbeats, if a Pacemaker could be read.


def _large_heartbeat(facts: ClusterFacts) -> Iterator[Finding]:
    file = facts.files[0]
    limit_bytes = file.number("pacemaker.thrift.message.size.max")
    largest = max(_workers(facts), key=lambda each: each.size_bytes, default=None)
    if largest is None or not limit_bytes:
        return  # A limit of 0 has a finding of its own: the daemon does not start.
    share = largest.size_bytes / limit_bytes
    if share >= SIZE_SHARE:
        yield Finding(
            check="large_heartbeat",
            is_failure=True,
            key="pacemaker.thrift.message.size.max",
            file=file.source,
            value=f"{limit_bytes:g}; {largest.place} stores {largest.size_bytes} bytes",
            because="heartbeats grow with executors and streams; one above the limit is"
            " refused, and Nimbus then takes the worker for dead",
            remedy="raise the limit on every host, or give the topology more workers",
        )


def _stale_topologies(facts: ClusterFacts) -> Iterator[Finding]:
    topologies = () if facts.view is None else facts.view.topologies
    stale = tuple(each.id for each in topologies if not each.is_known)
    if stale:
        yield Finding(
            check="stale_topologies",
            is_failure=False,
            key="/workerbeats in Pacemaker",
            file="the Pacemakers",
            value=_first_names(stale),
            because="Storm no longer has these topologies; their heartbeats take"
            " memory",
            remedy="remove them: storm-pacemaker-py rm /workerbeats/TOPOLOGY",
        )


def _launch(facts: ClusterFacts) -> Iterator[Finding]:
    """Compare how long workers have been loading with the limits."""
    file = facts.files[0]
    loading = [
        worker.uptime_secs or 0
        for worker in _workers(facts)
        if worker.state == "loading"
    ]
    longest_s = max(loading, default=0)
    for key in ("nimbus.task.launch.secs", "supervisor.worker.start.timeout.secs"):
        limit_s = file.number(key)
        if limit_s is not None and longest_s > 0.8 * limit_s:
            yield Finding(
                check="launch",
                is_failure=True,
                key=key,
                file=file.source,
                value=f"{limit_s:g}; a worker has been loading for {longest_s} s",
                because="a worker that loads longer is taken for dead and started"
                " again, over and over",
                remedy=f"set it to at least {2 * longest_s}",
            )


def _clocks(facts: ClusterFacts) -> Iterator[Finding]:
    skews = [
        (abs(worker.skew_s), worker)
        for worker in _workers(facts)
        if worker.skew_s is not None and worker.state in ("ok", "loading")
    ]
    skew_s, worst = max(skews, key=lambda each: each[0], default=(0.0, None))
    if worst is not None and skew_s > SKEW_S:
        yield Finding(
            check="clocks",
            is_failure=False,
            key="clock",
            file=worst.place,
            value=f"{skew_s:.0f} s from that of this host",
            because="with several Pacemakers the heartbeat with the newest time counts,"
            " so a clock that is set back makes a living worker look dead",
            remedy="synchronise the clocks of all hosts with chrony or another NTP"
            " client",
        )


_RULES: Final[tuple[Callable[[ClusterFacts], Iterator[Finding]], ...]] = (
    _servers,
    _zookeeper,
    _no_leader,
    _leftover_nodes,
    _versions,
    _descriptors,
    _somaxconn,
    _port_not_kept,
    _large_heartbeat,
    _stale_topologies,
    _launch,
    _clocks,
)


def _worker_count(facts: ClusterFacts) -> int:
    """Return how many workers there are, or may be."""
    seen = len(_workers(facts))
    if facts.nodes is None:
        return seen
    slots = sum(len(each.ports) for each in facts.nodes.supervisors.values())
    return max(seen, slots)


def _workers(facts: ClusterFacts) -> list[WorkerView]:
    topologies = () if facts.view is None else facts.view.topologies
    return [worker for topology in topologies for worker in topology.workers]


def _first_names(names: tuple[str, ...]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
