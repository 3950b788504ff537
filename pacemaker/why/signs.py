"""What can be wrong with a worker that is not silent; pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pacemaker.config.storm_defaults import (
    NIMBUS_TASK_LAUNCH_SECS,
    NIMBUS_TASK_TIMEOUT_SECS,
)
from pacemaker.why.evidence import (
    SLACK_S,
    Evidence,
    WorkerFinding,
    WorkerVerdict,
    newest,
    node_of,
)
from pacemaker.why.facts import KeyFacts, WorkerId

# A key has two writers if the writer changes this often in this time, each time while
# the connection of the previous writer is open.
_FLAPS: Final = 4
_FLAPPING_S: Final = 60.0


def without_gap(evidence: Evidence, worker: WorkerId) -> Iterator[WorkerFinding]:
    """Yield what is wrong with a worker besides its gaps."""
    # Two hosts that write one key have a relay each, so only a Pacemaker sees both.
    for each in [*evidence.relay_facts(worker), *evidence.pacemaker_facts(worker)]:
        yield from _two_writers(each)
    yield from _restart_of_the_daemon(evidence, worker)
    yield from _not_read(evidence, worker)
    yield from _present(evidence, worker)


def _two_writers(facts: KeyFacts) -> Iterator[WorkerFinding]:
    """Yield a finding if two processes write one key in turn."""
    changes = [
        event
        for event in facts.events
        if event.kind == "writer" and event.end == "open"
    ]
    for first, last in zip(changes, changes[_FLAPS - 1 :], strict=False):
        if last.at_s - first.at_s < _FLAPPING_S:
            peers = sorted({event.peer for event in changes})
            yield WorkerFinding(
                WorkerVerdict.TWO_WRITERS,
                first.at_s,
                changes[-1].at_s,
                (
                    f"{' and '.join(peers[:3])} write the same key in turn: two"
                    " supervisors have the same id, as after copying storm.local.dir",
                ),
            )
            return


def _restart_of_the_daemon(
    evidence: Evidence, worker: WorkerId
) -> Iterator[WorkerFinding]:
    """Yield a finding if a worker is older than the memory of its Pacemaker."""
    # A relay that was restarted does not hide what the Pacemakers remember.
    holders = evidence.holders(worker) or evidence.holders(worker, are_relays=True)
    daemon, first = min(holders, key=lambda each: each[1].first_s)
    last = newest(evidence.firsthand_facts(worker))
    if last.uptime_s is None:
        return
    started_s = last.last_s - last.uptime_s
    # A worker comes back within that time; later, it came for another reason.
    was_waiting = first.first_s - daemon.began_s < NIMBUS_TASK_TIMEOUT_SECS
    if started_s < daemon.began_s - SLACK_S and was_waiting:
        yield WorkerFinding(
            WorkerVerdict.SHARED_OUTAGE,
            None,
            first.first_s,
            (
                f"{daemon.name} was started again and remembers nothing before; the"
                " worker is older, so its process survived",
            ),
        )


def _not_read(evidence: Evidence, worker: WorkerId) -> Iterator[WorkerFinding]:
    """Yield a finding for each time in which Nimbus did not read.

    Only the Pacemakers that have the worker's heartbeats count: what Nimbus does not
    read elsewhere does not harm this worker.  Relays do not count: Nimbus reads through
    the one on its own host.
    """
    holders = evidence.holders(worker)
    if not holders:
        return
    for daemon, facts in holders:
        for gap in daemon.read_gaps:
            if gap.end_s > facts.first_s and gap.begin_s < facts.last_s:
                yield WorkerFinding(
                    WorkerVerdict.NOT_READ,
                    gap.begin_s,
                    gap.end_s,
                    (
                        f"nobody read from {daemon.name} for {gap.duration_s:.0f} s:"
                        " Nimbus was down, or waited for a Pacemaker that did not"
                        " answer",
                    ),
                )
    daemon, facts = max(holders, key=lambda each: each[1].last_s)
    since_s = facts.first_s if daemon.read_s is None else daemon.read_s
    silent_s = evidence.now_s - since_s
    # Nimbus does not read the heartbeats of topologies that were killed.
    if facts.is_stored and silent_s > NIMBUS_TASK_TIMEOUT_SECS:
        yield WorkerFinding(
            WorkerVerdict.NOT_READ,
            since_s,
            None,
            (
                f"nobody has read from {daemon.name} as Nimbus does for"
                f" {silent_s:.0f} s: Nimbus is down, or waits for a Pacemaker that"
                " does not answer",
            ),
        )


def _present(evidence: Evidence, worker: WorkerId) -> Iterator[WorkerFinding]:
    """Yield what is wrong now with a worker that writes."""
    last = newest(evidence.firsthand_facts(worker))
    if not last.is_stored or evidence.now_s - last.last_s > last.late_s:
        return
    if last.executors == 0:
        yield _loading(last)
    elif evidence.lacks_supervisor(node_of(worker.name)):
        reason = "it sends heartbeats, but ZooKeeper does not have its supervisor"
        yield WorkerFinding(WorkerVerdict.SUPERVISOR_GONE, None, None, (reason,))


def _loading(last: KeyFacts) -> WorkerFinding:
    # A clock that was set back makes an uptime negative.
    uptime_s = max(0, last.uptime_s or 0)
    limit = (
        f"Nimbus waits {NIMBUS_TASK_LAUNCH_SECS} s (nimbus.task.launch.secs)"
        if uptime_s < NIMBUS_TASK_LAUNCH_SECS
        else f"Nimbus gave it up after {NIMBUS_TASK_LAUNCH_SECS} s"
        " (nimbus.task.launch.secs)"
    )
    reason = f"its heartbeats have no executors after {uptime_s} s; {limit}"
    return WorkerFinding(WorkerVerdict.LOADING, last.last_s - uptime_s, None, (reason,))
