"""Read all heartbeats from all Pacemakers, round after round.

A round lists the topologies and their workers, then reads the value of each listed key.
So it does not read keys that do not exist: a server that was just started would hold
such a read.  Reads are sent in batches, spread over the round, to every server that
answers.  If the answers differ, the heartbeat with the newest time counts, as in Storm.

A worker whose heartbeat has not changed since the last round is read again soon.  So a
dead worker is noticed within seconds, however long a round is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias, TypeVar

from pacemaker.client import PacemakerPool, requests
from pacemaker.client.requests import Request
from pacemaker.errors import ClientError, NoServerError
from pacemaker.heartbeats.codec import time_secs_of
from pacemaker.heartbeats.keys import ROOT, key_of, topology_path
from pacemaker.observe.tracking.cluster import ServerState, TrackedCluster

T = TypeVar("T")
WorkerId: TypeAlias = tuple[str, str]

# How often every worker is read.
ROUND_S: Final = 5.0

# The same in a cluster of more than `LARGE_WORKERS`: as often as Nimbus reads.
LARGE_ROUND_S: Final = 10.0

LARGE_WORKERS: Final = 5_000

# Reads that are sent together.  A server answers them in a few milliseconds.
BATCH_KEYS: Final = 100

# Reads are spread over this share of a round, so that a slow one does not delay the
# next.
_SPREAD: Final = 0.8


class HeartbeatReader:
    """Tells a tracked cluster what the Pacemakers hold.

    Args:
        pool: the Pacemakers.
        cluster: where the heartbeats go.
        lock: held while the cluster is used, but never during I/O.
        clock: returns the time in seconds since 1970.
        wait: waits for a number of seconds; returns True if the reader should end.
    """

    def __init__(
        self,
        pool: PacemakerPool,
        cluster: TrackedCluster,
        lock: threading.Lock,
        clock: Callable[[], float] = time.time,
        wait: Callable[[float], bool] = lambda _: False,
    ) -> None:
        self._pool = pool
        self._cluster = cluster
        self._lock = lock
        self._clock = clock
        self._wait = wait

    def round_s(self) -> float:
        """Return how long a round should take in a cluster of the present size."""
        with self._lock:
            count = len(self._cluster.keys())
        return LARGE_ROUND_S if count > LARGE_WORKERS else ROUND_S

    def read_all(self, over_s: float = 0.0) -> None:
        """Do one round.

        Args:
            over_s: the time over which the reads are spread.

        Raises:
            NotAuthorizedError: the servers do not let this client read.
            ClosedError: the pool was closed.
        """
        begin_s = time.monotonic()
        try:
            self._list()
            with self._lock:
                keys = self._cluster.keys()
            batches = [
                keys[at : at + BATCH_KEYS] for at in range(0, len(keys), BATCH_KEYS)
            ]
            for number, batch in enumerate(batches, 1):
                self._read(batch)
                due_s = begin_s + over_s * _SPREAD * number / len(batches)
                if self._wait(max(0.0, due_s - time.monotonic())):
                    return
        except NoServerError as exc:
            self._note_servers(str(exc))
        else:
            self._note_servers(None)

    def read_suspects(self) -> None:
        """Read again the workers whose last heartbeat is more than 4 s old.

        Raises the same errors as `read_all`.
        """
        with self._lock:
            keys = list(_suspects(self._cluster, self._clock()))
        try:
            for at in range(0, len(keys), BATCH_KEYS):
                self._read(keys[at : at + BATCH_KEYS])
        except NoServerError as exc:
            self._note_servers(str(exc))

    def _list(self) -> None:
        names = {
            topology_id: self._pool.list_nodes(topology_path(topology_id))
            for topology_id in self._pool.list_nodes(ROOT)
        }
        with self._lock:
            self._cluster.on_listed(names, self._clock())

    def _read(self, keys: Sequence[WorkerId]) -> None:
        wanted = [requests.get_pulse(key_of(*key)) for key in keys]
        answers = self._ask(wanted)
        now_s = self._clock()
        with self._lock:
            for (topology_id, name), found in zip(keys, answers, strict=True):
                self._cluster.on_value(topology_id, name, _newest(found), now_s)

    def _ask(self, wanted: Sequence[Request[T]]) -> list[list[T]]:
        """Send all requests to all servers that answer; return the answers to each."""
        available = [each for each in self._pool.connections if each.is_available]
        calls = [
            [connection.submit(request) for request in wanted]
            for connection in available or self._pool.connections
        ]
        answers: list[list[T]] = [[] for _ in wanted]
        failures: list[ClientError] = []
        for of_server in calls:
            try:
                for call, found in zip(of_server, answers, strict=True):
                    found.append(call.result())
            except ClientError as exc:
                failures.append(exc)
                for call in of_server:
                    call.cancel()
        if len(failures) == len(calls):
            raise NoServerError("pacemaker.servers", tuple(failures))
        return answers

    def _note_servers(self, problem: str | None) -> None:
        servers = [
            ServerState(connection.name, connection.liveness.problem or None)
            for connection in self._pool.connections
        ]
        with self._lock:
            self._cluster.on_servers(servers, problem)


def _suspects(cluster: TrackedCluster, now_s: float) -> Iterator[WorkerId]:
    for topology in cluster.topologies.values():
        for worker in topology.workers.values():
            age_s = worker.age_s
            if (
                worker.gone_s is None
                and age_s is not None
                and age_s > 4
                and now_s - worker.changed_s < 60
                and topology.runs(worker)
            ):
                yield topology.id, worker.name


def _newest(found: Sequence[bytes | None]) -> bytes | None:
    """Return the newest of some servers' values of one key."""
    values = list(dict.fromkeys(each for each in found if each is not None))
    if len(values) < 2:
        return values[0] if values else None
    return max(values, key=lambda value: time_secs_of(value) or -1)
