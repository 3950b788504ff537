"""The rows of a whole cluster: its start, and its steady load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.jars import MissingError
from benchmarks.load import Group, Heartbeats, fill, load
from benchmarks.plans import Plan
from benchmarks.results import Column, RowResult
from benchmarks.row import (
    READERS,
    TOPOLOGY_WORKERS,
    Always,
    Once,
    latency_figures,
    on_each,
    servers_of,
    warm_up,
)
from benchmarks.servers import Server, running

_PULSE_EVERY_S: Final = 3


@dataclass(frozen=True)
class StartRow(Once, Always):
    """The time from the start of the process to its first reply."""

    name: str = "start"

    def describe(self, plan: Plan) -> RowResult:
        """As `Row`."""
        title = "from the start to the first reply"
        return RowResult(self.name, title, "start")

    def measure(self, plan: Plan, result: RowResult) -> None:
        """As `Row`."""
        for _ in range(plan.starts):
            for name in READERS:
                column = result.columns.setdefault(name, Column())
                try:
                    with running(name) as server:
                        column.add(
                            start_s=server.start_s, rest_bytes=server.resident_bytes()
                        )
                except MissingError as exc:
                    column.note = str(exc)


@dataclass(frozen=True)
class SteadyRow(Once):
    """A cluster's steady load: each worker every 3 s, Nimbus every 10 s.

    With relays, the workers of a supervisor share one connection, that of its relay.

    What it costs when a whole cluster connects at once is not steady, so nothing is
    measured until each worker has sent two pulses.
    """

    name: str
    supervisors: int
    servers: Sequence[str]
    workers_each: int = 10
    # Ten executors (docs/sizing.md says how large heartbeats are).
    value_bytes: int = 5600
    has_relays: bool = False

    @property
    def workers(self) -> int:
        """The number of workers."""
        return self.supervisors * self.workers_each

    @property
    def connections(self) -> int:
        """The number of connections, without that of Nimbus."""
        return self.supervisors if self.has_relays else self.workers

    def fits(self, plan: Plan) -> bool:
        """As `Row`."""
        return self.connections <= plan.most_connections

    def describe(self, plan: Plan) -> RowResult:
        """As `Row`."""
        title = (
            f"{self.supervisors:,} supervisors of {self.workers_each} workers"
            f" with {self.value_bytes:,} bytes: {self.connections:,} connections"
        )
        return RowResult(self.name, title, "steady")

    def measure(self, plan: Plan, result: RowResult) -> None:
        """As `Row`."""
        for name in self.servers:
            with servers_of(result, [name], {}) as servers:
                on_each(result, servers, lambda *each: self._measure(plan, *each))

    def _measure(self, plan: Plan, server: Server, column: Column) -> None:
        workers = self.workers
        stored = Heartbeats(
            workers, self.value_bytes, max(1, workers // TOPOLOGY_WORKERS)
        )
        column.add(rest_bytes=server.resident_bytes())
        groups = [Group("pulse", self.connections, rate_per_s=workers / _PULSE_EVERY_S)]
        if server.name != "floor":
            fill(server, stored, plan.fill_bound_s)
            groups.append(Group("read", 1, rate_per_s=workers / 10))
        if server.wire == "pacemaker" and server.name != "floor":
            groups.append(Group("list", 1, rate_per_s=0.1))
        warm_up(plan, server, stored, [Group("pulse", self.connections)])
        seen = load(
            *(server, stored, groups, plan.steady_seconds),
            warm_up_s=2 * _PULSE_EVERY_S,
        )
        column.add(
            **latency_figures(seen),
            rate_per_s=seen.rate_per_s,
            cores=seen.server_cpu_s / seen.seconds,
            resident_bytes=server.most_resident_bytes(),
        )
