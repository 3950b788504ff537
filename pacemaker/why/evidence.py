"""The evidence: all that the Pacemakers and ZooKeeper say about workers; pure."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pacemaker.heartbeats.keys import topology_path
from pacemaker.observe.zookeeper.storm_nodes import ClusterNodes, slot_of
from pacemaker.why.facts import DaemonFacts, HistoryEvent, KeyFacts, WorkerId
from pacemaker.why.gaps import Gap, gaps_of

# Clocks of hosts differ, and uptimes are whole seconds.
SLACK_S: Final = 3.0


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

    @property
    def workers(self) -> list[WorkerId]:
        """Every worker that any Pacemaker or relay remembers."""
        return sorted({worker for daemon in self.daemons for worker in daemon.keys})

    @property
    def assigned(self) -> list[WorkerId]:
        """Every worker that ZooKeeper has an assignment for."""
        assignments = {} if self.nodes is None else self.nodes.assignments
        return sorted(
            WorkerId(topology_id, slot.worker)
            for topology_id, assignment in assignments.items()
            for slot in assignment.slots()
        )

    @property
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
        return [
            (each, each.keys[worker])
            for each in self.daemons
            if each.is_relay is are_relays and worker in each.keys
        ]

    def gaps(self, worker: WorkerId) -> list[Gap]:
        """Return the gaps of a worker, the oldest first."""
        if worker not in self._gaps:
            self._gaps[worker] = gaps_of(self.firsthand_facts(worker), self.now_s)
        return self._gaps[worker]

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
        assignment, slot = self.nodes.assignments.get(topology_id), slot_of(name)
        if assignment is None or slot is None:
            return None
        return assignment.slots().get(slot)

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
