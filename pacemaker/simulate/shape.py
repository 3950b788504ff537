"""The shape of a simulated cluster: who is in it, and under which keys it writes."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from typing import Final, NamedTuple

from pacemaker.words import counted

ROOT: Final = "/workerbeats"
"""Where Storm keeps all heartbeats (ClusterUtils.WORKERBEATS_SUBTREE)."""

TOPOLOGY_NAME: Final = "storm-pacemaker-simulation"
"""Begins the name of each simulated topology, and of nobody else's."""

FIRST_PORT: Final = 6700
"""The first of Storm's supervisor.slots.ports."""


@dataclass(frozen=True)
class ClusterShape:
    """How large a cluster is.

    Attributes:
        supervisors: the hosts that run workers.
        workers: the workers on each of them.
        executors: the executors in each worker, which decide how large a
            heartbeat is.
        topologies: the topologies that the workers belong to, by turns.
        interval_s: how often each worker sends its heartbeat.
    """

    supervisors: int
    workers: int
    executors: int
    topologies: int
    interval_s: float

    @property
    def workers_in_all(self) -> int:
        """The workers of the whole cluster: as many connections and keys."""
        return self.supervisors * self.workers

    @property
    def pulses_per_s(self) -> float:
        """The pulses that all workers send together."""
        return self.workers_in_all / self.interval_s

    def __str__(self) -> str:
        return (
            f"{counted(self.supervisors, 'supervisor', ',')} with"
            f" {counted(self.workers, 'worker', ',')} each,"
            f" {counted(self.executors, 'executor', ',')} in a worker"
        )


class Place(NamedTuple):
    """One worker's place in the cluster.

    Attributes:
        topology: the number of its topology, from 0.
        key: the path of its heartbeat.
    """

    topology: int
    key: str


def topology_ids(shape: ClusterShape, started_secs: int) -> tuple[str, ...]:
    """Name the topologies as Storm does: a name, a number, the time of the start."""
    return tuple(
        f"{TOPOLOGY_NAME}-{number}-{started_secs}"
        for number in range(1, shape.topologies + 1)
    )


def topology_path(topology_id: str) -> str:
    """Return the directory of a topology's heartbeats."""
    return f"{ROOT}/{topology_id}"


def places(
    shape: ClusterShape, ids: tuple[str, ...], rng: random.Random
) -> list[Place]:
    """Give each worker its topology and its key.

    Args:
        ids: the topologies, by `topology_ids`.
        rng: names the supervisors; equal ones give equal names.
    """
    supervisor_ids = [
        uuid.UUID(int=rng.getrandbits(128), version=4) for _ in range(shape.supervisors)
    ]
    found: list[Place] = []
    for supervisor_id in supervisor_ids:
        for slot in range(shape.workers):
            topology = len(found) % len(ids)
            name = f"{supervisor_id}-{FIRST_PORT + slot}"
            found.append(Place(topology, f"{topology_path(ids[topology])}/{name}"))
    return found
