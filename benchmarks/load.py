"""The load generator: its command line, and its report."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.native import compiled
from benchmarks.servers import Server

# Time to connect, to wait for late replies and to end, beyond the time of the load.
_GRACE_S: Final = 60.0

WARM_UP_S: Final = 0.3
"""How long a load runs before anything is measured, unless it needs longer."""


class LoadError(Exception):
    """A server refused a request, or did not answer in time."""


@dataclass(frozen=True)
class Group:
    """A group of connections that do the same; `load.c` describes each kind of work.

    Attributes:
        work: fill, pulse, read, list or delete.
        connections: the number of connections.
        in_flight: unanswered requests on each connection, if there is no rate.
        rate_per_s: requests a second over all connections; 0 to send a request as soon
            as one is answered.
        limit: the total number of requests; 0 to send until the time is up.
    """

    work: str
    connections: int
    in_flight: int = 1
    rate_per_s: float = 0.0
    limit: int = 0

    def argument(self) -> str:
        """Return the group as an argument of the generator."""
        return (
            f"{self.work}:{self.connections}:{self.in_flight}"
            f":{self.rate_per_s}:{self.limit}"
        )


@dataclass(frozen=True)
class Heartbeats:
    """The heartbeats of a store.

    Attributes:
        keys: the number of heartbeats.
        value_bytes: the size of a heartbeat.
        topologies: the number of topologies; each has equally many heartbeats.
        first_topology: the number of the first topology.
        delete_from: the topology that is deleted first; None for the first topology.
        spread: the share by which sizes vary around `value_bytes`.
    """

    keys: int
    value_bytes: int
    topologies: int = 1
    first_topology: int = 0
    delete_from: int | None = None
    spread: float = 0.0

    def arguments(self) -> list[str]:
        """Return the heartbeats as options of the generator."""
        return [
            f"--keys={self.keys}",
            f"--topologies={self.topologies}",
            f"--first-topology={self.first_topology}",
            f"--delete-from={-1 if self.delete_from is None else self.delete_from}",
            f"--value-bytes={self.value_bytes}",
            f"--spread={self.spread}",
        ]


@dataclass(frozen=True)
class Latencies:
    """The latencies of some requests.

    Attributes:
        max_us: the largest latency.
        percentiles_us: the percentiles, by percentage: ``{"99.9": 1234.0}``.
    """

    max_us: float
    percentiles_us: Mapping[str, float]


@dataclass(frozen=True)
class Seen:
    """The generator's report, from the end of the warm-up on.

    Attributes:
        seconds: the length of the measurement.
        replies: the number of answered requests.
        lost: the number of scheduled requests without an answer 5 s after the end.
        is_done: whether a group with a limit has reached it.
        server_cpu_s: CPU time of the server process, all threads, user and kernel.
        written_bytes: the bytes that the server process wrote to disks.
        generator_cpu_s: CPU time of the generator.
        generator_late_us: the longest delay with which it sent a scheduled request.
        content_bytes: the size of all stored keys and values after a fill.
        latencies: the latencies of all requests.
        by_work: the latencies by kind of work.
    """

    seconds: float
    replies: int
    lost: int
    is_done: bool
    server_cpu_s: float
    written_bytes: int
    generator_cpu_s: float
    generator_late_us: float
    content_bytes: int
    latencies: Latencies
    by_work: Mapping[str, Latencies]

    @property
    def rate_per_s(self) -> float:
        """The number of replies per second."""
        return self.replies / self.seconds

    @property
    def cpu_us(self) -> float:
        """The server's CPU time per request, in microseconds."""
        return self.server_cpu_s / max(1, self.replies) * 1e6


def command(
    server: Server,
    heartbeats: Heartbeats,
    groups: Sequence[Group],
    seconds: float,
    warm_up_s: float,
) -> list[str]:
    """Return the command line of the generator; the arguments are those of `load`."""
    return [
        str(compiled("load")),
        f"--wire={server.wire}",
        f"--port={server.port}",
        f"--pid={server.pid}",
        f"--seconds={seconds}",
        f"--warm-up={warm_up_s}",
        *heartbeats.arguments(),
        *(group.argument() for group in groups),
    ]


def load(
    server: Server,
    heartbeats: Heartbeats,
    groups: Sequence[Group],
    seconds: float,
    warm_up_s: float = WARM_UP_S,
) -> Seen:
    """Put load on a server.

    Args:
        server: the server.
        heartbeats: the heartbeats that it stores, or that are to be written.
        groups: the connections and what they do.
        seconds: the longest time of the measurement, without the warm-up.
        warm_up_s: the length of the warm-up.

    Raises:
        LoadError: the server refused a request, or the load did not end in time.
    """
    argv = command(server, heartbeats, groups, seconds, warm_up_s)
    timeout_s = seconds + warm_up_s + _GRACE_S
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired as exc:
        raise LoadError(f"the load did not end within {timeout_s:.0f} s") from exc
    if done.returncode:
        raise LoadError(done.stderr.strip())
    return read_report(json.loads(done.stdout))


def fill(
    server: Server, heartbeats: Heartbeats, bound_s: float, passes: int = 1
) -> Seen:
    """Write every heartbeat `passes` times.

    Raises:
        LoadError: the server refused one, or did not answer all within the bound.
    """
    # With large values, few requests are in flight: gigabytes of them would queue up.
    in_flight = max(1, min(20, 2**20 // heartbeats.value_bytes))
    # Our daemon accepts a thousand new keys a second from each address, and counts each
    # connection of this host as one.
    connections = max(10, heartbeats.keys // 5_000)
    group = Group("fill", connections, in_flight, limit=heartbeats.keys * passes)
    seen = load(server, heartbeats, [group], bound_s, warm_up_s=0.0)
    if not seen.is_done:
        raise LoadError(
            f"took {seen.replies} of {group.limit} heartbeats in {bound_s:.0f} s"
        )
    return seen


def read_report(report: Mapping[str, Any]) -> Seen:
    """Read the JSON that the generator writes."""
    groups = report["groups"]
    return Seen(
        seconds=report["seconds"],
        replies=sum(group["replies"] for group in groups),
        lost=sum(group["lost"] for group in groups),
        # Not all: a group with a rate only ends when the time is up.
        is_done=any(group["is_done"] for group in groups),
        server_cpu_s=report["server_cpu_s"],
        written_bytes=report["written_bytes"],
        generator_cpu_s=report["generator_cpu_s"],
        generator_late_us=report["generator_late_us"],
        content_bytes=report["content_bytes"],
        latencies=_latencies(report),
        by_work={group["work"]: _latencies(group) for group in groups},
    )


def _latencies(report: Mapping[str, Any]) -> Latencies:
    return Latencies(report["max_us"], report["percentiles_us"])
