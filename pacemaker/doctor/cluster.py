"""Check what runs: Pacemakers, ZooKeeper, heartbeats, clocks, this host; pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pacemaker.doctor.configuration import SERVERS
from pacemaker.doctor.facts import Facts, Finding
from pacemaker.observe.view import ClusterView, WorkerView
from pacemaker.words import counted

# A heartbeat is reported from this share of the size limit on.
SIZE_SHARE: Final = 0.8

SKEW_S: Final = 5.0

# What the daemon needs besides a descriptor for each worker.
RESERVED_DESCRIPTORS: Final = 100

_SHOWN: Final = 5


def check(facts: Facts) -> Iterator[Finding]:
    """Yield what is wrong with the running cluster."""
    yield from _servers(facts)
    yield from _zookeeper(facts)
    yield from _host(facts)
    if facts.view is not None:
        yield from _heartbeats(facts, facts.view)
        yield from _clocks(facts.view)


def _servers(facts: Facts) -> Iterator[Finding]:
    file = facts.files[0].source
    for server in facts.servers:
        if not server.addresses:
            yield Finding(
                "unresolved",
                True,
                SERVERS,
                file,
                server.name,
                "the name does not resolve, so workers and Nimbus on this host cannot"
                " reach this Pacemaker",
                "correct the name, or the DNS or hosts file of this host",
            )
        elif server.is_tried and server.problem is not None:
            others = len(facts.servers) > 1
            yield Finding(
                "dead_server",
                True,
                SERVERS,
                file,
                f"{server.name}: {server.problem}",
                "until it answers, Nimbus 2.x needs 11 s to read each worker"
                if others
                else "Nimbus cannot read heartbeats, and Nimbus 2.x ends itself after"
                " 80 to 121 s",
                "start the Pacemaker there, or remove it from pacemaker.servers and"
                " restart Nimbus, which reads that key only at its start"
                if others
                else "start the Pacemaker there",
            )


def _zookeeper(facts: Facts) -> Iterator[Finding]:
    file = facts.files[0].source
    if facts.zookeeper_problem is not None:
        yield Finding(
            "zookeeper",
            True,
            "storm.zookeeper.servers",
            file,
            facts.zookeeper_problem,
            "Nimbus and supervisors do not work without ZooKeeper",
            "start ZooKeeper, or correct storm.zookeeper.servers, .port and .root",
        )
    nodes = facts.nodes
    if nodes is None:
        return
    if not any(each.is_leader for each in nodes.nimbuses):
        yield Finding(
            "no_leader",
            True,
            "nimbus.seeds",
            file,
            f"{counted(len(nodes.nimbuses), 'Nimbus', plural='Nimbuses')}, no leader",
            "dead workers are not replaced, and topologies cannot be submitted",
            "start Nimbus; if it runs, its log says why it does not lead",
        )
    if nodes.leftovers:
        yield Finding(
            "leftover_nodes",
            False,
            "/workerbeats in ZooKeeper",
            "storm.zookeeper.root",
            _some(nodes.leftovers),
            "ZooKeeper holds their heartbeats, which nothing reads or removes: they are"
            " from before Pacemaker was used, or from workers that do not use it",
            "set storm.cluster.state.store on every host, then delete the nodes below"
            " storm.zookeeper.root/workerbeats in ZooKeeper",
        )
    if len(facts.versions) > 1:
        yield Finding(
            "versions",
            False,
            "Storm",
            "ZooKeeper",
            ", ".join(sorted(facts.versions)),
            "daemons of different releases run in one cluster",
            "bring all of them to the same release",
        )


def _some(names: tuple[str, ...]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _host(facts: Facts) -> Iterator[Finding]:
    host = facts.host
    if not host.listens:
        return  # no Pacemaker runs here
    workers = _worker_count(facts)
    needed = workers + RESERVED_DESCRIPTORS
    if host.descriptors is not None and host.descriptors < needed:
        yield Finding(
            "descriptors",
            True,
            "open files (ulimit -n)",
            "this host",
            str(host.descriptors),
            f"each of {counted(workers, 'worker')} needs a connection, and some will be"
            " refused",
            f"raise the limit to {2 * needed} or more (LimitNOFILE= in systemd)",
        )
    wanted = min(4096, max(1024, workers))
    if host.somaxconn is not None and host.somaxconn < wanted:
        yield Finding(
            "somaxconn",
            False,
            "net.core.somaxconn",
            "this host",
            str(host.somaxconn),
            "after a restart all workers connect at once, and the listen backlog is too"
            " short for them",
            "set it to 4096 with sysctl",
        )
    if host.keeps_port is False:
        yield Finding(
            "port_not_kept",
            False,
            "pacemaker.port",
            "this host",
            str(facts.files[0].get("pacemaker.port")),
            "nothing keeps the port open while the daemon restarts, so workers"
            " reconnect after 13 s instead of 0.1 s",
            "start the daemon with its systemd socket unit (docs/systemd.md)",
        )


def _worker_count(facts: Facts) -> int:
    seen = 0 if facts.view is None else len(_workers(facts.view))
    if facts.nodes is None:
        return seen
    slots = sum(len(each.ports) for each in facts.nodes.supervisors.values())
    return max(seen, slots)


def _workers(view: ClusterView) -> list[WorkerView]:
    return [worker for topology in view.topologies for worker in topology.workers]


def _heartbeats(facts: Facts, view: ClusterView) -> Iterator[Finding]:
    file = facts.files[0]
    limit_bytes = file.number("pacemaker.thrift.message.size.max")
    largest = max(_workers(view), key=lambda each: each.size_bytes, default=None)
    if largest is not None and limit_bytes is not None:
        share = largest.size_bytes / limit_bytes
        if share >= SIZE_SHARE:
            yield Finding(
                "large_heartbeat",
                True,
                "pacemaker.thrift.message.size.max",
                file.source,
                f"{limit_bytes:g}; {largest.place} stores {largest.size_bytes} bytes",
                "heartbeats grow with executors and streams; one above the limit is"
                " refused, and Nimbus then takes the worker for dead",
                "raise the limit on every host, or give the topology more workers",
            )
    stale = tuple(each.id for each in view.topologies if not each.is_known)
    if stale:
        yield Finding(
            "stale_topologies",
            False,
            "/workerbeats in Pacemaker",
            "the Pacemakers",
            _some(stale),
            "Storm no longer has these topologies; their heartbeats take memory",
            "remove them: storm-pacemaker-py rm /workerbeats/TOPOLOGY",
        )
    yield from _launch_times(facts, view)


def _launch_times(facts: Facts, view: ClusterView) -> Iterator[Finding]:
    """Compare how long workers have been loading with the limits."""
    file = facts.files[0]
    loading = [
        worker.uptime_secs or 0
        for worker in _workers(view)
        if worker.state == "loading"
    ]
    longest_s = max(loading, default=0)
    for key in ("nimbus.task.launch.secs", "supervisor.worker.start.timeout.secs"):
        limit_s = file.number(key)
        if limit_s is not None and longest_s > 0.8 * limit_s:
            yield Finding(
                "launch",
                True,
                key,
                file.source,
                f"{limit_s:g}; a worker has been loading for {longest_s} s",
                "a worker that loads longer is taken for dead and started again, over"
                " and over",
                f"set it to at least {2 * longest_s}",
            )


def _clocks(view: ClusterView) -> Iterator[Finding]:
    skews = [
        (abs(worker.skew_s), worker)
        for worker in _workers(view)
        if worker.skew_s is not None and worker.state in ("ok", "loading")
    ]
    skew_s, worst = max(skews, key=lambda each: each[0], default=(0.0, None))
    if worst is not None and skew_s > SKEW_S:
        yield Finding(
            "clocks",
            False,
            "clock",
            worst.place,
            f"{skew_s:.0f} s from that of this host",
            "with several Pacemakers the heartbeat with the newest time counts, so a"
            " clock that is set back makes a living worker look dead",
            "synchronise the clocks of all hosts with chrony or another NTP client",
        )
