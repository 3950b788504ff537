"""What became of a worker, judged from what the Pacemakers and ZooKeeper say; pure.

A finding is a gap in the heartbeats, judged by `outages` and `endings`, or something
that shows without a gap (`signs`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from pacemaker.config.storm_defaults import NIMBUS_TASK_LAUNCH_SECS
from pacemaker.observe.zookeeper.storm_nodes import slot_of
from pacemaker.why.endings import (
    abrupt_end,
    aftermath,
    killed_topology,
    orderly_end,
)
from pacemaker.why.evidence import (
    Cause,
    Evidence,
    WorkerFinding,
    WorkerVerdict,
    newest,
)
from pacemaker.why.facts import KeyFacts, WorkerId
from pacemaker.why.gaps import Gap
from pacemaker.why.outages import shared_outage
from pacemaker.why.signs import without_gap

# The first rule that finds a cause decides; if none does, `abrupt_end` does.  What a
# whole topology or several workers share comes before what one worker did.
_RULES: Final[tuple[Callable[[Evidence, WorkerId, Gap], Cause | None], ...]] = (
    killed_topology,
    shared_outage,
    orderly_end,
)

# Nimbus ordered these ends, so what it did afterwards needs no mention.
_ORDERED: Final = (WorkerVerdict.TOPOLOGY_KILLED, WorkerVerdict.STOPPED)


def findings_of(evidence: Evidence, worker: WorkerId) -> list[WorkerFinding]:
    """Return what became of a worker, the newest finding first.

    Args:
        evidence: all that is known.
        worker: the id of its topology, and its name.
    """
    facts = evidence.firsthand_facts(worker)
    if not facts:
        return [_unseen(evidence, worker)]
    findings = [_judge_gap(evidence, worker, gap) for gap in evidence.gaps(worker)]
    findings += without_gap(evidence, worker)
    findings.sort(key=_newest_last, reverse=True)
    return findings or [WorkerFinding(WorkerVerdict.WELL, None, None, _why_well(facts))]


def _newest_last(finding: WorkerFinding) -> tuple[bool, float]:
    """Return what findings are sorted by: what goes on now is the newest."""
    begin_s = finding.end_s if finding.begin_s is None else finding.begin_s
    return finding.end_s is None, begin_s or 0.0


def _unseen(evidence: Evidence, worker: WorkerId) -> WorkerFinding:
    """Judge a worker without any heartbeat."""
    names = ", ".join(each.name for each in evidence.daemons) or "no Pacemaker"
    assigned_s = evidence.assigned_s(worker)
    if assigned_s is None:
        reason = f"no heartbeat from it at {names}"
        return WorkerFinding(WorkerVerdict.UNKNOWN, None, None, (reason,))
    waited_s = evidence.now_s - assigned_s
    assigned = (
        f"Nimbus assigned it to {_place_of(evidence, worker)} {waited_s:.0f} s ago"
    )
    full = [each.name for each in evidence.daemons if each.is_full]
    if full:
        # The worker may write all the time, so no heartbeat is said to be missing.
        reason = f"the history of {', '.join(full)} is full and may lack this worker"
        return WorkerFinding(
            WorkerVerdict.UNCLEAR, assigned_s, None, (assigned, reason)
        )
    assigned += f", and no heartbeat has come to {names}"
    if waited_s < NIMBUS_TASK_LAUNCH_SECS:
        return WorkerFinding(WorkerVerdict.LOADING, assigned_s, None, (assigned,))
    advice = "see its worker.log, and the supervisor's log on its host"
    return WorkerFinding(WorkerVerdict.NEVER_SEEN, assigned_s, None, (assigned, advice))


def _place_of(evidence: Evidence, worker: WorkerId) -> str:
    topology_id, name = worker
    slot = slot_of(name)
    if slot is None or evidence.nodes is None:
        return name
    return f"{evidence.nodes.host_of(topology_id, slot.node) or slot.node}:{slot.port}"


def _why_well(facts: Sequence[KeyFacts]) -> tuple[str, ...]:
    return (f"its heartbeats come regularly, from {newest(facts).peer}",)


def _judge_gap(evidence: Evidence, worker: WorkerId, gap: Gap) -> WorkerFinding:
    causes = (rule(evidence, worker, gap) for rule in _RULES)
    cause = next(filter(None, causes), None) or abrupt_end(evidence, worker, gap)
    reasons = cause.reasons
    if cause.verdict not in _ORDERED:
        after = aftermath(evidence, worker, gap)
        reasons = reasons if after is None else (*reasons, after)
    end_s = gap.span.end_s if gap.is_over else None
    return WorkerFinding(cause.verdict, gap.span.begin_s, end_s, reasons)
