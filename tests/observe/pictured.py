"""The cluster in the pictures of docs/observe.md: three topologies, one in trouble."""

from __future__ import annotations

import dataclasses

from pacemaker.observe.tracking.cluster import ServerState, TrackedCluster
from pacemaker.observe.zookeeper.storm_nodes import LastError
from tests.observe import made_up
from tests.observe.made_up import NODES, NOW, TOPOLOGY, A, B

OTHERS = {"orders-2-1699950000": 5, "clicks-3-1699900000": 40}
"""The other topologies, and how much more they do."""


def pictured() -> TrackedCluster:
    """Return the cluster: a worker of "words" is late, and its last error is shown."""
    cluster = TrackedCluster()
    cluster.on_listed({TOPOLOGY: [A, B], **{each: [A, B] for each in OTHERS}}, NOW + 20)
    error = LastError(
        "java.net.SocketTimeoutException: Read timed out", NOW - 40, "alpha", 6700
    )
    cluster.on_nodes(
        dataclasses.replace(
            NODES,
            bases={
                TOPOLOGY: made_up.BASE,
                **{
                    each: dataclasses.replace(made_up.BASE, name=each.split("-")[0])
                    for each in OTHERS
                },
            },
            assignments=dict.fromkeys((TOPOLOGY, *OTHERS), made_up.ASSIGNMENT),
            errors={(TOPOLOGY, "count"): error},
        )
    )
    cluster.on_servers([ServerState("pm1.example.com:6699", None)])
    details = {w: made_up.value(made_up.executors_of(w)) for w in (A, B)}
    fresh = made_up.value(made_up.executors_of(B), NOW + 18, 718)
    cluster.on_value(TOPOLOGY, A, details[A], NOW + 18)
    cluster.on_value(TOPOLOGY, B, fresh, NOW + 18)
    for topology_id, factor in OTHERS.items():
        for worker in (A, B):
            executors = made_up.executors_of(worker, factor)
            value = made_up.value(executors, NOW + 18, 718)
            cluster.on_value(topology_id, worker, value, NOW + 18)
    return cluster
