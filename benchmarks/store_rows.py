"""The rows of a full store: its lists and deletes, its memory, its pauses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from benchmarks.load import Group, Heartbeats, LoadError, fill, load
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
)
from benchmarks.servers import Server

NO_DIRECTORIES: Final = "has no directories"
MEASURED_ENOUGH: Final = "measured with up to 100,000"

# How many topologies are deleted.
_VICTIMS: Final = 20
_LEAST_LISTS: Final = 5
_LARGE_TOPOLOGY: Final = 1000


@dataclass(frozen=True)
class StoreRow:
    """Lists and deletes, in a store with a given number of heartbeats."""

    keys: int
    topologies: int

    @property
    def name(self) -> str:
        """As `Row`."""
        return f"store-{_short(self.keys)}-{_short(self.topologies)}"

    def fits(self, plan: Plan) -> bool:
        """As `Row`."""
        return self.topologies <= self.keys <= plan.most_keys

    def sittings(self, plan: Plan) -> int:
        """As `Row`."""
        return plan.store_sittings

    def describe(self, plan: Plan) -> RowResult:
        """As `Row`."""
        title = f"{self.keys:,} heartbeats in {self.topologies:,} topologies"
        return RowResult(self.name, title, "store")

    def measure(self, plan: Plan, result: RowResult) -> None:
        """As `Row`."""
        refusals = {"redis": NO_DIRECTORIES}
        if self.keys > 100_000:
            refusals["zookeeper"] = MEASURED_ENOUGH
        with servers_of(result, READERS, refusals) as servers:
            on_each(result, servers, lambda *each: self._measure(plan, *each))

    def _measure(self, plan: Plan, server: Server, column: Column) -> None:
        stored = Heartbeats(self.keys, 100, self.topologies)
        fill(server, stored, plan.fill_bound_s)
        lists = load(server, stored, [Group("list", 1)], plan.list_seconds)
        if lists.replies < _LEAST_LISTS:
            # A list takes too long here to be measured for a fixed time.
            group = Group("list", 1, limit=_LEAST_LISTS)
            lists = load(server, stored, [group], plan.fill_bound_s, warm_up_s=0.0)
        if not lists.replies:
            raise LoadError(f"answered no list in {plan.fill_bound_s:.0f} s")
        column.add(
            list_us=lists.latencies.percentiles_us["50"],
            list_p99_us=lists.latencies.percentiles_us["99"],
            list_cpu_us=lists.cpu_us,
        )
        victims = Heartbeats(
            _VICTIMS * TOPOLOGY_WORKERS, 100, _VICTIMS, self.topologies
        )
        fill(server, victims, plan.fill_bound_s)
        group = Group("delete", 1, limit=_VICTIMS)
        deletes = load(server, victims, [group], plan.fill_bound_s, warm_up_s=0.0)
        if not deletes.replies:
            raise LoadError("answered no delete")
        column.add(
            delete_us=deletes.latencies.percentiles_us["50"],
            delete_max_us=deletes.latencies.max_us,
            resident_bytes=server.resident_bytes(),
        )


@dataclass(frozen=True)
class MemoryRow(Once, Always):
    """The resident memory of many heartbeats."""

    name: str
    keys: int
    value_bytes: int
    passes: int = 1
    spread: float = 0.0
    refusals: Mapping[str, str] = field(default_factory=dict)

    def describe(self, plan: Plan) -> RowResult:
        """As `Row`."""
        keys = min(self.keys, plan.most_keys)
        title = f"{keys:,} heartbeats of {self.value_bytes:,} bytes"
        if self.passes > 1:
            title += (
                f", each written {self.passes} times with sizes that vary"
                f" by {self.spread:.0%}"
            )
        return RowResult(self.name, title, "memory")

    def measure(self, plan: Plan, result: RowResult) -> None:
        """As `Row`."""
        keys = min(self.keys, plan.most_keys)
        topologies = max(1, keys // TOPOLOGY_WORKERS)
        stored = Heartbeats(keys, self.value_bytes, topologies, spread=self.spread)
        for name in READERS:
            # Run one server at a time, because each of them gets large.
            with servers_of(result, [name], self.refusals) as servers:
                on_each(
                    result, servers, lambda *each: self._measure(plan, stored, *each)
                )

    def _measure(
        self, plan: Plan, stored: Heartbeats, server: Server, column: Column
    ) -> None:
        column.add(rest_bytes=server.resident_bytes())
        seen = fill(server, stored, plan.fill_bound_s, self.passes)
        column.add(
            resident_bytes=server.resident_bytes(),
            most_resident_bytes=server.most_resident_bytes(),
            content_bytes=seen.content_bytes,
            seconds=seen.seconds,
        )


@dataclass(frozen=True)
class PauseRow(Always):
    """The longest latency under a mixed load, with many heartbeats in the store.

    Workers send pulses, a Nimbus reads and lists, and topologies of 1,000 workers are
    killed.
    """

    name: str = "pause"

    def sittings(self, plan: Plan) -> int:
        """As `Row`."""
        return plan.store_sittings

    def describe(self, plan: Plan) -> RowResult:
        """As `Row`."""
        keys = plan.most_keys
        title = f"the longest pause under load, with {keys:,} heartbeats stored"
        return RowResult(self.name, title, "pause")

    def measure(self, plan: Plan, result: RowResult) -> None:
        """As `Row`."""
        for name in ("ours", "jvm"):
            with servers_of(result, [name], {}) as servers:
                on_each(result, servers, lambda *each: self._measure(plan, *each))

    def _measure(self, plan: Plan, server: Server, column: Column) -> None:
        keys = plan.most_keys
        topologies = max(1, keys // _LARGE_TOPOLOGY)
        stored = Heartbeats(keys, 100, topologies, delete_from=topologies)
        fill(server, stored, plan.fill_bound_s)
        killed = int(plan.steady_seconds) + 1
        victims = Heartbeats(killed * _LARGE_TOPOLOGY, 100, killed, topologies)
        fill(server, victims, plan.fill_bound_s)
        groups = [
            Group("pulse", 100, rate_per_s=3000),
            Group("read", 1, rate_per_s=900),
            Group("list", 1, rate_per_s=1),
            Group("delete", 1, rate_per_s=1, limit=killed),
        ]
        seen = load(server, stored, groups, plan.steady_seconds)
        column.add(**latency_figures(seen), rate_per_s=seen.rate_per_s)


def _short(count: int) -> str:
    for unit, size in (("m", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count // size}{unit}"
    return str(count)
