"""Measure the cost of the history and of the admin endpoint with a scrape each second.

    python -m benchmarks.inside [PAIRS] [SECONDS]

Each pair consists of a daemon with `--admin`, a history and a scrape each second, and a
daemon with `--no-history` and no endpoint.  Both get the same load: the next pulse is
sent as soon as one is answered.  Which of them is first alternates.  Finally each
stores 15,000 keys, and its memory is measured at rest.

The bars, as the median of the ratios between the two: CPU time for each pulse at most
1.03, the 99.9th percentile of the latency at most 1.5; and at most 10 MiB more memory.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
from typing import NamedTuple

from benchmarks.load import Group, Heartbeats, load
from benchmarks.servers import running
from benchmarks.variants import ADMIN_OPTIONS, scraped

CONNECTIONS = 200
VALUE_BYTES = 2048
QUIET_KEYS = 15_000
CPU_BAR, LATENCY_BAR, MEMORY_BAR_MIB = 1.03, 1.5, 10.0
OUTSIDE = ("--no-history",)


class Cost(NamedTuple):
    """The cost of one run."""

    cpu_us: float
    p999_us: float


def cost(is_inside: bool, seconds: float) -> Cost:
    """Run the load against a new daemon."""
    options = ADMIN_OPTIONS if is_inside else OUTSIDE
    group = Group("pulse", CONNECTIONS)
    with running("ours", *options) as server, contextlib.ExitStack() as around:
        if is_inside:
            around.enter_context(scraped())
        seen = load(server, Heartbeats(CONNECTIONS, VALUE_BYTES, 5), [group], seconds)
    return Cost(seen.cpu_us, seen.latencies.percentiles_us["99.9"])


def memory_mib(is_inside: bool) -> float:
    """Return the resident memory of a daemon with many quiet keys."""
    options = ADMIN_OPTIONS if is_inside else OUTSIDE
    stored = Heartbeats(QUIET_KEYS, VALUE_BYTES, 100)
    with running("ours", *options) as server:
        load(server, stored, [Group("fill", 50, limit=QUIET_KEYS)], 60)
        return server.resident_bytes() / 2**20


def main() -> int:
    """Print the ratios; return 1 if a bar is missed."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 10.0
    cpu, latency = [], []
    for number in range(pairs):
        order = (False, True) if number % 2 else (True, False)
        found = {is_inside: cost(is_inside, seconds) for is_inside in order}
        cpu.append(found[True].cpu_us / found[False].cpu_us)
        latency.append(found[True].p999_us / found[False].p999_us)
        sys.stdout.write(
            f"CPU {found[False].cpu_us:.2f} and {found[True].cpu_us:.2f} us a pulse,"
            f" p99.9 {found[False].p999_us:.0f} and {found[True].p999_us:.0f} us\n"
        )
        sys.stdout.flush()
    more_mib = memory_mib(True) - memory_mib(False)
    sys.stdout.write(
        f"CPU time      median {statistics.median(cpu):.3f} times,"
        f" from {min(cpu):.3f} to {max(cpu):.3f}; the bar is {CPU_BAR}\n"
        f"latency p99.9 median {statistics.median(latency):.3f} times,"
        f" from {min(latency):.3f} to {max(latency):.3f}; the bar is {LATENCY_BAR}\n"
        f"memory        {more_mib:.1f} MiB more for {QUIET_KEYS} keys; the bar is"
        f" {MEMORY_BAR_MIB}\n"
    )
    is_met = (
        statistics.median(cpu) <= CPU_BAR
        and statistics.median(latency) <= LATENCY_BAR
        and more_mib <= MEMORY_BAR_MIB
    )
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
