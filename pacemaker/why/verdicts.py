"""What became of a worker, judged from what the Pacemakers and ZooKeeper say; pure.

Each gap in its heartbeats is judged (`outages`, `endings`), and so is what shows
without a gap (`signs`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from pacemaker.why.case import Case, Cause, Finding, Verdict, Worker, newest
from pacemaker.why.endings import abrupt_end, killed_topology, orderly_end
from pacemaker.why.facts import KeyFacts
from pacemaker.why.gaps import Gap
from pacemaker.why.outages import shared_outage
from pacemaker.why.signs import signs

# The first rule that knows a gap's cause decides; if none does, `abrupt_end` does.
# What a topology or several workers share comes before what one worker did.
_RULES: Final[tuple[Callable[[Case, Worker, Gap], Cause | None], ...]] = (
    killed_topology,
    shared_outage,
    orderly_end,
)


def judge(case: Case, worker: Worker) -> list[Finding]:
    """Return what became of a worker, the newest finding first.

    Args:
        case: all that is known.
        worker: the id of its topology, and its name.
    """
    facts = case.facts(worker)
    if not facts:
        return [_unknown(case)]
    findings = [_judge_gap(case, worker, gap) for gap in case.gaps(worker)]
    findings += signs(case, worker)
    findings.sort(key=_newest_last, reverse=True)
    return findings or [Finding(Verdict.WELL, None, None, _why_well(facts))]


def _newest_last(finding: Finding) -> float:
    return finding.begin_s or 0.0


def _unknown(case: Case) -> Finding:
    names = ", ".join(each.name for each in case.daemons) or "no Pacemaker"
    reasons = (f"no heartbeat of it is remembered by {names}",)
    return Finding(Verdict.UNKNOWN, None, None, reasons)


def _why_well(facts: Sequence[KeyFacts]) -> tuple[str, ...]:
    return (f"nothing was unusual; its heartbeats come from {newest(facts).peer}",)


def _judge_gap(case: Case, worker: Worker, gap: Gap) -> Finding:
    causes = (rule(case, worker, gap) for rule in _RULES)
    cause = next(filter(None, causes), None) or abrupt_end(case, worker, gap)
    end_s = gap.span.end_s if gap.is_over else None
    return Finding(cause.verdict, gap.span.begin_s, end_s, cause.reasons)
