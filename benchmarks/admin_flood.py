"""Measure what a flood of the admin endpoint costs the workers.

    python -m benchmarks.admin_flood [PAIRS] [SECONDS] [ASKERS]

A thousand workers write a heartbeat every 3 s.  Meanwhile an admin endpoint is attacked
by a thousand clients that send part of a request, byte by byte, and connect again when
they are cut off; by a port scan; and, if ASKERS is given, by as many clients that ask
without a pause for the history, the longest page.  In each pair, one run attacks the
endpoint of the workers' own daemon, and the other that of a second daemon with as many
keys.  So both runs share the machine with the attackers.

The bars: the workers' 99th percentile is at most doubled, as the median of the pairs,
and no pulse is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import subprocess
import sys
from collections.abc import Iterator
from typing import Final

from benchmarks.awake import cores_awake
from benchmarks.load import Group, Heartbeats, Seen, fill, load
from benchmarks.native import ROOT
from benchmarks.servers import Server, running
from benchmarks.variants import ADMIN, ADMIN_OPTIONS
from pacemaker.admin.address import AdminAddress

_WORKERS: Final = 1000
_EVERY_S: Final = 3.0
_VALUE_BYTES: Final = 2048
_OTHER: Final = AdminAddress(ADMIN.host, ADMIN.port + 1)
_BAR: Final = 2.0

_DAWDLERS: Final = 1000
_SCANS_PER_S: Final = 200.0
_REQUEST: Final = b"GET /history?format=json HTTP/1.1\r\nHost: localhost\r\nX: "
_BYTE_EVERY_S: Final = 0.5
_AGAIN_S: Final = 0.5


async def _dawdle(host: str, port: int) -> None:
    """Send a request that never ends, slowly, over one connection after another."""
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(host, port)
            with contextlib.closing(writer):
                for at in range(len(_REQUEST)):
                    writer.write(_REQUEST[at : at + 1])
                    with contextlib.suppress(asyncio.TimeoutError):
                        await asyncio.wait_for(reader.read(1), _BYTE_EVERY_S)
                        break
        await asyncio.sleep(_AGAIN_S)


async def _scan(host: str, port: int) -> None:
    """Connect and leave, again and again."""
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
        await asyncio.sleep(1 / _SCANS_PER_S)


async def _ask(host: str, port: int) -> None:
    """Ask for the history and read it, again and again."""
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(host, port)
            with contextlib.closing(writer):
                writer.write(_REQUEST + b"\r\n\r\n")
                await reader.read(-1)


async def attack(host: str, port: int, askers: int) -> None:
    """Flood an endpoint until the process is ended."""
    await asyncio.gather(
        _scan(host, port),
        *(_dawdle(host, port) for _ in range(_DAWDLERS)),
        *(_ask(host, port) for _ in range(askers)),
    )


@contextlib.contextmanager
def _flooded(address: AdminAddress, askers: int) -> Iterator[None]:
    """Run the attackers in a process of their own until the block ends."""
    argv = [sys.executable, "-m", "benchmarks.admin_flood", "--attack"]
    argv += [address.host, str(address.port), str(askers)]
    process = subprocess.Popen(argv, cwd=ROOT)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _measure(
    server: Server, flooded: AdminAddress, seconds: float, askers: int
) -> Seen:
    group = Group("pulse", _WORKERS, rate_per_s=_WORKERS / _EVERY_S)
    with _flooded(flooded, askers):
        stored = Heartbeats(_WORKERS, _VALUE_BYTES)
        return load(server, stored, [group], seconds, warm_up_s=3.0)


def main(pairs: int, seconds: float, askers: int) -> int:
    """Print the ratios; return 1 if a bar is missed."""
    ratios, lost = [], 0
    with (
        running("ours", *ADMIN_OPTIONS) as server,
        running("ours", "--admin", str(_OTHER)) as other,
        cores_awake(),
    ):
        for each in (server, other):
            fill(each, Heartbeats(_WORKERS, _VALUE_BYTES), 60.0)
        for number in range(pairs):
            order = (ADMIN, _OTHER) if number % 2 else (_OTHER, ADMIN)
            seen = {place: _measure(server, place, seconds, askers) for place in order}
            own_us, other_us = (
                seen[place].latencies.percentiles_us["99"] for place in (ADMIN, _OTHER)
            )
            ratios.append(own_us / other_us)
            lost += seen[ADMIN].lost
            sys.stdout.write(f"p99 {other_us:.0f} and {own_us:.0f} us\n")
            sys.stdout.flush()
    median = statistics.median(ratios)
    sys.stdout.write(
        f"latency p99 median {median:.2f} times, from {min(ratios):.2f} to"
        f" {max(ratios):.2f}; the bar is {_BAR}\nlost pulses {lost}; the bar is 0\n"
    )
    return 0 if median <= _BAR and not lost else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--attack"]:
        asyncio.run(attack(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
    else:
        sys.exit(
            main(
                pairs=int(sys.argv[1]) if len(sys.argv) > 1 else 5,
                seconds=float(sys.argv[2]) if len(sys.argv) > 2 else 10.0,
                askers=int(sys.argv[3]) if len(sys.argv) > 3 else 0,
            )
        )
