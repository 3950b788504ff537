"""The evidence: all that the Pacemakers and ZooKeeper say about workers; pure."""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple, TypeAlias

from pacemaker.heartbeats.keys import topology_path
from pacemaker.observe.zookeeper.storm_nodes import ClusterNodes, Slot, slot_of
from pacemaker.why.census import Census, SpanCounter, WorkerLife, merged
from pacemaker.why.facts import DaemonFacts, HistoryEvent, KeyFacts, Span, WorkerId
from pacemaker.why.gaps import Gap, gaps_of

# Clocks of hosts differ, and uptimes are whole seconds.
SLACK_S: Final = 3.0

_Holders: TypeAlias = dict[WorkerId, list[tuple[DaemonFacts, KeyFacts]]]


class WorkerVerdict(enum.Enum):
    """What became of a worker."""

    WELL = "well"
    ENDED_ITSELF = "ended itself"
    STOPPED = "stopped"
    TOPOLOGY_KILLED = "topology killed"
    KILLED = "killed"
    PAUSED = "paused"
    NETWORK = "network"
    LOADING = "loading"
    TWO_WRITERS = "two writers"
    WHOLE_HOST = "whole host"
    # The text is older than the name, and users may match it.
    SHARED_OUTAGE = "everything"
    NOT_READ = "not read by Nimbus"
    SUPERVISOR_GONE = "supervisor gone"
    UNCLEAR = "unclear"
    NEVER_SEEN = "never seen"
    UNKNOWN = "unknown"


class Cause(NamedTuple):
    """Why a worker was silent.

    Attributes:
        verdict: what happened.
        reasons: what speaks for it, in sentences.
    """

    verdict: WorkerVerdict
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WorkerFinding:
    """A verdict, with the time that it is about and what speaks for it.

    Attributes:
        verdict: what happened.
        begin_s: the last heartbeat before it, or when it began; None if unknown.
        end_s: the first heartbeat after it; None if it goes on.
        reasons: what speaks for it, in sentences.
    """

    verdict: WorkerVerdict
    begin_s: float | None
    end_s: float | None
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Evidence:
    """All that is known.

    Each gap is judged by what all workers did, so what is asked for each gap is worked
    out once.

    Attributes:
        daemons: what each Pacemaker and relay remembers; those that did not answer are
            missing.
        nodes: what ZooKeeper says; None if it was not asked or did not answer.
        has_relays: whether workers connect to relays, even if none of those answered.
    """

    daemons: Sequence[DaemonFacts]
    nodes: ClusterNodes | None = None
    has_relays: bool = False
    _gaps: dict[WorkerId, list[Gap]] = field(default_factory=dict)
    _hosts: dict[str, Census] = field(default_factory=dict)

    @cached_property
    def workers(self) -> list[WorkerId]:
        """Every worker that any Pacemaker or relay remembers."""
        return sorted({worker for daemon in self.daemons for worker in daemon.keys})

    @property
    def assigned(self) -> list[WorkerId]:
        """Every worker that ZooKeeper has an assignment for."""
        return sorted(
            WorkerId(topology_id, slot.worker)
            for topology_id, slots in self._slots.items()
            for slot in slots
        )

    @cached_property
    def _slots(self) -> dict[str, dict[Slot, int]]:
        """The slots of each topology, and when each was assigned."""
        assignments = {} if self.nodes is None else self.nodes.assignments
        return {name: assignment.slots() for name, assignment in assignments.items()}

    @cached_property
    def now_s(self) -> float:
        """When the Pacemakers and relays were asked."""
        return max((each.now_s for each in self.daemons), default=0.0)

    def firsthand_facts(self, worker: WorkerId) -> list[KeyFacts]:
        """Return what the daemons to which a worker connects know of it.

        If its relay answered, that is the relay alone.  The Pacemakers' memory must not
        be mixed in: a relay repeats heartbeats to a Pacemaker that was restarted, so a
        worker that is silent at that time would seem to write.
        """
        return self.relay_facts(worker) or self.pacemaker_facts(worker)

    def pacemaker_facts(self, worker: WorkerId) -> list[KeyFacts]:
        """Return what each Pacemaker remembers of a worker."""
        return [facts for _, facts in self.holders(worker)]

    def relay_facts(self, worker: WorkerId) -> list[KeyFacts]:
        """Return what each relay remembers of a worker."""
        return [facts for _, facts in self.holders(worker, are_relays=True)]

    def holders(
        self, worker: WorkerId, are_relays: bool = False
    ) -> list[tuple[DaemonFacts, KeyFacts]]:
        """Return the Pacemakers, or the relays, that remember a worker."""
        return self._holders[are_relays].get(worker, [])

    @cached_property
    def _holders(self) -> dict[bool, _Holders]:
        """The relays, and the others, that remember each worker."""
        pacemakers: _Holders = defaultdict(list)
        relays: _Holders = defaultdict(list)
        for daemon in self.daemons:
            known = relays if daemon.is_relay else pacemakers
            for worker, facts in daemon.keys.items():
                known[worker].append((daemon, facts))
        return {False: pacemakers, True: relays}

    def carried_by(self, peer: str) -> int:
        """Return the number of workers whose last heartbeat came from a connection."""
        return len(self._carried.get(peer, ()))

    @cached_property
    def _carried(self) -> dict[str, set[WorkerId]]:
        carried = defaultdict(set)
        for daemon in self.daemons:
            for worker, facts in daemon.keys.items():
                carried[facts.peer].add(worker)
        return carried

    def gaps(self, worker: WorkerId) -> list[Gap]:
        """Return the gaps of a worker, the oldest first."""
        if worker not in self._gaps:
            self._gaps[worker] = gaps_of(self.firsthand_facts(worker), self.now_s)
        return self._gaps[worker]

    @cached_property
    def everyone(self) -> Census:
        """All workers."""
        return Census([life for lives in self._lives.values() for life in lives])

    def host(self, node: str) -> Census:
        """Return the workers of a host, which is known by its supervisor's id."""
        if node not in self._hosts:
            self._hosts[node] = Census(self._lives.get(node, []))
        return self._hosts[node]

    @cached_property
    def hosts(self) -> SpanCounter:
        """The times in which a host had a worker that was alive."""
        return SpanCounter(
            span
            for lives in self._lives.values()
            for span in merged(span for life in lives for span in life.alive)
        )

    @cached_property
    def _lives(self) -> dict[str, list[WorkerLife]]:
        """When the workers were alive and silent, by host."""
        lives = defaultdict(list)
        for worker in self.workers:
            lives[node_of(worker.name)].append(self._life(worker))
        return lives

    def _life(self, worker: WorkerId) -> WorkerLife:
        """Return when a worker was alive, and when it was silent but not shut down.

        It is alive from shortly before its first heartbeat until the one after its last
        is late.
        """
        alive = merged(
            Span(each.first_s - each.late_s, each.last_s + each.late_s)
            for each in self.firsthand_facts(worker)
        )
        silent, until_s = [], 0.0
        for gap in self.gaps(worker):
            # Times are rounded, so two gaps may have a millisecond in common.
            begin_s, until_s = max(gap.span.begin_s, until_s), gap.span.end_s
            if not self.deletes_in(worker, gap):
                silent.append(Span(begin_s, until_s))
        return WorkerLife(alive, silent)

    def deletes_in(self, worker: WorkerId, gap: Gap) -> list[HistoryEvent]:
        """Return the deletes of a worker's key at a gap's beginning or in it."""
        return [
            event
            for each in self.firsthand_facts(worker)
            for event in each.events
            if event.kind == "deleted"
            and gap.span.begin_s - SLACK_S <= event.at_s <= gap.span.end_s
        ]

    def assigned_s(self, worker: WorkerId) -> float | None:
        """Return when a worker's slot was assigned; None if that is not known."""
        if self.nodes is None:
            return None
        topology_id, name = worker
        slots, slot = self._slots.get(topology_id), slot_of(name)
        if slots is None or slot is None:
            return None
        return slots.get(slot)

    def is_unassigned(self, worker: WorkerId) -> bool:
        """Return whether ZooKeeper has no assignment for a worker's slot."""
        is_asked = self.nodes is not None and slot_of(worker.name) is not None
        return is_asked and self.assigned_s(worker) is None

    def newest_assignment_s(self, topology_id: str) -> float | None:
        """Return when Nimbus last assigned any executor of a topology."""
        assignments = {} if self.nodes is None else self.nodes.assignments
        assignment = assignments.get(topology_id)
        if assignment is None:
            return None
        return max(assignment.starts_secs.values(), default=None)

    def topology_deleted(
        self, topology_id: str, since_s: float
    ) -> tuple[float, str] | None:
        """Return when all keys of a topology were deleted, and by whom."""
        for daemon in self.daemons:
            for at_s, path, peer in daemon.deletes:
                is_it = path.rstrip("/") == topology_path(topology_id)
                if is_it and at_s >= since_s:
                    return at_s, peer
        return None

    def lacks_supervisor(self, node: str) -> bool:
        """Return whether ZooKeeper has no supervisor of this id."""
        return self.nodes is not None and node not in self.nodes.supervisors


def newest(facts: Sequence[KeyFacts]) -> KeyFacts:
    """Return what the Pacemaker with the last heartbeat remembers."""
    return max(facts, key=lambda each: each.last_s)


def node_of(worker: str) -> str:
    """Return the id of a worker's supervisor, which stands for its host."""
    slot = slot_of(worker)
    return worker if slot is None else slot.node
