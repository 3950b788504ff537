"""What the store takes for many heartbeats, as resident memory of a process.

    python -m benchmarks.memory small     a million of 100 bytes
    python -m benchmarks.memory usual     100,000 of 2 KiB, each written ten times

The keys are those of topologies of 100 workers; sizes of the usual ones vary by
30 % from one write to the next.
"""

from __future__ import annotations

import random
import re
import sys
from pathlib import Path

from pacemaker.store import Store


def main() -> int:
    """Fill a store, and print what it takes beside what is in it."""
    kinds = {"small": (1_000_000, 100, 1), "usual": (100_000, 2048, 10)}
    if len(sys.argv) != 2 or sys.argv[1] not in kinds:
        sys.stderr.write("usage: python -m benchmarks.memory small|usual\n")
        return 2
    count, value_bytes, rounds = kinds[sys.argv[1]]
    store, chance = Store(), random.Random(1)  # noqa: S311  (no secret)
    content_bytes = 0
    for _ in range(rounds):
        content_bytes = 0
        for number in range(count):
            key = _key(number)
            spread = chance.uniform(0.7, 1.3) if rounds > 1 else 1.0
            value = bytes(int(value_bytes * spread))
            store.put(key, value)
            content_bytes += len(key) + len(value)
    resident_bytes = _resident_bytes()
    sys.stdout.write(
        f"{count} heartbeats: keys and values {content_bytes / 2**20:.0f} MiB,"
        f" resident {resident_bytes / 2**20:.0f} MiB,"
        f" {resident_bytes / content_bytes:.2f} times;"
        f" the budget counts {store.used_bytes / 2**20:.0f} MiB\n"
    )
    return 0


def _key(number: int) -> str:
    topology, worker = divmod(number, 100)
    return (
        f"/workerbeats/topology-{topology}-{topology + 1}-1700000000/"
        f"{number // 10:08x}-9e6e-4b6e-8a53-1a2b3c4d5e6f-{6700 + worker % 10}"
    )


def _resident_bytes() -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0


if __name__ == "__main__":
    sys.exit(main())
