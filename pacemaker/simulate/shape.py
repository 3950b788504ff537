"""The shape of a simulated cluster: its size and its keys."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from typing import Final, NamedTuple

from pacemaker.heartbeats.keys import key_of
from pacemaker.texts import counted

# The prefix of every simulated topology's name, and of no other's.
TOPOLOGY_NAME: Final = "storm-pacemaker-simulation"

# The first of Storm's supervisor.slots.ports.
FIRST_PORT: Final = 6700


@dataclass(frozen=True)
class ClusterShape:
    """The size of a cluster.

    Attributes:
        supervisors: the hosts that run workers.
        workers: the workers on each supervisor.
        executors: the executors in each worker, which determine the size of a
            heartbeat.
        topologies: the number of topologies, to which workers are assigned in turn.
        interval_s: the time between two heartbeats of a worker.
        has_relays: whether the workers of a supervisor share one connection, that of
            the relay on their host.
    """

    supervisors: int
    workers: int
    executors: int
    topologies: int
    interval_s: float
    has_relays: bool = False

    @property
    def workers_in_all(self) -> int:
        """The workers of the whole cluster; also the number of keys."""
        return self.supervisors * self.workers

    @property
    def connections(self) -> int:
        """How many connections have pulses."""
        return self.supervisors if self.has_relays else self.workers_in_all

    @property
    def pulses_per_s(self) -> float:
        """The pulses per second of all workers together."""
        return self.workers_in_all / self.interval_s

    def workers_of(self, topology: int) -> int:
        """Return how many workers a topology has; its number is from 0."""
        return len(range(topology, self.workers_in_all, self.topologies))

    def __str__(self) -> str:
        return (
            f"{counted(self.supervisors, 'supervisor', ',')} with"
            f" {counted(self.workers, 'worker', ',')} each,"
            f" {counted(self.executors, 'executor', ',')} in a worker"
            f"{', a relay on each' if self.has_relays else ''}"
        )


class PlannedWorker(NamedTuple):
    """A worker of the simulated cluster, before it connects.

    Attributes:
        topology: the number of its topology, from 0.
        number: its number among the topology's workers, from 0.
        key: the path of its heartbeat.
    """

    topology: int
    number: int
    key: str


def topology_ids(shape: ClusterShape, started_secs: int) -> tuple[str, ...]:
    """Name the topologies as Storm does: a name, a number and the start time."""
    return tuple(
        f"{TOPOLOGY_NAME}-{number}-{started_secs}"
        for number in range(1, shape.topologies + 1)
    )


def plan_workers(
    shape: ClusterShape, ids: tuple[str, ...], rng: random.Random
) -> list[PlannedWorker]:
    """Assign a topology and a key to each worker.

    Args:
        ids: the topologies, from `topology_ids`.
        rng: names the supervisors; the same state gives the same names.
    """
    supervisor_ids = [
        uuid.UUID(int=rng.getrandbits(128), version=4) for _ in range(shape.supervisors)
    ]
    found: list[PlannedWorker] = []
    for supervisor_id in supervisor_ids:
        for slot in range(shape.workers):
            number, topology = divmod(len(found), len(ids))
            name = f"{supervisor_id}-{FIRST_PORT + slot}"
            key = key_of(ids[topology], name)
            found.append(PlannedWorker(topology, number, key))
    return found
