"""Gaps that several workers share: a whole host, or all of the cluster; pure."""

from __future__ import annotations

from typing import Final

from pacemaker.why.evidence import Cause, Evidence, WorkerVerdict, node_of
from pacemaker.why.facts import Span, WorkerId
from pacemaker.why.gaps import Gap

# The share of all workers, and the number of them, that must be silent at once for the
# cause to be in what they share.
_MIN_SILENT_SHARE: Final = 0.8
_MIN_SILENT_WORKERS: Final = 3


def shared_outage(evidence: Evidence, worker: WorkerId, gap: Gap) -> Cause | None:
    """Tell whether the whole host, or the whole cluster, was silent."""
    node = node_of(worker.name)
    alive = [each for each in evidence.workers if _was_alive(evidence, each, gap.span)]
    silent = [each for each in alive if _was_silent(evidence, each, gap.span)]
    here = [each for each in alive if node_of(each.name) == node]
    silent_here = [each for each in silent if node_of(each.name) == node]
    nodes = {node_of(each.name) for each in alive}
    if len(nodes) > 1 and len(silent) >= max(
        _MIN_SILENT_WORKERS, _MIN_SILENT_SHARE * len(alive)
    ):
        return _cause(
            WorkerVerdict.SHARED_OUTAGE,
            gap,
            f"{len(silent)} of {len(alive)} workers on {len(nodes)} hosts were silent"
            " at the same time",
        )
    if len(silent_here) >= 2 and len(silent_here) == len(here) < len(alive):
        return _cause(
            WorkerVerdict.WHOLE_HOST,
            gap,
            f"all {len(here)} workers of its host were silent at the same time;"
            f" elsewhere {len(silent) - len(here)} of {len(alive) - len(here)} were",
        )
    if not gap.is_over and gap.last.end == "open" and evidence.lacks_supervisor(node):
        return _cause(
            WorkerVerdict.WHOLE_HOST,
            gap,
            "its connection is still open, and ZooKeeper does not have its supervisor",
        )
    return None


def _cause(verdict: WorkerVerdict, gap: Gap, reason: str) -> Cause:
    # A host that was rebooted and one that was cut off differ in this alone.
    process = {
        True: ("a new process took its place",),
        False: ("its process survived",),
        None: (),
    }[gap.is_new_process]
    return Cause(verdict, (reason, *process))


def _was_alive(evidence: Evidence, worker: WorkerId, span: Span) -> bool:
    """Return whether a worker wrote shortly before a time."""
    return any(
        each.first_s <= span.begin_s + each.late_s
        and each.last_s >= span.begin_s - each.late_s
        for each in evidence.firsthand_facts(worker)
    )


def _was_silent(evidence: Evidence, worker: WorkerId, span: Span) -> bool:
    """Return whether a worker was silent for most of a time, and did not shut down."""
    for gap in evidence.gaps(worker):
        common_s = min(gap.span.end_s, span.end_s) - max(gap.span.begin_s, span.begin_s)
        if common_s > 0.5 * span.duration_s:
            return not evidence.deletes_in(worker, gap)
    return False
