"""Rows that compare the daemon with itself: options, and a relay in front of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from benchmarks.awake import cores_awake
from benchmarks.load import Group, Heartbeats, Seen, load
from benchmarks.plans import Plan
from benchmarks.results import Column, RowResult
from benchmarks.row import Always, latency_figures
from benchmarks.servers import Server, running
from pacemaker.admin.address import AdminAddress
from pacemaker.admin.client import fetch_page

# Below the range of ports that clients get (`ip_local_port_range`).
ADMIN: Final = AdminAddress("127.0.0.1", 16698)
ADMIN_OPTIONS: Final = ("--admin", str(ADMIN))
_SCRAPE_EVERY_S: Final = 1.0

_VALUE_BYTES: Final = 2048
_CONNECTIONS: Final = 100
# The rate of pulses in the relay's row: far below the maximum of each process.
_RELAY_RATE_PER_S: Final = 1000.0
# Nimbus reads one heartbeat after another, slower than this.
_READ_RATE_PER_S: Final = 100.0
# A worker of Storm writes this often.
_WORKER_PERIOD_S: Final = 3.0

DIRECTLY: Final = "directly"
RELAYED: Final = "through a relay"


@contextmanager
def scraped() -> Iterator[None]:
    """Ask the daemon at `ADMIN` for its metrics each second while the block runs."""
    is_over = threading.Event()

    def scrape() -> None:
        while not is_over.wait(_SCRAPE_EVERY_S):
            fetch_page(ADMIN, "/metrics", _SCRAPE_EVERY_S * 5)

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


@dataclass(frozen=True)
class VariantsRow(Always):
    """The same load on our daemon with different options.

    Attributes:
        name: as `Row`.
        title: its title in the tables.
        variants: the options, by the variant's name.
    """

    name: str
    title: str
    variants: Mapping[str, Sequence[str]]

    def sittings(self, plan: Plan) -> int:
        """As `Row`."""
        return plan.sittings

    def describe(self, plan: Plan) -> RowResult:
        """As `Row`."""
        return RowResult(self.name, self.title, "variants")

    def measure(self, plan: Plan, result: RowResult) -> None:
        """As `Row`."""
        with ExitStack() as stack:
            servers = {
                label: stack.enter_context(running("ours", *options))
                for label, options in self.variants.items()
            }
            for _ in range(plan.rounds):
                for label, server in servers.items():
                    column = result.columns.setdefault(label, Column())
                    column.add(**self._measure(plan, label, server))

    def _measure(self, plan: Plan, label: str, server: Server) -> dict[str, float]:
        group = Group("pulse", _CONNECTIONS)
        with ExitStack() as around:
            if self.variants[label] == ADMIN_OPTIONS:
                around.enter_context(scraped())
            stored = Heartbeats(_CONNECTIONS, _VALUE_BYTES)
            seen = load(server, stored, [group], plan.seconds)
        return {
            "throughput_per_s": seen.rate_per_s,
            "cpu_us": seen.cpu_us,
            "saturated_p99_us": seen.latencies.percentiles_us["99"],
        }


@dataclass(frozen=True)
class RelayRow(Always):
    """The workers of one host and a Nimbus, directly and through their relay.

    Attributes:
        name: as `Row`.
        workers: the number of workers on the host, each with a connection.
    """

    name: str
    workers: int

    def sittings(self, plan: Plan) -> int:
        """As `Row`."""
        return plan.sittings

    def describe(self, plan: Plan) -> RowResult:
        """As `Row`."""
        title = f"heartbeats of 2 KiB of a host with {self.workers} workers"
        return RowResult(self.name, title, "relay")

    def measure(self, plan: Plan, result: RowResult) -> None:
        """As `Row`."""
        with running("ours") as pacemaker:
            upstream = ("--to", f"127.0.0.1:{pacemaker.port}")
            with running("relay", *upstream) as relay, cores_awake():
                direct = result.columns.setdefault(DIRECTLY, Column())
                relayed = result.columns.setdefault(RELAYED, Column())
                self._measure_pulses(plan, pacemaker, pacemaker, direct)
                seen = self._measure_pulses(plan, relay, pacemaker, relayed)
                relayed.add(relay_cpu_us=seen.cpu_us)
                self._measure_pace(plan, relay, relayed)
                self._measure_reads(plan, pacemaker, direct)
                self._measure_reads(plan, relay, relayed)

    @property
    def _stored(self) -> Heartbeats:
        return Heartbeats(self.workers, _VALUE_BYTES)

    def _measure_pace(self, plan: Plan, relay: Server, column: Column) -> None:
        """Measure a relay's CPU use and memory under the usual load of a host."""
        rate_per_s = self.workers / _WORKER_PERIOD_S
        group = Group("pulse", self.workers, rate_per_s=rate_per_s)
        seen = load(relay, self._stored, [group], plan.steady_seconds)
        column.add(
            cores=seen.server_cpu_s / seen.seconds,
            resident_bytes=relay.most_resident_bytes(),
        )

    def _measure_reads(self, plan: Plan, asked: Server, column: Column) -> None:
        group = Group("read", 1, rate_per_s=_READ_RATE_PER_S)
        seen = load(asked, self._stored, [group], plan.steady_seconds)
        column.add(read_p99_us=seen.latencies.percentiles_us["99"])

    def _measure_pulses(
        self, plan: Plan, asked: Server, pacemaker: Server, column: Column
    ) -> Seen:
        stored = self._stored
        group = Group("pulse", self.workers, rate_per_s=_RELAY_RATE_PER_S)
        seconds = plan.seconds_at(_RELAY_RATE_PER_S)
        # Warm up separately: with the generator's own warm-up, CPU time would include
        # pulses that are not counted.
        load(asked, stored, [group], plan.warm_up_s, warm_up_s=0.0)
        before_s = pacemaker.cpu_s()
        seen = load(asked, stored, [group], seconds, warm_up_s=0.0)
        used_s = pacemaker.cpu_s() - before_s
        column.add(
            **latency_figures(seen),
            rate_per_s=seen.rate_per_s,
            pacemaker_cpu_us=used_s / max(1, seen.replies) * 1e6,
        )
        return seen
