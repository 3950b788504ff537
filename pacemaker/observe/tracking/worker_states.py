"""What state a worker is in, and the limits for that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pacemaker.config.storm_defaults import NIMBUS_TASK_LAUNCH_SECS
from pacemaker.observe.tracking.topology import TrackedTopology
from pacemaker.observe.tracking.worker import TrackedWorker
from pacemaker.observe.zookeeper.storm_nodes import Slot

# How many heartbeats of a late worker are missing.  At three seconds each, Nimbus waits
# for ten (nimbus.task.timeout.secs) before it acts.
_LATE_HEARTBEATS: Final = 3

# Without ZooKeeper: how long to show a worker whose key was deleted.
GONE_SHOWN_S: Final = 60

# The states of workers, the worst first.
STATES: Final = {
    "missing": "assigned, but it has no heartbeat",
    "late": "its heartbeat is old",
    "unreadable": "its heartbeat cannot be read",
    "gone": "its heartbeat was deleted",
    "starting": "assigned a moment ago",
    "loading": "it sends heartbeats, but its executors have not started",
    "ok": "it sends heartbeats",
    "leftover": "its executors run elsewhere",
}


def state_of(
    topology: TrackedTopology,
    worker: TrackedWorker,
    assigned: Mapping[Slot, int] | None,
    now_s: float,
) -> str | None:
    """Return the state of a worker; None if it need not be shown.

    Args:
        assigned: where the topology's workers should run, and since when; None if that
            is not known.
    """
    if worker.gone_s is not None:
        return _state_of_gone(topology, worker, assigned, now_s)
    if assigned is not None and worker.slot not in assigned:
        return "leftover"
    if worker.problem is not None:
        return "unreadable"
    if worker.beat is None:
        return None  # listed, but not read yet
    if assigned is None and not topology.runs(worker):
        return "leftover"
    if (worker.age_s or 0.0) > _LATE_HEARTBEATS * worker.interval_secs:
        return "late"
    return "ok" if worker.infos else "loading"


def _state_of_gone(
    topology: TrackedTopology,
    worker: TrackedWorker,
    assigned: Mapping[Slot, int] | None,
    now_s: float,
) -> str | None:
    gone_s = worker.gone_s or 0.0
    if assigned is not None:
        if worker.slot is None or worker.slot not in assigned:
            return None
        assigned_secs = assigned[worker.slot]
        # Assigned there once more, it is another worker.
        is_next = assigned_secs > gone_s
        return state_of_unseen(assigned_secs, now_s) if is_next else "missing"
    is_recent = now_s - gone_s < GONE_SHOWN_S
    return "gone" if is_recent and topology.runs(worker) else None


def state_of_unseen(assigned_secs: int, now_s: float) -> str:
    """Return the state of a worker that has had no heartbeat yet."""
    return "starting" if now_s - assigned_secs < NIMBUS_TASK_LAUNCH_SECS else "missing"
