"""Read what Storm keeps in ZooKeeper: topologies, assignments, hosts, last errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, Protocol, TypeVar

from pacemaker.errors import NodeMissingError, ValueDecodeError
from pacemaker.observe.zookeeper import storm_nodes
from pacemaker.observe.zookeeper.storm_nodes import ClusterNodes, LastError, NimbusNode

T = TypeVar("T")

LAST_ERROR: Final = "-last-error"

# ZooKeeper numbers the candidates for the lead; the lowest leads.  Curator writes
# "..-latch-0000000003" or "..-lock-0000000003".
_SEQUENCE: Final = re.compile(r"([0-9]{10})$")


class NodeReader(Protocol):
    """The part of `ZooKeeperState` that is used here."""

    def get_children(self, path: str, watch: bool = False) -> list[str]:
        """Return the names of a node's children."""
        ...

    def get_data(self, path: str, watch: bool = False) -> bytes | None:
        """Return a node's data; None if there is no node."""
        ...


def read_nodes(state: NodeReader, now_s: float) -> ClusterNodes:
    """Read the nodes of a cluster.

    Raises:
        ZooKeeperError: ZooKeeper does not answer, or does not let us read.
    """
    return ClusterNodes(
        read_s=now_s,
        bases=dict(_each(state, "/storms", storm_nodes.storm_base)),
        assignments=dict(_each(state, "/assignments", storm_nodes.assignment)),
        supervisors=dict(_each(state, "/supervisors", storm_nodes.supervisor)),
        nimbuses=_nimbuses(state),
        errors=dict(_errors(state)),
        leftovers=tuple(_with_heartbeats(state)),
    )


def _children(state: NodeReader, path: str) -> list[str]:
    try:
        return sorted(state.get_children(path))
    except NodeMissingError:
        return []


def _each(
    state: NodeReader, path: str, read: Callable[[bytes], T]
) -> Iterator[tuple[str, T]]:
    for name in _children(state, path):
        value = _value(state, f"{path}/{name}", read)
        if value is not None:
            yield name, value


def _value(state: NodeReader, path: str, read: Callable[[bytes], T]) -> T | None:
    """Return a node's value; None if it has gone, or has another form."""
    data = state.get_data(path)
    if data is None:
        return None
    try:
        return read(data)
    except ValueDecodeError:
        return None


def _with_heartbeats(state: NodeReader) -> Iterator[str]:
    """Yield the topologies whose workers have written heartbeats to ZooKeeper.

    Nimbus makes an empty node for each topology, with Pacemaker too, and leaves it.
    """
    for topology_id in _children(state, "/workerbeats"):
        if _children(state, f"/workerbeats/{topology_id}"):
            yield topology_id


def _nimbuses(state: NodeReader) -> tuple[NimbusNode, ...]:
    leader = _leader(state)
    found = []
    for name in _children(state, "/nimbuses"):
        value = _value(
            state,
            f"/nimbuses/{name}",
            lambda data: storm_nodes.nimbus(data, is_leader=False),
        )
        if value is not None:
            # Storm 2.8 adds the port for TLS: HOST:PORT:0.
            is_leader = f"{leader}:".startswith(f"{value.host}:{value.port}:")
            found.append(
                NimbusNode(
                    value.host,
                    value.port,
                    value.started_secs,
                    value.version,
                    is_leader,
                )
            )
    return tuple(found)


def _leader(state: NodeReader) -> str | None:
    """Return the address of the leading Nimbus: the oldest candidate's data."""
    candidates = [
        (match[1], name)
        for name in _children(state, "/leader-lock")
        if (match := _SEQUENCE.search(name))
    ]
    if not candidates:
        return None
    data = state.get_data(f"/leader-lock/{min(candidates)[1]}")
    return None if not data else data.decode("utf-8", "replace")


def _errors(state: NodeReader) -> Iterator[tuple[tuple[str, str], LastError]]:
    for topology_id in _children(state, "/errors"):
        for name in _children(state, f"/errors/{topology_id}"):
            if not name.endswith(LAST_ERROR):
                continue
            path = f"/errors/{topology_id}/{name}"
            error = _value(state, path, storm_nodes.last_error)
            if error is not None:
                component = storm_nodes.component_of(name.removesuffix(LAST_ERROR))
                yield (topology_id, component), error
