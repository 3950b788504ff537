"""Gaps that several workers share: a whole host, or all of the cluster; pure."""

from __future__ import annotations

from typing import Final

from pacemaker.why.evidence import Cause, Evidence, WorkerVerdict, node_of
from pacemaker.why.facts import WorkerId
from pacemaker.why.gaps import Gap

# The share of all workers, and the number of them, that must be silent at once for the
# cause to be in what they share.
_MIN_SILENT_SHARE: Final = 0.8
_MIN_SILENT_WORKERS: Final = 3


def shared_outage(evidence: Evidence, worker: WorkerId, gap: Gap) -> Cause | None:
    """Tell whether the whole host, or the whole cluster, was silent."""
    node, begin_s = node_of(worker.name), gap.span.begin_s
    everyone, host = evidence.everyone, evidence.host(node)
    alive, silent = everyone.alive(begin_s), everyone.silent(gap.span)
    hosts = evidence.hosts.count(begin_s)
    if hosts > 1 and silent >= max(_MIN_SILENT_WORKERS, _MIN_SILENT_SHARE * alive):
        return _cause(
            WorkerVerdict.SHARED_OUTAGE,
            gap,
            f"{silent} of {alive} workers on {hosts} hosts were silent at the same"
            " time",
        )
    here = host.alive(begin_s)
    if 2 <= host.silent(gap.span) == here < alive:
        return _cause(
            WorkerVerdict.WHOLE_HOST,
            gap,
            f"all {here} workers of its host were silent at the same time;"
            f" elsewhere {silent - here} of {alive - here} were",
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
