"""A cluster, tracked reading after reading: heartbeats and ZooKeeper's nodes.

It does no I/O and reads no clock: the time of each reading is an argument, in seconds
since 1970.  `pacemaker.observe.views.make_views` makes the view that is shown.  One
thread at a time may use it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from pacemaker.errors import ValueDecodeError
from pacemaker.observe.decoding.decoder import DecodedHeartbeat, HeartbeatDecoder
from pacemaker.observe.tracking.topology import TrackedTopology
from pacemaker.observe.tracking.worker import TrackedWorker
from pacemaker.observe.zookeeper.storm_nodes import ClusterNodes, slot_of

MAX_EVENTS: Final = 1_000

# How long a worker is remembered after its key has gone.
GONE_KEPT_S: Final = 600

# Anyone can store keys, so their number is limited: a cluster of 1,500 supervisors has
# 15,000 workers.
MAX_WORKERS: Final = 100_000


class WorkerEvent(NamedTuple):
    """Something that happened to a worker.

    Attributes:
        time_s: when it was noticed.
        kind: "restart" or "move".
        topology_id: its topology.
        worker: the worker that is there now.
        former: the worker before a move; for a restart, the same worker.
    """

    time_s: float
    kind: str
    topology_id: str
    worker: str
    former: str


class ServerState(NamedTuple):
    """One Pacemaker, at the last reading.

    Attributes:
        name: ``HOST:PORT``.
        problem: why it does not answer; None if it does.
    """

    name: str
    problem: str | None


class TrackedCluster:
    """What is known of the cluster.

    Attributes:
        topologies: by their id.
        nodes: what was last read from ZooKeeper; None without ZooKeeper.
        nodes_problem: why ZooKeeper does not answer; None if it does or is not asked.
        servers: the Pacemakers.
        servers_problem: why no Pacemaker can be read; None if one can.
        events: restarts and moves, the newest last.
        listed_s: when the keys were last listed; None before the first time.
        dropped: keys that were ignored because there were too many.
        decoder: decodes the heartbeats.
    """

    def __init__(self) -> None:
        self.topologies: dict[str, TrackedTopology] = {}
        self.nodes: ClusterNodes | None = None
        self.nodes_problem: str | None = None
        self.servers: tuple[ServerState, ...] = ()
        self.servers_problem: str | None = None
        self.events: deque[WorkerEvent] = deque(maxlen=MAX_EVENTS)
        self.listed_s: float | None = None
        self.dropped = 0
        self.decoder = HeartbeatDecoder()

    def on_listed(self, names: Mapping[str, Iterable[str]], now_s: float) -> None:
        """Process the complete lists of keys.

        Args:
            names: the names of workers, by the id of their topology.
            now_s: when they were listed.
        """
        self.listed_s = now_s
        room = MAX_WORKERS
        self.dropped = 0
        for topology_id, workers in names.items():
            present = sorted(set(workers))
            self.dropped += max(0, len(present) - room)
            present = present[:room]
            room -= len(present)
            if present:
                topology = self.topologies.setdefault(
                    topology_id, TrackedTopology(topology_id)
                )
                _list_workers(topology, present, now_s)
        for topology_id in [each for each in self.topologies if not names.get(each)]:
            self._forget(topology_id, now_s)

    def _forget(self, topology_id: str, now_s: float) -> None:
        """Drop a topology without keys, unless ZooKeeper says that it still runs."""
        if self.nodes is None or topology_id not in self.nodes.bases:
            del self.topologies[topology_id]
        else:
            _list_workers(self.topologies[topology_id], (), now_s)

    def on_value(
        self, topology_id: str, name: str, details: bytes | None, now_s: float
    ) -> None:
        """Process the value of a key that was listed.

        Args:
            details: the stored value; None if the key was deleted meanwhile.
            now_s: when it was read.
        """
        topology = self.topologies.get(topology_id)
        worker = None if topology is None else topology.workers.get(name)
        if topology is None or worker is None or details is None:
            return
        worker.read_s = now_s
        worker.size_bytes = len(details)
        value_hash = hash(details)
        if value_hash == worker.value_hash:
            return
        worker.value_hash = value_hash
        try:
            beat, worker.known = self.decoder.decode(details, worker.known)
        except ValueDecodeError as exc:
            worker.problem = str(exc)
            return
        worker.problem = None
        self._take(topology, worker, beat, now_s)

    def on_nodes(self, nodes: ClusterNodes | None, problem: str | None = None) -> None:
        """Process what was read from ZooKeeper, or why nothing could be read.

        In that case the nodes that were read before remain.
        """
        self.nodes_problem = problem
        if nodes is not None:
            self.nodes = nodes
            for topology_id in nodes.bases:
                self.topologies.setdefault(topology_id, TrackedTopology(topology_id))

    def on_servers(
        self, servers: Iterable[ServerState], problem: str | None = None
    ) -> None:
        """Note which Pacemakers answer, and why nothing can be read."""
        self.servers = tuple(servers)
        self.servers_problem = problem

    def keys(self) -> list[tuple[str, str]]:
        """Return the topology and the name of every worker that has a key."""
        return [
            (topology.id, worker.name)
            for topology in self.topologies.values()
            for worker in topology.workers.values()
            if worker.gone_s is None
        ]

    def _take(
        self,
        topology: TrackedTopology,
        worker: TrackedWorker,
        beat: DecodedHeartbeat,
        now_s: float,
    ) -> None:
        is_restart = worker.is_restart(beat)
        is_new_process = is_restart or worker.counts_fell(beat)
        if is_new_process:
            topology.end_processes_of(worker)
        worker.take(beat, now_s, is_new_process=is_new_process)
        former = topology.place_executors(worker)
        if is_restart:
            self._note(now_s, "restart", worker, worker)
        if former is not None:
            self._note(now_s, "move", worker, former)

    def _note(
        self, now_s: float, kind: str, worker: TrackedWorker, former: TrackedWorker
    ) -> None:
        if kind == "restart":
            worker.restarts_s.append(now_s)
        self.events.append(
            WorkerEvent(now_s, kind, worker.topology_id, worker.name, former.name)
        )


def _list_workers(
    topology: TrackedTopology, present: Iterable[str], now_s: float
) -> None:
    for name in present:
        worker = topology.workers.get(name)
        if worker is None:
            topology.workers[name] = TrackedWorker(topology.id, name, slot_of(name))
        else:
            worker.gone_s = None
    there = set(present)
    for worker in list(topology.workers.values()):
        if worker.name in there:
            continue
        if worker.gone_s is None:
            worker.gone_s = now_s
        elif now_s - worker.gone_s > GONE_KEPT_S:
            topology.forget(worker)
