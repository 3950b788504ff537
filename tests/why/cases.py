"""Made-up clusters, second by second, to test the verdicts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from pacemaker.heartbeats.model import ExecutorInfo
from pacemaker.observe.zookeeper.storm_nodes import (
    Assignment,
    ClusterNodes,
    LastError,
    Slot,
    Status,
    StormBase,
    Supervisor,
)
from pacemaker.why.evidence import Evidence, WorkerFinding
from pacemaker.why.facts import DaemonFacts, HistoryEvent, KeyFacts, Span, WorkerId
from pacemaker.why.verdicts import findings_of

TOPOLOGY = "words-1-1700000000"
BEGAN_S = 1_000.0
AT_S = 5_000.0
NOW_S = 10_000.0
WORKER = WorkerId(TOPOLOGY, "node-a-6700")
PEER = "10.0.0.1:4001"
LATER_PEER = "10.0.0.1:4002"


def key(
    *events: HistoryEvent,
    first_s: float = 2_000.0,
    last_s: float = NOW_S - 1.0,
    peer: str = PEER,
    end: str = "open",
    ended_s: float | None = None,
    is_stored: bool = True,
    executors: int | None = 4,
    uptime_s: int | None = 8_000,
    read_s: float | None = NOW_S - 3.0,
    daemon: str = "pm1",
) -> KeyFacts:
    """Return what a Pacemaker remembers of a worker that is well, but for this."""
    return KeyFacts(
        daemon=daemon,
        first_s=first_s,
        last_s=last_s,
        peer=peer,
        end=end,
        ended_s=ended_s,
        read_s=read_s,
        is_stored=is_stored,
        executors=executors,
        uptime_s=uptime_s,
        events=events,
    )


def daemon(
    keys: Mapping[WorkerId, KeyFacts],
    name: str = "pm1",
    deletes: Sequence[tuple[float, str, str]] = (),
    read_gaps: Sequence[Span] = (),
    read_s: float | None = NOW_S - 3.0,
    began_s: float = BEGAN_S,
    is_relay: bool = False,
) -> DaemonFacts:
    """Return what a Pacemaker remembers; Nimbus reads from it."""
    return DaemonFacts(
        name=name,
        now_s=NOW_S,
        began_s=began_s,
        reader="10.0.0.9:5000",
        read_s=read_s,
        read_gaps=tuple(read_gaps),
        deletes=tuple(deletes),
        keys=keys,
        is_relay=is_relay,
    )


def behind_relay(
    at_relay: KeyFacts, at_pacemaker: KeyFacts, began_s: float = BEGAN_S
) -> Evidence:
    """Return the evidence on a worker that a relay and a Pacemaker remember."""
    return Evidence(
        [
            daemon({WORKER: at_relay}, "relay", read_s=None, is_relay=True),
            daemon({WORKER: at_pacemaker}, began_s=began_s),
        ],
        nodes(),
        has_relays=True,
    )


def evidence(
    facts: KeyFacts, nodes: ClusterNodes | None = None, **others: KeyFacts
) -> Evidence:
    """Return the evidence of one Pacemaker; the others are workers by their names."""
    keys = {WORKER: facts}
    keys.update(
        {
            WorkerId(TOPOLOGY, name.replace("_", "-")): each
            for name, each in others.items()
        }
    )
    return Evidence([daemon(keys)], nodes)


def nodes(
    *,
    assigned_s: int | None = 1_900,
    status: Status | None = Status.ACTIVE,
    supervisors: Sequence[str] = ("node-a", "node-b", "node-c"),
    errors: dict[tuple[str, str], LastError] | None = None,
) -> ClusterNodes:
    """Return what ZooKeeper says of a topology with one worker."""
    tasks = ExecutorInfo(1, 1)
    slots = {} if assigned_s is None else {tasks: Slot("node-a", 6700)}
    starts = {} if assigned_s is None else {tasks: assigned_s}
    base = StormBase("words", status, 1, {"a": 1}, 1_700, "storm")
    return ClusterNodes(
        read_s=NOW_S,
        bases={} if status is None else {TOPOLOGY: base},
        assignments={TOPOLOGY: Assignment({"node-a": "host-a"}, slots, starts)},
        supervisors={
            each: Supervisor("host", (6700,), (6700, 6701), 100, "2.8.3")
            for each in supervisors
        },
        errors=errors or {},
    )


def moved(at_s: float) -> ClusterNodes:
    """Return what ZooKeeper says once the topology's worker was moved to another."""
    tasks = ExecutorInfo(1, 1)
    elsewhere = Assignment(
        {"node-b": "host-b"}, {tasks: Slot("node-b", 6700)}, {tasks: int(at_s)}
    )
    return dataclasses.replace(nodes(), assignments={TOPOLOGY: elsewhere})


def late(at_s: float, gap_s: float, uptime_s: int | None = None) -> HistoryEvent:
    """Return a pulse that came late over the same connection."""
    return HistoryEvent(at_s, "late", PEER, gap_s, uptime_s)


def writer(
    at_s: float, gap_s: float, uptime_s: int | None, end: str = "reset", peer: str = ""
) -> HistoryEvent:
    """Return a pulse over another connection."""
    return HistoryEvent(at_s, "writer", peer or LATER_PEER, gap_s, uptime_s, end)


def deleted(at_s: float) -> HistoryEvent:
    """Return a delete by the worker itself."""
    return HistoryEvent(at_s, "deleted", "10.0.0.1:4009")


def first(judged: Evidence) -> WorkerFinding:
    """Return the newest finding about the worker."""
    return findings_of(judged, WORKER)[0]


def said(finding: WorkerFinding) -> str:
    """Return what speaks for a finding."""
    return "; ".join(finding.reasons)
