"""Simulate whole clusters, and measure what they cost our daemon and the JVM's.

    python -m benchmarks.cluster_load [--seconds S] [--write] [SHAPE ...]

A SHAPE is SUPERVISORSxWORKERSxEXECUTORS.  Each cluster is simulated twice in one run:
with our daemon, and with the JVM's Pacemaker and its default options, both just
started.  A short run before each measured one lets the JVM compile its code.  --write
replaces the table in docs/sizing.md by the results.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.machine import describe_python
from benchmarks.servers import KINDS, Server, running

SHAPES = (
    "10x4x10",
    "270x10x4",
    "270x10x10",
    "270x10x28",
    "500x10x10",
    "1500x10x4",
    "1500x10x10",
)
WARM_UP_S = 12.0
PAGE = Path(__file__).parent.parent / "docs" / "sizing.md"
_TABLE = re.compile(r"(<!-- table -->\n).*?(<!-- end -->)", re.DOTALL)
_HEAD = (
    "| supervisors x workers x executors | pulses/s, size | | CPU, of one core"
    " | resident memory | to the server, from it | p50, p99, largest"
    " | late, lost | Nimbus's round |\n"
    "|---|---|---|---|---|---|---|---|---|\n"
)


class Seen(NamedTuple):
    """The results of one simulation on one server."""

    server: str
    report: dict[str, Any]


def main() -> int:
    """Measure the requested shapes, or all; return 1 if a verdict was not "yes"."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster_load")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.name}")
    parser.add_argument("shapes", nargs="*", metavar="SHAPE", default=SHAPES)
    wanted = parser.parse_args()
    rows = []
    all_well = True
    for shape in wanted.shapes:
        if not re.fullmatch(r"\d+x\d+x\d+", shape):
            parser.error(
                f"{shape!r} must be SUPERVISORSxWORKERSxEXECUTORS, such as 270x10x10"
            )
        seen = [_measure(shape, wanted.seconds, name) for name in ("ours", "jvm")]
        for each in seen:
            all_well &= each.report["verdict"] == "carries"
            rows.append(_row(shape, each))
            sys.stdout.write(rows[-1])
        sys.stdout.write(_ratios(*(each.report for each in seen)))
        sys.stdout.flush()
    if wanted.write:
        _write(rows, wanted.seconds)
    return 0 if all_well else 1


def _measure(shape: str, seconds: float, name: str) -> Seen:
    with running(name) as server:
        _simulate(shape, WARM_UP_S, server)
        return Seen(KINDS[name].label, _simulate(shape, seconds, server))


def _simulate(shape: str, seconds: float, server: Server) -> dict[str, Any]:
    supervisors, workers, executors = shape.split("x")
    argv = [sys.executable, "-m", "pacemaker", "simulate", "--json"]
    argv += ["--server", f"127.0.0.1:{server.port}", "--duration", str(seconds)]
    argv += ["--supervisors", supervisors, "--workers", workers]
    argv += ["--executors", executors]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False)
    if not done.stdout:
        raise RuntimeError(f"simulate failed with exit code {done.returncode}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def _row(shape: str, seen: Seen) -> str:
    report, use = seen.report, seen.report["server_use"]
    pulses = report["pulses"]
    late = pulses["late"] + report["reads"]["late"]
    times = (pulses["p50_s"], pulses["p99_s"], pulses["max_s"])
    cells = (
        shape.replace("x", " x "),
        f"{report['pulses_per_s']:,.0f}, {report['value_bytes'] / 1e3:.1f} kB",
        seen.server,
        f"{use['cpu_share']:.1%}",
        f"{use['resident_bytes'] / 2**20:.0f} MiB",
        f"{report['sent_bytes_per_s'] / 1e6:.2f},"
        f" {report['rcvd_bytes_per_s'] / 1e6:.2f} MB/s",
        ", ".join(f"{1000 * each_s:.1f}" for each_s in times) + " ms",
        f"{late}, {report['lost']}"
        + (" (the generator fell behind)" if report["verdict"] == "unknown" else ""),
        f"{report['rounds']['p50_s']:.2f} s",
    )
    return f"| {' | '.join(cells)} |\n"


def _ratios(ours_found: dict[str, Any], jvm_found: dict[str, Any]) -> str:
    mine, theirs = ours_found["server_use"], jvm_found["server_use"]
    return (
        f"  CPU time {mine['cpu_share'] / theirs['cpu_share']:.2f} of the JVM's,"
        f" memory {mine['resident_bytes'] / theirs['resident_bytes']:.2f}\n"
    )


def _write(rows: Iterable[str], seconds: float) -> None:
    note = (
        f"{seconds:.0f} s each, {os.cpu_count()} cores shared by server and"
        f" simulation, over loopback; {describe_python()}.\n"
    )
    table = f"{note}\n{_HEAD}{''.join(rows)}"
    text = PAGE.read_text()
    PAGE.write_text(_TABLE.sub(lambda match: match[1] + table + match[2], text))


if __name__ == "__main__":
    sys.exit(main())
