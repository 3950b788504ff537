"""The verdicts as text for people, and as JSON.

Pure, but for the local time zone.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from pacemaker.why.evidence import Evidence, WorkerFinding, WorkerVerdict
from pacemaker.why.facts import EVENTS_KEPT, KeyFacts, WorkerId

# What each verdict means, in a sentence.
MEANINGS: Final = {
    WorkerVerdict.WELL: "nothing unusual is known of it",
    WorkerVerdict.ENDED_ITSELF: (
        "it shut itself down, and its supervisor starts it again"
    ),
    WorkerVerdict.STOPPED: "its supervisor stopped it: Nimbus moved or rebalanced it",
    WorkerVerdict.TOPOLOGY_KILLED: "its topology was killed",
    WorkerVerdict.KILLED: "its process died: kill -9, out of memory, or a crash",
    WorkerVerdict.PAUSED: (
        "its process was paused: garbage collection, swapping, SIGSTOP"
    ),
    WorkerVerdict.NETWORK: "the network or the Pacemaker was down",
    WorkerVerdict.LOADING: "it is starting",
    WorkerVerdict.TWO_WRITERS: "two processes write its heartbeats",
    WorkerVerdict.WHOLE_HOST: "its whole host was down or cut off",
    WorkerVerdict.SHARED_OUTAGE: (
        "all workers were cut off: the Pacemaker or its network"
    ),
    WorkerVerdict.NOT_READ: "Nimbus did not read its heartbeats",
    WorkerVerdict.SUPERVISOR_GONE: "its supervisor is down",
    WorkerVerdict.UNCLEAR: "the cause cannot be told from here",
    WorkerVerdict.NEVER_SEEN: "it is assigned, but has not sent a heartbeat",
    WorkerVerdict.UNKNOWN: "no Pacemaker remembers it",
}

# How many findings are told in full; a worker may have one for each of its events.
MAX_FINDINGS_TOLD: Final = 6


def story_lines(
    evidence: Evidence, worker: WorkerId, findings: Sequence[WorkerFinding]
) -> Iterator[str]:
    """Yield the lines of a worker's story, the newest finding first."""
    topology_id, name = worker
    first = findings[0]
    yield f"{name} of {topology_id}: {first.verdict.value}: {MEANINGS[first.verdict]}"
    for finding in findings[:MAX_FINDINGS_TOLD]:
        if finding is not first:
            meaning = MEANINGS[finding.verdict]
            yield f"  before that: {finding.verdict.value}: {meaning}"
        when = when_text(finding, evidence.now_s)
        if when:
            yield f"    {when}"
        for reason in finding.reasons:
            yield f"    {reason}"
    yield from _older(evidence, worker, findings[MAX_FINDINGS_TOLD:])
    newest = max(evidence.firsthand_facts(worker), key=_last_s, default=None)
    if newest is not None:
        ago_s = evidence.now_s - newest.last_s
        yield f"  last heartbeat {ago_s:.0f} s ago, at {newest.daemon}, {newest.peer}"


def _older(
    evidence: Evidence, worker: WorkerId, rest: Sequence[WorkerFinding]
) -> Iterator[str]:
    """Yield what is not told in full, and what nobody remembers."""
    if rest:
        counts = Counter(finding.verdict.value for finding in rest)
        shown = ", ".join(f"{count} x {name}" for name, count in counts.items())
        yield f"  before that: {shown} (--json has them all)"
    for facts in evidence.firsthand_facts(worker):
        if len(facts.events) >= EVENTS_KEPT:
            yield (
                f"  {facts.daemon} keeps the last {EVENTS_KEPT} events of a worker:"
                " what was before is forgotten"
            )


def _last_s(facts: KeyFacts) -> float:
    return facts.last_s


def when_text(finding: WorkerFinding, now_s: float) -> str:
    """Return when a finding was, in words; "" if that is not known."""
    begin_s, end_s = finding.begin_s, finding.end_s
    if begin_s is None:
        return "" if end_s is None else f"until {_clock(end_s)}"
    if end_s is None:
        return f"since {_clock(begin_s)}, for {now_s - begin_s:.0f} s"
    return f"{_clock(begin_s)} to {_clock(end_s)}, {end_s - begin_s:.0f} s"


def _clock(at_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_s))


def as_json(worker: WorkerId, findings: Sequence[WorkerFinding]) -> dict[str, Any]:
    """Return a worker's findings for programs, the newest first."""
    topology_id, name = worker
    return {
        "topology": topology_id,
        "worker": name,
        "verdict": findings[0].verdict.value,
        "findings": [
            {
                "verdict": finding.verdict.value,
                "from": finding.begin_s,
                "to": finding.end_s,
                "reasons": list(finding.reasons),
            }
            for finding in findings
        ],
    }
