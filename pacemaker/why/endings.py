"""Gaps of one worker: stopped, killed, paused, or cut off; pure.

A gap is judged by how it began and how it ended:

* the key was deleted: the worker ended in an orderly way.  ZooKeeper says whether for
  an error, or because it was stopped;
* the next heartbeat has an uptime that is shorter than the gap: another process took
  its place, so the worker was killed;
* the same connection went on: the process was paused;
* another connection, but an uptime that goes on: the network was away.
"""

from __future__ import annotations

from typing import Final

from pacemaker.observe.nodes import Status, slot_of
from pacemaker.why.case import SLACK_S, Case, Cause, Verdict, Worker
from pacemaker.why.gaps import Gap

# How long before its end a worker may have reported the error that ended it.
_ERROR_BEFORE_S: Final = 20.0

_ENDS: Final = {
    "fin": "in an orderly way",
    "reset": "by a reset",
    "refused": "because the Pacemaker closed it",
    "stopped": "because the Pacemaker was stopped",
}
_SLOT_IS_FREE: Final = "its topology has no worker in this slot any more"


def killed_topology(case: Case, worker: Worker, gap: Gap) -> Cause | None:
    """Tell whether the worker ended with its topology."""
    topology_id, _ = worker
    if gap.is_over:
        return None
    for daemon in case.daemons:
        for at_s, path, peer in daemon.deletes:
            is_it = path.rstrip("/") == f"/workerbeats/{topology_id}"
            if is_it and at_s >= gap.span.begin_s - SLACK_S:
                return _cause(
                    Verdict.TOPOLOGY_KILLED,
                    f"{peer} deleted all heartbeats of its topology",
                )
    if case.nodes is None:
        return None
    base = case.nodes.bases.get(topology_id)
    if base is None or base.status is Status.KILLED:
        return _cause(
            Verdict.TOPOLOGY_KILLED,
            "its topology is not in ZooKeeper, or being killed there",
        )
    return None


def orderly_end(case: Case, worker: Worker, gap: Gap) -> Cause | None:
    """Tell why a worker that deleted its key has ended."""
    deletes = case.deletes_in(worker, gap)
    if not deletes:
        return None
    delete = deletes[-1]
    deleted = f"its key was deleted from {delete.peer}, as it ended"
    error = _error_of(case, worker, gap, delete.at_s)
    if error is not None:
        return _cause(Verdict.ENDED_ITSELF, deleted, f"it had reported: {error}")
    if case.nodes is None:
        return _cause(
            Verdict.UNCLEAR,
            deleted,
            "whether it ended itself or was stopped, ZooKeeper would say, which was"
            " not asked",
        )
    assigned_s = case.assigned_s(worker)
    if assigned_s is None:
        return _cause(Verdict.STOPPED, deleted, _SLOT_IS_FREE)
    if assigned_s >= delete.at_s - _ERROR_BEFORE_S:
        return _cause(
            Verdict.STOPPED, deleted, "Nimbus assigned this slot anew at that time"
        )
    return _cause(
        Verdict.ENDED_ITSELF,
        deleted,
        "its assignment has not changed, and no error was reported",
    )


def _cause(verdict: Verdict, *reasons: str) -> Cause:
    return Cause(verdict, reasons)


def _error_of(case: Case, worker: Worker, gap: Gap, deleted_s: float) -> str | None:
    """Return the error that a worker reported before it ended."""
    slot = slot_of(worker[1])
    if case.nodes is None or slot is None:
        return None
    host = case.nodes.host_of(worker[0], slot.node)
    for (topology_id, component), error in case.nodes.errors.items():
        is_its = topology_id == worker[0] and error.port == slot.port
        is_then = (
            gap.span.begin_s - _ERROR_BEFORE_S <= error.time_secs <= deleted_s + SLACK_S
        )
        if is_its and is_then and host in (None, error.host):
            return f"{error.summary} ({component})"
    return None


def abrupt_end(case: Case, worker: Worker, gap: Gap) -> Cause:
    """Tell why a worker was silent that did not delete its key."""
    if not gap.is_over:
        return _still_silent(case, worker, gap)
    ending = gap.ending
    if ending is None:
        # It went on at another Pacemaker, where this is the first heartbeat.
        return _cause(Verdict.NETWORK, "it went on at another Pacemaker")
    if ending.uptime_s is not None and ending.uptime_s <= gap.span.duration_s + 1:
        return _cause(
            Verdict.KILLED,
            _ended(ending.end),
            f"its key was not deleted, and the process that went on had an uptime of"
            f" {ending.uptime_s} s",
        )
    relay = _relay_of(case, ending.peer)
    if relay:
        return _cause(Verdict.UNCLEAR, relay)
    if ending.kind == "late":
        return _cause(
            Verdict.PAUSED, f"the same connection, {ending.peer}, went on after it"
        )
    if ending.uptime_s is None:
        return _cause(
            Verdict.UNCLEAR,
            _ended(ending.end),
            "whether the process that went on is another one is unknown: its uptime"
            " cannot be read",
        )
    return _cause(
        Verdict.NETWORK,
        _ended(ending.end),
        f"the same process went on over another connection, from {ending.peer}: its"
        f" uptime was {ending.uptime_s} s",
    )


def _ended(end: str) -> str:
    if end == "open":
        return "the connection before it has not ended"
    return f"the connection before it ended {_ENDS.get(end, end)}"


def _still_silent(case: Case, worker: Worker, gap: Gap) -> Cause:
    relay = _relay_of(case, gap.last.peer)
    if relay:
        return _cause(Verdict.UNCLEAR, relay)
    is_free = case.nodes is not None and case.assigned_s(worker) is None
    free = (_SLOT_IS_FREE,) if is_free else ()
    if gap.last.end == "open":
        if is_free:
            return _cause(Verdict.STOPPED, *free)
        return _cause(
            Verdict.PAUSED,
            f"its connection, {gap.last.peer}, has not ended: it is paused, it hangs,"
            " or its host is cut off",
        )
    return _cause(
        Verdict.KILLED,
        *free,
        f"its connection, {gap.last.peer}, has ended, its key was not deleted, and it"
        " has not come back",
    )


def _relay_of(case: Case, peer: str) -> str | None:
    """Return a sentence about a connection that carries several workers."""
    carried = {
        worker
        for daemon in case.daemons
        for worker, facts in daemon.keys.items()
        if facts.peer == peer
    }
    if len(carried) < 2:
        return None
    return (
        f"its heartbeats come through a relay, {peer}, so a pause and a lost network"
        " look the same here: ask the relay with --admin"
    )
