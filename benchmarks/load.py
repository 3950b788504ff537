"""The load generator: what it is asked to do, and what it saw."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.native import compiled
from benchmarks.servers import Server

# Beyond the time that it was given: to connect, to see late replies, to end.
_GRACE_S: Final = 60.0


class LoadError(Exception):
    """A server did not do what was asked of it."""


@dataclass(frozen=True)
class Group:
    """Some connections that do the same; `load.c` says what each work is.

    Attributes:
        work: fill, pulse, read, list or delete.
        connections: how many.
        in_flight: requests under way on each, where there is no rate.
        rate_per_s: requests a second over all; 0 for as many as are answered.
        limit: requests in all; 0 for no end but the time's.
    """

    work: str
    connections: int
    in_flight: int = 1
    rate_per_s: float = 0.0
    limit: int = 0

    def argument(self) -> str:
        """Return the group as the generator takes it."""
        return (
            f"{self.work}:{self.connections}:{self.in_flight}"
            f":{self.rate_per_s}:{self.limit}"
        )


@dataclass(frozen=True)
class Heartbeats:
    """What is stored: so many heartbeats of a size, in so many topologies.

    Attributes:
        keys: how many.
        value_bytes: how large.
        topologies: in how many, evenly.
        first_topology: the number of the first of them.
        delete_from: the topology that deletes begin with; the first, if None.
        spread: by which share sizes differ.
    """

    keys: int
    value_bytes: int
    topologies: int = 1
    first_topology: int = 0
    delete_from: int | None = None
    spread: float = 0.0

    def arguments(self) -> list[str]:
        """Return the options that tell the generator."""
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
        max_us: the largest.
        percentiles_us: the others, by percentage: ``{"99.9": 1234.0}``.
    """

    max_us: float
    percentiles_us: Mapping[str, float]


@dataclass(frozen=True)
class Seen:
    """What the generator saw, from the end of the warm-up on.

    Attributes:
        seconds: how long that was.
        replies: requests answered.
        lost: requests that were due and not answered 5 s after the end.
        is_done: whether all groups with a limit came to it.
        server_cpu_s: CPU time of the server process, all threads, user and kernel.
        written_bytes: what the server process has written to disks.
        generator_cpu_s: CPU time of the generator.
        generator_late_us: how late, at most, it sent what was due.
        content_bytes: keys and values that are stored after a fill.
        latencies: of all requests.
        by_work: of each kind.
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
        """Replies a second."""
        return self.replies / self.seconds

    @property
    def cpu_us(self) -> float:
        """CPU time of the server for each request, in microseconds."""
        return self.server_cpu_s / max(1, self.replies) * 1e6


def command(
    server: Server,
    heartbeats: Heartbeats,
    groups: Sequence[Group],
    seconds: float,
    warm_up_s: float,
) -> list[str]:
    """Return the command line of the generator; arguments as those of `load`."""
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
    warm_up_s: float = 0.3,
) -> Seen:
    """Put load on a server.

    Args:
        server: which.
        heartbeats: what is stored there, or is to be.
        groups: what is done.
        seconds: how long at most, without the warm-up.
        warm_up_s: how long to go on before counting.

    Raises:
        LoadError: the server refused something, or answered nothing.
    """
    argv = command(server, heartbeats, groups, seconds, warm_up_s)
    timeout_s = seconds + warm_up_s + _GRACE_S
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired as exc:
        raise LoadError(f"no end after {timeout_s:.0f} s") from exc
    if done.returncode:
        raise LoadError(done.stderr.strip())
    return read_report(json.loads(done.stdout))


def fill(
    server: Server, heartbeats: Heartbeats, bound_s: float, passes: int = 1
) -> Seen:
    """Write every heartbeat, so many times.

    Raises:
        LoadError: the server refused one, or had not taken all within the bound.
    """
    # Few requests of large values: no server has to keep gigabytes of them.
    in_flight = max(1, min(20, 2**20 // heartbeats.value_bytes))
    group = Group("fill", 10, in_flight, limit=heartbeats.keys * passes)
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
        # Those with a rate go on for as long as they are asked to.
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
