"""Requests at saturation: the floor, our daemon, the JVM's Pacemaker, in turn.

    python -m benchmarks.pulses [--seconds S] [--rounds N] [--io-threads N,N] [ROW ...]

Each row is measured on each server in turn, round by round, so that a machine
that is slower for a while is slower for all; medians are shown, and the CPU
time of the server process for each request as a ratio to the floor's.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from benchmarks.servers import Load, Server, floor, load, ours
from tests.real.daemons import JvmDaemon


class Row(NamedTuple):
    """A kind of load: so many connections, requests in flight on each, and bytes."""

    connections: int
    in_flight: int
    value_bytes: int
    mode: str = "pulse"


ROWS = {
    "2k-100": Row(100, 1, 2048),
    "2k-2000": Row(2000, 1, 2048),
    "2k-50-in-flight": Row(100, 50, 2048),
    "32k-100": Row(100, 1, 32 * 1024),
    "1m-20": Row(20, 1, 1024 * 1024),
    "read-100": Row(100, 1, 2048, "read"),
}


@contextmanager
def jvm() -> Iterator[Server]:
    """Run the JVM's own Pacemaker with its default options."""
    with JvmDaemon() as daemon:
        yield Server("Storm's JVM", daemon.pid, daemon.address[1])


def main() -> int:
    """Measure the rows that were asked for, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pulses")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--io-threads", default="1")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    wanted = parser.parse_args()
    unknown = [name for name in wanted.rows if name not in ROWS]
    if unknown:
        parser.error(f"no row {', '.join(unknown)}; there are {', '.join(ROWS)}")
    with ExitStack() as stack:
        servers = {"floor": stack.enter_context(floor())}
        for threads in wanted.io_threads.split(","):
            server = stack.enter_context(ours("--io-threads", threads))
            servers[f"ours, {threads} I/O thread(s)"] = server
        servers["Storm's JVM"] = stack.enter_context(jvm())
        for name in wanted.rows or ROWS:
            _measure(name, servers, wanted.rounds, wanted.seconds)
    return 0


def _measure(
    name: str, servers: dict[str, Server], rounds: int, seconds: float
) -> None:
    row = ROWS[name]
    if row.mode == "read":
        # Something to read, of the right size, whatever was measured before.
        for server in servers.values():
            load(server, row.connections, 1, row.value_bytes, 0.5)
    seen: dict[str, list[Load]] = {each: [] for each in servers}
    for _ in range(rounds):
        for each, server in servers.items():
            # The floor gives every request the reply to a pulse.
            if each != "floor" or row.mode == "pulse":
                seen[each].append(
                    load(
                        server,
                        row.connections,
                        row.in_flight,
                        row.value_bytes,
                        seconds,
                        mode=row.mode,
                    )
                )
    sys.stdout.write(f"\n{name}\n")
    base_us = _median([each.cpu_us_per_request for each in seen["floor"]])
    for each, loads in seen.items():
        if loads:
            sys.stdout.write(_line(each, loads, base_us, servers[each]))
    sys.stdout.flush()


def _line(name: str, loads: Sequence[Load], base_us: float, server: Server) -> str:
    cpu_us = _median([each.cpu_us_per_request for each in loads])
    ratio = f"{cpu_us / base_us:5.2f} x" if base_us else "       "
    return (
        f"  {name:22}{_median([each.rate_per_s for each in loads]):9.0f}/s"
        f" {cpu_us:8.1f} us CPU {ratio}"
        f"   p50 {_median([each.p50_us for each in loads]) / 1000:7.2f}"
        f"  p99 {_median([each.p99_us for each in loads]) / 1000:7.2f}"
        f"  largest {max(each.max_us for each in loads) / 1000:7.1f} ms"
        f"  {server.resident_bytes() / 2**20:5.0f} MiB\n"
    )


def _median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else 0.0


if __name__ == "__main__":
    sys.exit(main())
