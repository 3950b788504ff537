"""Gaps of one worker: stopped, killed, paused, or cut off; pure.

How a gap began and how it ended tell what happened:

* The worker deleted its key: it shut down in an orderly way.  ZooKeeper says whether
  because of an error, or because it was stopped.
* The next heartbeat comes from a younger process: the worker was killed, or Storm
  halted it after an error.
* The next heartbeat comes over the same connection: the process was paused.  But if it
  was sent during the gap and was delayed on its way, the network was down.
* The same process goes on over another connection: the network was down.
"""

from __future__ import annotations

from typing import Final

from pacemaker.observe.zookeeper.storm_nodes import Status, slot_of
from pacemaker.why.evidence import SLACK_S, Cause, Evidence, WorkerVerdict
from pacemaker.why.facts import HistoryEvent, WorkerId
from pacemaker.why.gaps import Gap

# How long before its end a worker may have reported the error that ended it.
_ERROR_BEFORE_S: Final = 20.0
# How long after its last heartbeat a worker may report an error and be halted by Storm:
# 3 s until the next heartbeat, and 3 s until the halt.
_HALTED_AFTER_S: Final = 6.0
# How long after the last heartbeat Nimbus may delete those of a topology that was
# killed: it looks every 10 s, and supervisors take some seconds to stop workers.
_TEARDOWN_S: Final = 120.0
# How long a supervisor may take to stop a worker that Nimbus has moved.
_STOPPING_S: Final = 60.0

_ENDS: Final = {
    "open": "its previous connection is still open",
    "fin": "its previous connection was closed normally",
    "reset": "its previous connection was reset",
    "refused": "the Pacemaker closed its previous connection",
    "stopped": "its previous connection ended because the Pacemaker was stopped",
}
_SLOT_IS_FREE: Final = "Nimbus has taken its slot away"
_TOO_LATE: Final = (
    "whether it shut itself down or was stopped is unknown: its slot was reassigned"
    " later, and ZooKeeper keeps only the newest assignment"
)


def killed_topology(evidence: Evidence, worker: WorkerId, gap: Gap) -> Cause | None:
    """Tell whether the worker ended with its topology."""
    topology_id, _ = worker
    if gap.is_over:
        return None
    found = evidence.topology_deleted(topology_id, gap.span.begin_s - SLACK_S)
    if found is not None:
        deleted_s, peer = found
        if deleted_s - gap.span.begin_s > _TEARDOWN_S:
            return None  # the worker was silent long before
        return _cause(
            WorkerVerdict.TOPOLOGY_KILLED,
            f"{peer} deleted all heartbeats of the topology",
        )
    if evidence.nodes is None:
        return None
    base = evidence.nodes.bases.get(topology_id)
    if base is None:
        reason = "ZooKeeper does not have the topology any more"
        return _cause(WorkerVerdict.TOPOLOGY_KILLED, reason)
    if base.status is Status.KILLED:
        reason = "the topology's status in ZooKeeper is KILLED"
        return _cause(WorkerVerdict.TOPOLOGY_KILLED, reason)
    return None


def orderly_end(evidence: Evidence, worker: WorkerId, gap: Gap) -> Cause | None:
    """Tell why a worker that deleted its key has ended."""
    deletes = evidence.deletes_in(worker, gap)
    if not deletes:
        return None
    delete = deletes[-1]
    deleted = f"its key was deleted from {delete.peer}, as a worker does when it ends"
    error = _error_of(evidence, worker, gap, delete.at_s)
    if error is not None:
        return _cause(WorkerVerdict.ENDED_ITSELF, deleted, f"it had reported: {error}")
    verdict, reason = _by_assignment(evidence, worker, gap, delete)
    return _cause(verdict, deleted, reason)


def _by_assignment(
    evidence: Evidence, worker: WorkerId, gap: Gap, delete: HistoryEvent
) -> tuple[WorkerVerdict, str]:
    """Tell whether Nimbus had the worker stopped."""
    if evidence.nodes is None:
        return (
            WorkerVerdict.UNCLEAR,
            "whether it shut itself down or was stopped is unknown without ZooKeeper",
        )
    assigned_s = evidence.assigned_s(worker)
    if assigned_s is None:
        if gap.is_over:
            return WorkerVerdict.UNCLEAR, _TOO_LATE
        return WorkerVerdict.STOPPED, _SLOT_IS_FREE
    if assigned_s > gap.span.end_s + SLACK_S:
        return WorkerVerdict.UNCLEAR, _TOO_LATE
    if assigned_s >= delete.at_s - _ERROR_BEFORE_S:
        return WorkerVerdict.STOPPED, "Nimbus reassigned its slot at that time"
    return (
        WorkerVerdict.ENDED_ITSELF,
        "its assignment did not change, and no error was reported",
    )


def _cause(verdict: WorkerVerdict, *reasons: str) -> Cause:
    return Cause(verdict, reasons)


def _error_of(
    evidence: Evidence, worker: WorkerId, gap: Gap, ended_s: float
) -> str | None:
    """Return the error that a worker reported before it ended."""
    slot = slot_of(worker.name)
    if evidence.nodes is None or slot is None:
        return None
    host = evidence.nodes.host_of(worker.topology_id, slot.node)
    for (topology_id, component), error in evidence.nodes.errors.items():
        is_its = topology_id == worker.topology_id and error.port == slot.port
        is_then = (
            gap.span.begin_s - _ERROR_BEFORE_S <= error.time_secs <= ended_s + SLACK_S
        )
        if is_its and is_then and host in (None, error.host):
            return f"{error.summary} ({component})"
    return None


def abrupt_end(evidence: Evidence, worker: WorkerId, gap: Gap) -> Cause:
    """Tell why a worker was silent that did not delete its key."""
    if gap.following is None:
        return _still_silent(evidence, worker, gap)
    peer = gap.following.peer if gap.ending is None else gap.ending.peer
    if gap.is_new_process:
        return _killed(
            evidence,
            worker,
            gap,
            _connection(gap),
            "its key was not deleted, and the next heartbeat came from a new process,"
            f" {gap.uptime_s:.0f} s old",
        )
    relay = _relay_of(evidence, worker, peer)
    if relay:
        return _cause(WorkerVerdict.UNCLEAR, relay)
    if gap.ending is not None and gap.ending.kind == "late":
        return _same_connection(gap, peer)
    if gap.is_new_process is None:
        return _cause(WorkerVerdict.UNCLEAR, _connection(gap), _unknown_uptime(gap))
    return _cause(
        WorkerVerdict.NETWORK,
        _connection(gap),
        f"the same process went on over another connection to {gap.following.daemon},"
        f" from {peer}: its uptime was {gap.uptime_s:.0f} s",
    )


def _same_connection(gap: Gap, peer: str) -> Cause:
    """Judge a gap after which the same process went on over the same connection.

    The first heartbeat after a pause is new.  After a lost network, it may be one that
    the worker sent during the gap and that TCP delivers only now.
    """
    uptime_s = gap.uptime_s
    if uptime_s is not None and uptime_s < gap.span.duration_s - SLACK_S:
        return _cause(
            WorkerVerdict.NETWORK,
            f"it went on over the same connection, from {peer}, but first with a"
            f" heartbeat that was delayed in the network: its uptime, {uptime_s:.0f} s,"
            " is shorter than the silence",
        )
    return _cause(
        WorkerVerdict.PAUSED, f"it went on over the same connection, from {peer}"
    )


def _killed(evidence: Evidence, worker: WorkerId, gap: Gap, *reasons: str) -> Cause:
    """Judge the end of a process that did not delete its key.

    A worker that throws has 3 s to shut down before Storm halts it
    (`Utils.exitProcess`).  On a busy host it may not get to the delete in that time.
    """
    error = _error_of(evidence, worker, gap, gap.span.begin_s + _HALTED_AFTER_S)
    if error is None:
        return _cause(WorkerVerdict.KILLED, *reasons)
    halted = f"it had reported: {error}; so it was halted before it deleted its key"
    return _cause(WorkerVerdict.ENDED_ITSELF, *reasons, halted)


def _connection(gap: Gap) -> str:
    """Say how the connection before the gap ended."""
    if gap.ending is None:
        return _ENDS.get(gap.last.end, gap.last.end)
    if gap.ending.kind == "late":
        return "its connection stayed open, so a relay or a proxy is in between"
    return _ENDS.get(gap.ending.end, gap.ending.end)


def _unknown_uptime(gap: Gap) -> str:
    question = "whether a new process took its place is unknown"
    reported_s = None if gap.ending is None else gap.ending.uptime_s
    if reported_s is None:
        return f"{question}: its uptime cannot be read"
    return (
        f"{question}: it reports an uptime of {reported_s} s, so the clock of its host"
        " was set back"
    )


def _still_silent(evidence: Evidence, worker: WorkerId, gap: Gap) -> Cause:
    relay = _relay_of(evidence, worker, gap.last.peer)
    if relay:
        return _cause(WorkerVerdict.UNCLEAR, relay)
    if gap.last.end == "open":
        return _cause(
            WorkerVerdict.PAUSED,
            f"its connection, from {gap.last.peer}, is still open: it is paused or"
            " hangs, or its host is cut off",
        )
    ended = _ENDS.get(gap.last.end, gap.last.end)
    moved_s = evidence.newest_assignment_s(worker.topology_id)
    # A supervisor kills a worker that takes too long to stop, and its key stays.
    was_moved = (
        evidence.is_unassigned(worker)
        and moved_s is not None
        and -_STOPPING_S <= moved_s - gap.span.begin_s <= SLACK_S
    )
    if was_moved:
        return _cause(WorkerVerdict.STOPPED, ended, f"{_SLOT_IS_FREE} shortly before")
    return _killed(
        evidence,
        worker,
        gap,
        ended,
        "its key was not deleted, and it has not come back",
    )


def aftermath(evidence: Evidence, worker: WorkerId, gap: Gap) -> str | None:
    """Say what Nimbus did about a worker that is still silent."""
    if gap.is_over:
        return None
    begin_s = gap.span.begin_s
    found = evidence.topology_deleted(worker.topology_id, begin_s - SLACK_S)
    if found is not None:
        return f"its topology was killed {found[0] - begin_s:.0f} s after that"
    if not evidence.is_unassigned(worker):
        return None
    moved_s = evidence.newest_assignment_s(worker.topology_id)
    if moved_s is None or moved_s <= begin_s:
        return _SLOT_IS_FREE
    return f"{_SLOT_IS_FREE}, {moved_s - begin_s:.0f} s after its last heartbeat"


def _relay_of(evidence: Evidence, worker: WorkerId, peer: str) -> str | None:
    """Return a sentence about a connection that is a relay's and not the worker's."""
    if evidence.relay_facts(worker):
        return None  # the connection is that of the worker to its relay
    # A relay may carry a single worker, so the configuration counts too.
    if evidence.carried_by(peer) < 2 and not evidence.has_relays:
        return None
    return (
        f"its heartbeats come through a relay, {peer}, which hides whether the worker"
        " paused or the network was down: ask the relay, with --admin"
    )
