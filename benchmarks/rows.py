"""The rows: what is measured, and on which servers; `row` defines what a row is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from benchmarks.awake import cores_awake
from benchmarks.jars import MissingError
from benchmarks.load import Group, Heartbeats, LoadError, fill, load
from benchmarks.plans import Plan
from benchmarks.results import Column, RowResult
from benchmarks.row import (
    Always,
    Once,
    Row,
    latency_figures,
    on_each,
    servers_of,
    warm_up,
)
from benchmarks.servers import KINDS, Server, running
from benchmarks.variants import ADMIN_OPTIONS, RelayRow, VariantsRow

Work = Callable[[float], Sequence[Group]]
"""Returns the groups of a load for a rate in requests per second; 0 is saturation."""

_ALL: Final = ("ours", "jvm", "zookeeper", "redis", "floor")
_READERS: Final = ("ours", "jvm", "zookeeper", "redis")
_NO_DIRECTORIES: Final = "has no directories"
_ENOUGH: Final = "measured with up to 100,000"
_ONE_REPLY: Final = "only has the reply to a pulse"

# Of 13 requests in a cluster, 10 are pulses and 3 are reads: each worker sends a pulse
# every 3 s, and Nimbus reads it every 10 s.
_PULSE_SHARE: Final = 10 / 13

# The workers of a topology whose delete is measured, and the number of such topologies.
_WORKERS: Final = 100
_VICTIMS: Final = 20
_LEAST_LISTS: Final = 5
_LARGE_TOPOLOGY: Final = 1000


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
    servers: Sequence[str] = _ALL
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
        seen = load(server, self.heartbeats, groups, seconds)
        column.add(rate_per_s=rate_per_s, **latency_figures(seen))


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


def _one_kind(work: str, connections: int, in_flight: int = 1) -> Work:
    def groups(rate_per_s: float) -> Sequence[Group]:
        return [Group(work, connections, in_flight, rate_per_s)]

    return groups


def _mix(workers: int, readers: int) -> Work:
    def groups(rate_per_s: float) -> Sequence[Group]:
        return [
            Group("pulse", workers, 1, rate_per_s * _PULSE_SHARE),
            Group("read", readers, 1, rate_per_s * (1 - _PULSE_SHARE)),
            # Nimbus lists every 10 s; this is often enough for the lists to be seen.
            Group("list", 1, 1, 10.0),
        ]

    return groups


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
        refusals = {"redis": _NO_DIRECTORIES}
        if self.keys > 100_000:
            refusals["zookeeper"] = _ENOUGH
        with servers_of(result, _READERS, refusals) as servers:
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
        victims = Heartbeats(_VICTIMS * _WORKERS, 100, _VICTIMS, self.topologies)
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
        topologies = max(1, keys // _WORKERS)
        stored = Heartbeats(keys, self.value_bytes, topologies, spread=self.spread)
        for name in _READERS:
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
            for name in _READERS:
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
        stored = Heartbeats(workers, self.value_bytes, max(1, workers // _WORKERS))
        column.add(rest_bytes=server.resident_bytes())
        groups = [Group("pulse", self.connections, rate_per_s=workers / 3)]
        if server.name != "floor":
            fill(server, stored, plan.fill_bound_s)
            groups.append(Group("read", 1, rate_per_s=workers / 10))
        if server.wire == "pacemaker" and server.name != "floor":
            groups.append(Group("list", 1, rate_per_s=0.1))
        warm_up(plan, server, stored, [Group("pulse", self.connections)])
        seen = load(server, stored, groups, plan.steady_seconds)
        column.add(
            **latency_figures(seen),
            rate_per_s=seen.rate_per_s,
            cores=seen.server_cpu_s / seen.seconds,
            resident_bytes=server.most_resident_bytes(),
        )


def _short(count: int) -> str:
    for unit, size in (("m", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count // size}{unit}"
    return str(count)


_KIB: Final = 1024

ROWS: Final[Sequence[Row]] = (
    RequestRow(
        "2k-100",
        "pulses of 2 KiB, 100 connections",
        Heartbeats(100, 2 * _KIB),
        _one_kind("pulse", 100),
    ),
    RequestRow(
        "2k-2000",
        "pulses of 2 KiB, 2,000 connections",
        Heartbeats(2000, 2 * _KIB),
        _one_kind("pulse", 2000),
    ),
    RequestRow(
        "2k-100-deep",
        "the same, 100 connections, 50 in flight on each",
        Heartbeats(100, 2 * _KIB),
        _one_kind("pulse", 100, 50),
    ),
    RequestRow(
        "2k-2000-deep",
        "the same, 2,000 connections, 50 in flight on each",
        Heartbeats(2000, 2 * _KIB),
        _one_kind("pulse", 2000, 50),
    ),
    RequestRow(
        "32k-100",
        "pulses of 32 KiB, 100 connections",
        Heartbeats(100, 32 * _KIB),
        _one_kind("pulse", 100),
    ),
    RequestRow(
        "1m-20",
        "pulses of 1 MiB, 20 connections",
        Heartbeats(20, _KIB * _KIB),
        _one_kind("pulse", 20),
        refusals={"zookeeper": "only accepts less than 1 MiB (jute.maxbuffer)"},
    ),
    RequestRow(
        "read-100",
        "reads of 2 KiB, 100 connections",
        Heartbeats(100, 2 * _KIB),
        _one_kind("read", 100),
        refusals={"floor": _ONE_REPLY},
    ),
    RequestRow(
        "round",
        "Nimbus's round: 15,000 heartbeats of 5,300 bytes, one read after another",
        Heartbeats(15_000, 5300, 150),
        _one_kind("read", 1),
        refusals={"floor": _ONE_REPLY},
    ),
    RequestRow(
        "mix",
        "the mix of a cluster: 200 connections pulse, 60 read, one lists",
        Heartbeats(200, 2 * _KIB, 20),
        _mix(200, 60),
        refusals={"floor": _ONE_REPLY, "redis": _NO_DIRECTORIES},
    ),
    *(
        StoreRow(keys, topologies)
        for topologies in (10, 1000)
        for keys in (1000, 100_000, 1_000_000)
    ),
    MemoryRow(
        "memory-100",
        1_000_000,
        100,
        refusals={"zookeeper": _ENOUGH},
    ),
    MemoryRow("memory-2k", 100_000, 2 * _KIB, passes=10, spread=0.3),
    PauseRow(),
    StartRow(),
    SteadyRow("cluster-270", 270, ("ours", "jvm", "zookeeper")),
    # As many connections as one process may have here, with the servers that accept
    # them.
    SteadyRow("cluster-1500", 1500, ("ours", "jvm", "redis", "floor")),
    SteadyRow("relays-5000", 5000, ("ours",), value_bytes=2 * _KIB, has_relays=True),
    RelayRow("relay-10", 10),
    RelayRow("relay-100", 100),
    VariantsRow(
        "io-threads",
        "pulses of 2 KiB, 100 connections",
        {str(count): ("--io-threads", str(count)) for count in (1, 2, 4, 8)},
    ),
    VariantsRow(
        "inside",
        "pulses of 2 KiB, 100 connections",
        {
            "with its defaults": (),
            "without history": ("--no-history",),
            "with an endpoint, scraped each second": ADMIN_OPTIONS,
        },
    ),
)
"""All rows, in the order in which they are measured and shown."""

assert KINDS.keys() >= set(_ALL)  # noqa: S101
