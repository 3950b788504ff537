"""What became of a worker, judged from what the Pacemakers and ZooKeeper say; pure.

A finding is a gap in the heartbeats, judged by `outages` and `endings`, or something
that shows without a gap (`signs`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from pacemaker.config.storm_defaults import NIMBUS_TASK_LAUNCH_SECS
from pacemaker.observe.zookeeper.storm_nodes import slot_of
from pacemaker.why.case import Case, Cause, Finding, Verdict, WorkerId, newest
from pacemaker.why.endings import (
    abrupt_end,
    aftermath,
    killed_topology,
    orderly_end,
)
from pacemaker.why.facts import KeyFacts
from pacemaker.why.gaps import Gap
from pacemaker.why.outages import shared_outage
from pacemaker.why.signs import signs

# The first rule that finds a cause decides; if none does, `abrupt_end` does.  What a
# whole topology or several workers share comes before what one worker did.
_RULES: Final[tuple[Callable[[Case, WorkerId, Gap], Cause | None], ...]] = (
    killed_topology,
    shared_outage,
    orderly_end,
)

# Nimbus ordered these ends, so what it did afterwards needs no mention.
_ORDERED: Final = (Verdict.TOPOLOGY_KILLED, Verdict.STOPPED)


def judge(case: Case, worker: WorkerId) -> list[Finding]:
    """Return what became of a worker, the newest finding first.

    Args:
        case: all that is known.
        worker: the id of its topology, and its name.
    """
    facts = case.firsthand_facts(worker)
    if not facts:
        return [_unseen(case, worker)]
    findings = [_judge_gap(case, worker, gap) for gap in case.gaps(worker)]
    findings += signs(case, worker)
    findings.sort(key=_newest_last, reverse=True)
    return findings or [Finding(Verdict.WELL, None, None, _why_well(facts))]


def _newest_last(finding: Finding) -> tuple[bool, float]:
    """Return what findings are sorted by: what goes on now is the newest."""
    begin_s = finding.end_s if finding.begin_s is None else finding.begin_s
    return finding.end_s is None, begin_s or 0.0


def _unseen(case: Case, worker: WorkerId) -> Finding:
    """Judge a worker without any heartbeat."""
    names = ", ".join(each.name for each in case.daemons) or "no Pacemaker"
    assigned_s = case.assigned_s(worker)
    if assigned_s is None:
        reason = f"no heartbeat from it at {names}"
        return Finding(Verdict.UNKNOWN, None, None, (reason,))
    waited_s = case.now_s - assigned_s
    assigned = (
        f"Nimbus assigned it to {_place_of(case, worker)} {waited_s:.0f} s ago, and no"
        f" heartbeat has come to {names}"
    )
    if waited_s < NIMBUS_TASK_LAUNCH_SECS:
        return Finding(Verdict.LOADING, assigned_s, None, (assigned,))
    advice = "see its worker.log, and the supervisor's log on its host"
    return Finding(Verdict.NEVER_SEEN, assigned_s, None, (assigned, advice))


def _place_of(case: Case, worker: WorkerId) -> str:
    topology_id, name = worker
    slot = slot_of(name)
    if slot is None or case.nodes is None:
        return name
    return f"{case.nodes.host_of(topology_id, slot.node) or slot.node}:{slot.port}"


def _why_well(facts: Sequence[KeyFacts]) -> tuple[str, ...]:
    return (f"its heartbeats come regularly, from {newest(facts).peer}",)


def _judge_gap(case: Case, worker: WorkerId, gap: Gap) -> Finding:
    causes = (rule(case, worker, gap) for rule in _RULES)
    cause = next(filter(None, causes), None) or abrupt_end(case, worker, gap)
    reasons = cause.reasons
    if cause.verdict not in _ORDERED:
        after = aftermath(case, worker, gap)
        reasons = reasons if after is None else (*reasons, after)
    end_s = gap.span.end_s if gap.is_over else None
    return Finding(cause.verdict, gap.span.begin_s, end_s, reasons)
