"""What became of a worker, judged from what the Pacemakers and ZooKeeper say.

A worker is silent for a time (a *gap*) if none of the Pacemakers got a heartbeat of it
in that time: a worker that goes from one Pacemaker to another is not silent.  Each gap
is judged by how it ended, and by whom else it met:

* the key was deleted: the worker ended in an orderly way.  ZooKeeper says whether for
  an error, or because it was stopped;
* the next heartbeat has an uptime that is shorter than the gap: another process took
  its place, so the worker was killed;
* the same connection went on: the process was paused;
* another connection, but an uptime that goes on: the network was away.

What met the whole host, or all hosts, is not the worker's own.

Pure.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from pacemaker.observe.nodes import ClusterNodes, Status, slot_of
from pacemaker.why.facts import DaemonFacts, Event, KeyFacts, Span

# Clocks of hosts differ, and uptimes are whole seconds.
_SLACK_S: Final = 3.0
# How long before its end a worker may have reported the error that ended it.
_ERROR_BEFORE_S: Final = 20.0
# From its last heartbeat, which it may write every 3 s, to its error and Storm's halt.
_HALTED_AFTER_S: Final = 6.0
# Two writers: so many changes of the writer in this time, with the one before there.
_FLAPS: Final = 4
_FLAPPING_S: Final = 60.0
# What Storm waits for a heartbeat (nimbus.task.timeout.secs), and how long a worker may
# load (nimbus.task.launch.secs).
TASK_TIMEOUT_S: Final = 30.0
LAUNCH_S: Final = 120
# How many of all workers must be silent at once for the cause to be in common.
_ALL: Final = 0.8
_FOR_ALL: Final = 3


class Verdict(enum.Enum):
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
    EVERYTHING = "everything"
    NOT_READ = "not read by Nimbus"
    SUPERVISOR_GONE = "supervisor gone"
    UNCLEAR = "unclear"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict, with the time that it is about and what speaks for it.

    Attributes:
        verdict: what happened.
        begin_s: the last heartbeat before it, or when it began; None if unknown.
        end_s: the first heartbeat after it; None if it goes on.
        reasons: what speaks for it, in sentences.
    """

    verdict: Verdict
    begin_s: float | None
    end_s: float | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gap:
    """A time without a heartbeat at any Pacemaker.

    Attributes:
        span: from the last heartbeat before it to the first after it, or to now.
        is_over: whether there was a heartbeat after it.
        ending: the event with which it ended; None if nobody noted one.
        last: what the Pacemaker with the last heartbeat before it remembers.
    """

    span: Span
    is_over: bool
    ending: Event | None
    last: KeyFacts


@dataclass(frozen=True)
class Case:
    """All that is known.

    Attributes:
        daemons: what each Pacemaker remembers; those that did not answer are missing.
        nodes: what ZooKeeper says; None if it was not asked or did not answer.
        has_relays: whether workers talk to relays, even if none was asked.
    """

    daemons: Sequence[DaemonFacts]
    nodes: ClusterNodes | None = None
    has_relays: bool = False
    _gaps: dict[tuple[str, str], list[Gap]] = field(default_factory=dict)

    @property
    def workers(self) -> list[tuple[str, str]]:
        """Every worker of which any Pacemaker remembers something."""
        return sorted({worker for daemon in self.daemons for worker in daemon.keys})

    def facts(self, worker: tuple[str, str]) -> list[KeyFacts]:
        """Return what is remembered of a worker where it connects.

        That is its relay, if the relay was asked.  To mix in what the Pacemakers
        remember would be wrong: relays repeat heartbeats to a Pacemaker that was
        started again, and a worker that is silent meanwhile would seem to write.
        """
        return self.facts_of(worker, are_relays=True) or self.facts_of(worker)

    def facts_of(
        self, worker: tuple[str, str], are_relays: bool = False
    ) -> list[KeyFacts]:
        """Return what each Pacemaker, or each relay, remembers of a worker."""
        return [
            each.keys[worker]
            for each in self.daemons
            if each.is_relay is are_relays and worker in each.keys
        ]

    def gaps(self, worker: tuple[str, str]) -> list[Gap]:
        """Return the gaps of a worker, the oldest first."""
        if worker not in self._gaps:
            self._gaps[worker] = list(_gaps(self, self.facts(worker)))
        return self._gaps[worker]

    @property
    def now_s(self) -> float:
        """When the Pacemakers were asked."""
        return max((each.now_s for each in self.daemons), default=0.0)


def host_of(worker: str) -> str:
    """Return what stands for the host of a worker: its supervisor's id."""
    slot = slot_of(worker)
    return worker if slot is None else slot.node


def judge(case: Case, worker: tuple[str, str]) -> list[Finding]:
    """Return what became of a worker, the newest finding first.

    Args:
        case: all that is known.
        worker: the id of its topology, and its name.
    """
    facts = case.facts(worker)
    if not facts:
        return [_unknown(case)]
    findings = [_judge_gap(case, worker, gap) for gap in case.gaps(worker)]
    # Two hosts that write one key have a relay each, so only a Pacemaker sees both.
    relays = case.facts_of(worker, are_relays=True)
    findings += _two_writers([*relays, *case.facts_of(worker)])
    findings += _restart_of_the_daemon(case, worker)
    findings += _not_read(case, facts)
    present = _present(case, worker, facts)
    if present is not None:
        findings.append(present)
    findings.sort(key=_newest_last, reverse=True)
    return findings or [Finding(Verdict.WELL, None, None, _why_well(facts))]


def _newest_last(finding: Finding) -> float:
    return finding.begin_s or 0.0


def _unknown(case: Case) -> Finding:
    names = ", ".join(each.name for each in case.daemons) or "no Pacemaker"
    reasons = (f"no heartbeat of it is remembered by {names}",)
    return Finding(Verdict.UNKNOWN, None, None, reasons)


def _why_well(facts: Sequence[KeyFacts]) -> tuple[str, ...]:
    newest = max(facts, key=lambda each: each.last_s)
    return (f"nothing was unusual; its heartbeats come from {newest.peer}",)


# Gaps.


def _gaps(case: Case, facts: Sequence[KeyFacts]) -> Iterator[Gap]:
    """Yield the times in which no Pacemaker got a heartbeat."""
    if not facts:
        return
    spans = [Span(0.0, float("inf"))]
    for each in facts:
        spans = _common(spans, _silences(each))
    for span in spans:
        # The time before the first heartbeat is no gap: the worker was not there yet,
        # or nobody remembers.
        if span.begin_s == 0.0:
            continue
        is_over = span.end_s != float("inf")
        end_s = span.end_s if is_over else case.now_s
        last = max(facts, key=lambda each: _last_before(each, span.begin_s))
        if end_s - span.begin_s > last.late_s:
            ending = _ending(facts, end_s) if is_over else None
            yield Gap(Span(span.begin_s, end_s), is_over, ending, last)


def _silences(facts: KeyFacts) -> list[Span]:
    """Return when one Pacemaker got no heartbeat."""
    spans = [Span(0.0, facts.first_s)]
    spans += [
        Span(each.at_s - each.duration_s, each.at_s)
        for each in facts.events
        if each.kind in ("writer", "late")
    ]
    return [*spans, Span(facts.last_s, float("inf"))]


def _common(first: Sequence[Span], second: Sequence[Span]) -> list[Span]:
    """Return the times that are in both."""
    both = [
        Span(max(a.begin_s, b.begin_s), min(a.end_s, b.end_s))
        for a in first
        for b in second
    ]
    return sorted(
        (span for span in both if span.begin_s < span.end_s),
        key=lambda span: span.begin_s,
    )


def _last_before(facts: KeyFacts, at_s: float) -> float:
    return -abs(facts.last_s - at_s) if facts.first_s <= at_s else float("-inf")


def _ending(facts: Sequence[KeyFacts], at_s: float) -> Event | None:
    for each in facts:
        for event in each.events:
            if event.kind in ("writer", "late") and abs(event.at_s - at_s) < 0.001:
                return event
    return None


# One gap.


def _judge_gap(case: Case, worker: tuple[str, str], gap: Gap) -> Finding:
    reasons: list[str] = []
    verdict = (
        _topology_killed(case, worker, gap, reasons)
        or _in_common(case, worker, gap, reasons)
        or _deleted(case, worker, gap, reasons)
        or _by_ending(case, worker, gap, reasons)
    )
    end_s = gap.span.end_s if gap.is_over else None
    return Finding(verdict, gap.span.begin_s, end_s, tuple(reasons))


def _topology_killed(
    case: Case, worker: tuple[str, str], gap: Gap, reasons: list[str]
) -> Verdict | None:
    topology_id, _ = worker
    if gap.is_over:
        return None
    for daemon in case.daemons:
        for at_s, path, peer in daemon.deletes:
            is_it = path.rstrip("/") == f"/workerbeats/{topology_id}"
            if is_it and at_s >= gap.span.begin_s - _SLACK_S:
                reasons.append(f"{peer} deleted all heartbeats of its topology")
                return Verdict.TOPOLOGY_KILLED
    if case.nodes is None:
        return None
    base = case.nodes.bases.get(topology_id)
    if base is None or base.status is Status.KILLED:
        reasons.append("its topology is not in ZooKeeper, or being killed there")
        return Verdict.TOPOLOGY_KILLED
    return None


def _in_common(
    case: Case, worker: tuple[str, str], gap: Gap, reasons: list[str]
) -> Verdict | None:
    """Return whether the gap met the whole host, or everything."""
    host = host_of(worker[1])
    alive = [each for each in case.workers if _was_alive(case, each, gap.span)]
    silent = [each for each in alive if _was_silent(case, each, gap.span)]
    here = [each for each in alive if host_of(each[1]) == host]
    silent_here = [each for each in silent if host_of(each[1]) == host]
    hosts = {host_of(each[1]) for each in alive}
    if len(hosts) > 1 and len(silent) >= max(_FOR_ALL, _ALL * len(alive)):
        reasons.append(
            f"{len(silent)} of {len(alive)} workers on {len(hosts)} hosts were silent"
            " at the same time: the Pacemaker or its network"
        )
        return Verdict.EVERYTHING
    if len(silent_here) >= 2 and len(silent_here) == len(here) < len(alive):
        reasons.append(
            f"all {len(here)} workers of its host were silent at the same time, and"
            f" {len(silent) - len(here)} of {len(alive) - len(here)} elsewhere"
        )
        return Verdict.WHOLE_HOST
    if not gap.is_over and gap.last.end == "open" and _supervisor_is_gone(case, host):
        reasons.append("its connection has not ended, and its supervisor is gone")
        return Verdict.WHOLE_HOST
    return None


def _was_alive(case: Case, worker: tuple[str, str], span: Span) -> bool:
    """Return whether a worker wrote shortly before a time."""
    return any(
        each.first_s <= span.begin_s + each.late_s
        and each.last_s >= span.begin_s - each.late_s
        for each in case.facts(worker)
    )


def _was_silent(case: Case, worker: tuple[str, str], span: Span) -> bool:
    """Return whether a worker was silent for most of a time, and not on purpose."""
    for gap in case.gaps(worker):
        common_s = min(gap.span.end_s, span.end_s) - max(gap.span.begin_s, span.begin_s)
        if common_s > 0.5 * span.duration_s:
            return not _deletes_in(case, worker, gap)
    return False


def _deletes_in(case: Case, worker: tuple[str, str], gap: Gap) -> list[Event]:
    """Return the deletes of a worker's key at a gap's beginning or in it."""
    return [
        event
        for each in case.facts(worker)
        for event in each.events
        if event.kind == "deleted"
        and gap.span.begin_s - _SLACK_S <= event.at_s <= gap.span.end_s
    ]


def _deleted(
    case: Case, worker: tuple[str, str], gap: Gap, reasons: list[str]
) -> Verdict | None:
    """Return why a worker has ended in an orderly way, if it has."""
    deletes = _deletes_in(case, worker, gap)
    if not deletes:
        return None
    delete = deletes[-1]
    reasons.append(f"its key was deleted from {delete.peer}, as it ended")
    error = _error_of(case, worker, gap, delete.at_s)
    if error is not None:
        reasons.append(f"it had reported: {error}")
        return Verdict.ENDED_ITSELF
    if case.nodes is None:
        reasons.append(
            "whether it ended itself or was stopped, ZooKeeper would say, which was"
            " not asked"
        )
        return Verdict.UNCLEAR
    assigned_s = _assigned_s(case.nodes, worker)
    if assigned_s is None:
        reasons.append("its topology has no worker in this slot any more")
        return Verdict.STOPPED
    if assigned_s >= delete.at_s - _ERROR_BEFORE_S:
        reasons.append("Nimbus assigned this slot anew at that time")
        return Verdict.STOPPED
    reasons.append("its assignment has not changed, and no error was reported")
    return Verdict.ENDED_ITSELF


def _error_of(
    case: Case, worker: tuple[str, str], gap: Gap, deleted_s: float
) -> str | None:
    """Return the error that a worker reported before it ended."""
    slot = slot_of(worker[1])
    if case.nodes is None or slot is None:
        return None
    host = case.nodes.host_of(worker[0], slot.node)
    for (topology_id, component), error in case.nodes.errors.items():
        is_its = topology_id == worker[0] and error.port == slot.port
        is_then = (
            gap.span.begin_s - _ERROR_BEFORE_S
            <= error.time_secs
            <= deleted_s + _SLACK_S
        )
        if is_its and is_then and host in (None, error.host):
            return f"{error.summary} ({component})"
    return None


def _assigned_s(nodes: ClusterNodes, worker: tuple[str, str]) -> float | None:
    """Return when a worker's slot was assigned; None if it is not."""
    assignment, slot = nodes.assignments.get(worker[0]), slot_of(worker[1])
    if assignment is None or slot is None:
        return None
    return assignment.slots().get(slot)


def _supervisor_is_gone(case: Case, node: str) -> bool:
    return case.nodes is not None and node not in case.nodes.supervisors


def _by_ending(
    case: Case, worker: tuple[str, str], gap: Gap, reasons: list[str]
) -> Verdict:
    """Judge a gap by what came after it."""
    if not gap.is_over:
        return _still_silent(case, worker, gap, reasons)
    ending = gap.ending
    if ending is None:
        # It went on at another Pacemaker, where this is the first heartbeat.
        reasons.append("it went on at another Pacemaker")
        return Verdict.NETWORK
    relay = _relay_of(case, worker, ending.peer)
    if ending.kind == "late" and not relay:
        return _same_connection(ending, gap, reasons)
    if ending.uptime_s is not None and ending.uptime_s <= gap.span.duration_s + 1:
        reasons.append(_ended(ending.end))
        reasons.append(
            f"its key was not deleted, and the process that went on had an uptime of"
            f" {ending.uptime_s} s"
        )
        return _killed_or_halted(case, worker, gap, reasons)
    if relay:
        reasons.append(relay)
        return Verdict.UNCLEAR
    reasons.append(_ended(ending.end))
    if ending.uptime_s is None:
        reasons.append(
            "whether the process that went on is another one is unknown: its uptime"
            " cannot be read"
        )
        return Verdict.UNCLEAR
    reasons.append(
        f"the same process went on over another connection, from {ending.peer}: its"
        f" uptime was {ending.uptime_s} s"
    )
    return Verdict.NETWORK


def _same_connection(ending: Event, gap: Gap, reasons: list[str]) -> Verdict:
    """Judge a gap after which the worker's own connection went on.

    So did its process, which is older than the gap.  A heartbeat that says otherwise
    was written before the gap was over, and was under way: the host was cut off.
    """
    uptime_s = ending.uptime_s
    if uptime_s is not None and uptime_s < gap.span.duration_s - _SLACK_S:
        reasons.append(
            f"the same connection, {ending.peer}, went on after it, but with an older"
            f" heartbeat (uptime {uptime_s} s), which had waited in the network"
        )
        return Verdict.NETWORK
    reasons.append(f"the same connection, {ending.peer}, went on after it")
    return Verdict.PAUSED


def _ended(end: str) -> str:
    if end == "open":
        return "the connection before it has not ended"
    how = {
        "fin": "in an orderly way",
        "reset": "by a reset",
        "refused": "because the Pacemaker closed it",
        "stopped": "because the Pacemaker was stopped",
    }.get(end, end)
    return f"the connection before it ended {how}"


def _still_silent(
    case: Case, worker: tuple[str, str], gap: Gap, reasons: list[str]
) -> Verdict:
    relay = _relay_of(case, worker, gap.last.peer)
    if relay:
        reasons.append(relay)
        return Verdict.UNCLEAR
    if case.nodes is not None and _assigned_s(case.nodes, worker) is None:
        reasons.append("its topology has no worker in this slot any more")
        if gap.last.end == "open":
            return Verdict.STOPPED
    if gap.last.end == "open":
        reasons.append(
            f"its connection, {gap.last.peer}, has not ended: it is paused, it hangs,"
            " or its host is cut off"
        )
        return Verdict.PAUSED
    reasons.append(
        f"its connection, {gap.last.peer}, has ended, its key was not deleted, and it"
        " has not come back"
    )
    return _killed_or_halted(case, worker, gap, reasons)


def _killed_or_halted(
    case: Case, worker: tuple[str, str], gap: Gap, reasons: list[str]
) -> Verdict:
    """Judge the end of a process that has not deleted its key.

    A worker that throws has 3 s to shut down, and then Storm halts it
    (`Utils.exitProcess`).  On a busy host it does not get as far as the delete.
    """
    error = _error_of(case, worker, gap, gap.span.begin_s + _HALTED_AFTER_S)
    if error is None:
        return Verdict.KILLED
    reasons.append(f"it had reported: {error}; so it was halted as it shut down")
    return Verdict.ENDED_ITSELF


def _relay_of(case: Case, worker: tuple[str, str], peer: str) -> str | None:
    """Return a sentence about a connection that is not the worker's own."""
    if case.facts_of(worker, are_relays=True):
        return None
    carried = {
        each
        for daemon in case.daemons
        for each, facts in daemon.keys.items()
        if facts.peer == peer
    }
    if len(carried) < 2 and not case.has_relays:
        return None
    return (
        f"its heartbeats come through a relay, {peer}, so a pause and a lost network"
        " look the same here: ask the relay with --admin"
    )


# What is no gap.


def _two_writers(facts: Sequence[KeyFacts]) -> Iterator[Finding]:
    """Yield a finding if two processes write one key in turn."""
    for each in facts:
        changes = [
            event
            for event in each.events
            if event.kind == "writer" and event.end == "open"
        ]
        for first, last in zip(changes, changes[_FLAPS - 1 :], strict=False):
            if last.at_s - first.at_s < _FLAPPING_S:
                peers = sorted({event.peer for event in changes})
                yield Finding(
                    Verdict.TWO_WRITERS,
                    first.at_s,
                    changes[-1].at_s,
                    (
                        f"{' and '.join(peers[:3])} write the same key in turn: two"
                        " supervisors have one id, as with a copied storm.local.dir",
                    ),
                )
                break


def _restart_of_the_daemon(case: Case, worker: tuple[str, str]) -> Iterator[Finding]:
    """Yield a finding if a worker is older than all that is remembered."""
    pacemakers = case.facts_of(worker)
    facts = pacemakers or case.facts(worker)
    first = min(facts, key=lambda each: each.first_s)
    began_s = min(
        each.began_s for each in case.daemons if each.is_relay is not bool(pacemakers)
    )
    newest = max(facts, key=lambda each: each.last_s)
    if newest.uptime_s is None:
        return
    started_s = newest.last_s - newest.uptime_s
    if started_s < began_s - _SLACK_S and first.first_s - began_s < TASK_TIMEOUT_S:
        yield Finding(
            Verdict.EVERYTHING,
            None,
            first.first_s,
            (
                f"{first.daemon} was started again, and remembers nothing before; the"
                " worker is older and went on",
            ),
        )


def _not_read(case: Case, facts: Sequence[KeyFacts]) -> Iterator[Finding]:
    """Yield a finding if Nimbus did not read."""
    first_s = min(each.first_s for each in facts)
    for daemon in case.daemons:
        for gap in daemon.read_gaps:
            if gap.end_s > first_s:
                yield Finding(
                    Verdict.NOT_READ,
                    gap.begin_s,
                    gap.end_s,
                    (
                        f"nobody read from {daemon.name} for {gap.duration_s:.0f} s:"
                        " Nimbus was away, or blocked by a Pacemaker that is dead",
                    ),
                )
    read_s = max((each.read_s for each in case.daemons if each.read_s), default=None)
    if read_s is None and all(each.is_relay for each in case.daemons):
        # Nimbus reads by the relay of its own host.
        return
    since_s = read_s if read_s is not None else first_s
    if case.now_s - since_s > TASK_TIMEOUT_S:
        yield Finding(
            Verdict.NOT_READ,
            since_s,
            None,
            (
                f"nobody has read as Nimbus does for {case.now_s - since_s:.0f} s:"
                " it is away, or blocked by a Pacemaker that is dead",
            ),
        )


def _present(
    case: Case, worker: tuple[str, str], facts: Sequence[KeyFacts]
) -> Finding | None:
    """Return what is to be said of a worker that writes."""
    newest = max(facts, key=lambda each: each.last_s)
    if not newest.is_stored or case.now_s - newest.last_s > newest.late_s:
        return None
    if newest.executors == 0:
        uptime_s = newest.uptime_s or 0
        limit = (
            f"; after {LAUNCH_S} s Nimbus takes it for dead"
            if uptime_s < LAUNCH_S
            else f", which is more than {LAUNCH_S} s: Nimbus takes it for dead"
        )
        begin_s = newest.last_s - uptime_s
        reasons = (
            f"it beats without executors: it has loaded for {uptime_s} s{limit}",
        )
        return Finding(Verdict.LOADING, begin_s, None, reasons)
    if _supervisor_is_gone(case, host_of(worker[1])):
        reasons = ("it writes, but its supervisor is not in ZooKeeper",)
        return Finding(Verdict.SUPERVISOR_GONE, newest.last_s, None, reasons)
    return None
