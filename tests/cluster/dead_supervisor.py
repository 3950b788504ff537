"""The scenario that is no outage of a Pacemaker: a supervisor dies with its workers."""

from __future__ import annotations

import signal
import time
from typing import NamedTuple

from tests.cluster.cluster import Cluster
from tests.cluster.observation import Observation, Outcome


class DeadSupervisor(NamedTuple):
    """What followed.

    Attributes:
        outcome: what the observation saw.
        took_s: the time from the kill until Nimbus called the last of them dead.

    """

    outcome: Outcome
    took_s: float


def kill_supervisor(cluster: Cluster, and_pacemaker: bool) -> DeadSupervisor:
    """Kill the busier supervisor and its workers, and see that their executors move.

    Args:
        cluster: one that has settled.
        and_pacemaker: whether the first Pacemaker is killed too, and comes back.

    """
    before = cluster.placement()
    with Observation(cluster) as seen:
        killed_s = time.time()
        dead = cluster.kill_supervisor()
        if and_pacemaker:
            cluster.pacemakers[0].go_away(signal.SIGKILL, 0)
        seen.over()
        outcome = seen.outcome()
    lost = {name for name, slot in before.slots.items() if slot.port in dead}
    assert lost
    assert outcome.moved == lost
    assert lost <= set(outcome.not_alive)
    took_s = max(outcome.first_dead_s[name] for name in lost) - killed_s
    return DeadSupervisor(outcome, took_s)
