"""The rows of requests: throughput and latency of each kind, and of a mix."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from benchmarks.awake import cores_awake
from benchmarks.load import WARM_UP_S, Group, Heartbeats, LoadError, fill, load
from benchmarks.plans import Plan
from benchmarks.results import Column, RowResult
from benchmarks.row import latency_figures, on_each, servers_of, warm_up
from benchmarks.servers import Server

Work = Callable[[float], Sequence[Group]]
"""Returns the groups of a load for a rate in requests per second; 0 is saturation."""

ALL_SERVERS: Final = ("ours", "jvm", "zookeeper", "redis", "floor")

# Of 13 requests in a cluster, 10 are pulses and 3 are reads: each worker sends a pulse
# every 3 s, and Nimbus reads it every 10 s.
_PULSE_SHARE: Final = 10 / 13


@dataclass(frozen=True)
class RequestRow:
    """Requests: each server at saturation, then all of them at the same rate.

    Attributes:
        name: as `Row`.
        title: its title in the tables.
        heartbeats: the heartbeats that are stored before.
        work: the requests.
        servers: the servers to measure.
        refusals: the servers that cannot serve these requests, each with the reason.
    """

    name: str
    title: str
    heartbeats: Heartbeats
    work: Work
    servers: Sequence[str] = ALL_SERVERS
    refusals: Mapping[str, str] = field(default_factory=dict)

    def fits(self, plan: Plan) -> bool:
        """As `Row`."""
        connections = sum(group.connections for group in self.work(0))
        return connections <= plan.most_connections

    def sittings(self, plan: Plan) -> int:
        """As `Row`."""
        return plan.sittings

    def describe(self, plan: Plan) -> RowResult:
        """As `Row`."""
        return RowResult(self.name, self.title, "requests")

    def measure(self, plan: Plan, result: RowResult) -> None:
        """As `Row`."""
        with servers_of(result, self.servers, self.refusals) as servers:
            on_each(result, servers, lambda *each: self._begin(plan, *each))
            for _ in range(plan.rounds):
                on_each(result, servers, lambda *each: self._saturate(plan, *each))
            rate_per_s = _rate_per_s(result)
            with cores_awake():
                for _ in range(plan.rate_rounds):
                    on_each(
                        result,
                        servers,
                        lambda *each: self._at_rate(plan, rate_per_s, *each),
                    )

    def _begin(self, plan: Plan, server: Server, column: Column) -> None:
        column.add(rest_bytes=server.resident_bytes())
        if server.name != "floor":
            fill(server, self.heartbeats, plan.fill_bound_s)
        warm_up(plan, server, self.heartbeats, self.work(0))

    def _saturate(self, plan: Plan, server: Server, column: Column) -> None:
        seen = load(server, self.heartbeats, self.work(0), plan.seconds)
        if not seen.replies:
            raise LoadError(f"answered nothing in {plan.seconds} s")
        column.add(
            throughput_per_s=seen.rate_per_s,
            cpu_us=seen.cpu_us,
            saturated_p99_us=seen.latencies.percentiles_us["99"],
            saturated_max_us=seen.latencies.max_us,
            written_bytes_per_request=seen.written_bytes / seen.replies,
            resident_bytes=server.resident_bytes(),
            generator_cpu_share=seen.generator_cpu_s / seen.seconds,
        )

    def _at_rate(
        self, plan: Plan, rate_per_s: float, server: Server, column: Column
    ) -> None:
        groups = self.work(rate_per_s)
        seconds = plan.seconds_at(rate_per_s)
        warm_up_s = max(WARM_UP_S, *map(_settled_s, groups))
        seen = load(server, self.heartbeats, groups, seconds, warm_up_s)
        column.add(rate_per_s=rate_per_s, **latency_figures(seen))


def _settled_s(group: Group) -> float:
    """Return when each connection has sent two requests.

    The first ones on a connection cost more, ours above all: it logs the peer, and
    prepares the fast path when the second pulse arrives.  A worker's connection lasts
    for days.
    """
    return 2 * group.connections / group.rate_per_s


def _rate_per_s(result: RowResult) -> float:
    """Return half of the slowest server's throughput in the first sitting.

    All servers and all later sittings have this rate.
    """
    firsts = [
        column.rounds.get("rate_per_s") or [column.figures["throughput_per_s"] / 2]
        for column in result.columns.values()
        if not column.note
    ]
    return min((rates[0] for rates in firsts), default=0.0)


def one_kind(work: str, connections: int, in_flight: int = 1) -> Work:
    """Return the work of connections that all send the same kind of request."""

    def groups(rate_per_s: float) -> Sequence[Group]:
        return [Group(work, connections, in_flight, rate_per_s)]

    return groups


def mix(workers: int, readers: int) -> Work:
    """Return the work of a cluster: workers pulse, a Nimbus reads and lists."""

    def groups(rate_per_s: float) -> Sequence[Group]:
        return [
            Group("pulse", workers, 1, rate_per_s * _PULSE_SHARE),
            Group("read", readers, 1, rate_per_s * (1 - _PULSE_SHARE)),
            # Nimbus lists every 10 s; this is often enough for the lists to be seen.
            Group("list", 1, 1, 10.0),
        ]

    return groups
