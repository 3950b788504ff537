"""How Nimbus and the workers' heartbeats react to an event, recorded from before it."""

from __future__ import annotations

import time
from contextlib import ExitStack
from itertools import pairwise
from types import TracebackType
from typing import NamedTuple

from tests.cluster.cluster import UP_TIMEOUT_S, Cluster
from tests.cluster.heartbeats import Flow, Heartbeats
from tests.cluster.waiting import wait_until


class Outcome(NamedTuple):
    """What an event has done.

    Attributes:
        executors: how many there are.
        moved: the executors that Nimbus has assigned since, anew or elsewhere.
        not_alive: the executors that it called dead, once for each time.
        first_dead_s: when it called each of them dead first, since the epoch.
        replaced: the ports whose workers are other processes now.
        flow: what became of the heartbeats.
        longest_round_s: from the beginning of a round of Nimbus to the next one's.
        nimbus_ended: how often Nimbus ended itself, and was started again.
    """

    executors: int
    moved: set[str]
    not_alive: list[str]
    first_dead_s: dict[str, float]
    replaced: set[int]
    flow: Flow
    longest_round_s: float
    nimbus_ended: int

    @property
    def nothing_moved(self) -> bool:
        """Whether Nimbus and the supervisors left everything where it was."""
        return not (self.moved or self.not_alive or self.replaced)


class Observation:
    """Watches a cluster; made before the event, asked for the outcome after it.

    Args:
        cluster: one that has settled.

    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        addresses = [pacemaker.address for pacemaker in cluster.pacemakers]
        self.heartbeats = Heartbeats(cluster.topology_id, addresses)

    def event(self) -> None:
        """Note that the event begins, and for now that it is over at once."""
        self._begin_s = self._back_s = time.monotonic()

    def over(self) -> None:
        """Note that the event is over: what counts from its end counts from here."""
        self._back_s = time.monotonic()

    @property
    def away_s(self) -> float:
        """How long the event was."""
        return self._back_s - self._begin_s

    def wait_for_heartbeats(self) -> None:
        """Wait until every worker that is assigned has written since the event."""
        wait_until("heartbeats of all workers", self._all_written, UP_TIMEOUT_S)

    def outcome(self) -> Outcome:
        """Wait until Nimbus has taken in what happened, and return it.

        Each worker has written again, a round of Nimbus has seen it, and all
        executors are as old as at the beginning.
        """
        self.wait_for_heartbeats()
        self._cluster.wait_for_round()
        self._cluster.settle()
        self.wait_for_heartbeats()
        return self._outcome()

    def _outcome(self) -> Outcome:
        after = self._cluster.placement()
        not_alive = self._cluster.not_alive(self._from_line)
        starts = self._cluster.round_starts(self._from_line)
        return Outcome(
            executors=len(after.slots),
            moved=after.moved_from(self.before),
            not_alive=[name for name, _ in not_alive],
            first_dead_s=dict(reversed(not_alive)),
            replaced={
                port
                for port, pid in self.before.pids.items()
                if after.pids.get(port) != pid
            },
            flow=self.heartbeats.flow(after.workers, self._begin_s, self._back_s),
            longest_round_s=max(
                (end - start for start, end in pairwise(starts)), default=0.0
            ),
            nimbus_ended=self._cluster.nimbus_ends - self._ends_before,
        )

    def _all_written(self) -> bool:
        self._cluster.supervise_nimbus()
        workers = self._cluster.placement().workers
        return self.heartbeats.all_since(workers, self._back_s)

    def __enter__(self) -> Observation:
        """Begin to watch, once all workers' heartbeats have been seen."""
        self.before = self._cluster.placement()
        self._ends_before = self._cluster.nimbus_ends
        self._from_line = len(self._cluster.nimbus_log())
        with ExitStack() as watching:
            watching.enter_context(self.heartbeats)
            self.event()
            self.wait_for_heartbeats()
            self._watching = watching.pop_all()
        self.event()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Watch no more."""
        self._watching.close()


def keep_ports(cluster: Cluster, keep: bool) -> None:
    """See that the Pacemakers' ports are kept while they are away, or are not.

    A new cluster's are, where its Pacemakers are ours.  The change is a short
    outage; the cluster has got over it afterwards.
    """
    changing = [one for one in cluster.pacemakers if one.keeps_port != keep]
    if not changing:
        return
    with Observation(cluster) as seen:
        for pacemaker in changing:
            pacemaker.end()
            pacemaker.keep_port(keep)
            pacemaker.start()
        seen.over()
        seen.outcome()
