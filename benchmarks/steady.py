"""Measure whether one daemon carries a cluster of 5,000 workers, and what that costs.

    python -m benchmarks.steady [SECONDS]

Each worker has a connection of its own and sends 2 KiB every 3 s.  The pulses are
evenly spread, which makes 1,667 a second.  A latency counts from the scheduled time of
a pulse.  The bar: every pulse is answered, p99 is under 20 ms, and the daemon needs at
most 8 KiB of memory for each connection in addition to its value.
"""

from __future__ import annotations

import sys

from benchmarks.load import Group, Heartbeats, load
from benchmarks.servers import running

CONNECTIONS = 5000
EVERY_S = 3
VALUE_BYTES = 2048
P99_BAR_US = 20_000
MEMORY_BAR_BYTES = 8 * 1024


def main() -> int:
    """Run the load and print its cost; return 1 if the bar is missed."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    stored = Heartbeats(CONNECTIONS, VALUE_BYTES, 50)
    with running("ours") as server:
        at_rest_bytes = server.resident_bytes()
        rate_per_s = CONNECTIONS / EVERY_S
        group = Group("pulse", CONNECTIONS, rate_per_s=rate_per_s)
        seen = load(server, stored, [group], seconds)
        most_bytes = server.most_resident_bytes()
    each_bytes = (most_bytes - at_rest_bytes) / CONNECTIONS - VALUE_BYTES
    p50_us = seen.latencies.percentiles_us["50"]
    p99_us = seen.latencies.percentiles_us["99"]
    sys.stdout.write(
        f"{CONNECTIONS} connections, a pulse of {VALUE_BYTES} bytes from each every"
        f" {EVERY_S} s, for {seconds:.0f} s\n"
        f"pulses answered     {seen.replies} of {seen.replies + seen.lost}\n"
        f"latency             p50 {p50_us / 1000:.2f} ms, p99"
        f" {p99_us / 1000:.2f} ms, largest {seen.latencies.max_us / 1000:.2f} ms\n"
        f"CPU time            {seen.cpu_us:.1f} us a pulse,"
        f" {seen.cpu_us * seen.rate_per_s / 1e4:.1f} % of a core\n"
        f"resident memory     {at_rest_bytes / 2**20:.1f} MiB at rest,"
        f" {most_bytes / 2**20:.1f} MiB under load\n"
        f"for each connection {each_bytes / 1024:.1f} KiB beyond its value\n"
    )
    is_met = not seen.lost and p99_us < P99_BAR_US and each_bytes <= MEMORY_BAR_BYTES
    sys.stdout.write("the bar is met\n" if is_met else "the bar is MISSED\n")
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
