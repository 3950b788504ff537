"""The servers and the load generator of the benchmarks, and what they cost."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

FOLDER = Path(__file__).parent
BUILD = FOLDER.parent / "build" / "benchmarks"
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Server:
    """A server process under load."""

    name: str
    pid: int
    port: int

    def cpu_s(self) -> float:
        """Return the CPU time that the process has used, in user and kernel."""
        stat = Path(f"/proc/{self.pid}/stat").read_text()
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S

    def resident_bytes(self) -> int:
        """Return the resident memory of the process."""
        return self._status_bytes("VmRSS")

    def most_resident_bytes(self) -> int:
        """Return the most resident memory that the process has ever had."""
        return self._status_bytes("VmHWM")

    def _status_bytes(self, name: str) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(rf"{name}:\s+(\d+) kB", status)
        if found is None:
            raise RuntimeError(f"no {name}: {self.name} is gone")
        return int(found[1]) * 1024


@dataclass(frozen=True)
class Load:
    """What the load generator saw; see `load.c`.

    Attributes:
        replies: how many requests were answered.
        rate_per_s: replies a second.
        p50_us: the median latency; `p99_us`, `p999_us` and `max_us` likewise.
        cpu_us_per_request: CPU time of the server process for each request.
        generator_cpu_share: what the generator used of a core.
    """

    replies: int
    rate_per_s: float
    p50_us: float
    p99_us: float
    p999_us: float
    max_us: float
    cpu_us_per_request: float
    generator_cpu_share: float


def compiled(source: str) -> Path:
    """Compile a C program of this folder, unless that was done before."""
    program = BUILD / source.removesuffix(".c")
    code = FOLDER / source
    if not program.exists() or program.stat().st_mtime < code.stat().st_mtime:
        BUILD.mkdir(parents=True, exist_ok=True)
        command = ["cc", "-O2", "-Wall", "-o", str(program), str(code)]
        subprocess.run(command, check=True)
    return program


@contextmanager
def _child(argv: Sequence[str], says: str) -> Iterator[tuple[int, str]]:
    """Run a server until the block ends; give its pid and the line it is ready by."""
    process = subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        output = cast("IO[str]", process.stdout)
        line = next((line for line in output if re.search(says, line)), None)
        if line is None:
            raise RuntimeError(f"{argv[0]} ended before it said {says!r}")
        # A pipe that nobody reads would hold the server up.
        threading.Thread(target=lambda: [None for _ in output], daemon=True).start()
        yield process.pid, line
    finally:
        process.terminate()
        process.wait()


@contextmanager
def ours(*options: str) -> Iterator[Server]:
    """Run our daemon on a free port of 127.0.0.1."""
    argv = [sys.executable, "-m", "pacemaker", "serve", "--bind", "127.0.0.1"]
    argv += ["-c", "pacemaker.port=0", *options]
    with _child(argv, r"listening on \S+:\d+") as (pid, line):
        yield Server("storm-pacemaker-py", pid, int(line.rpartition(":")[2]))


@contextmanager
def floor(port: int = 16699) -> Iterator[Server]:
    """Run the least that a server can be."""
    argv = [str(compiled("floor.c")), str(port)]
    with _child(argv, "listening") as (pid, _):
        yield Server("floor", pid, port)


def load(
    server: Server,
    connections: int,
    in_flight: int,
    value_bytes: int,
    seconds: float,
    *,
    rate_per_s: float = 0,
    mode: str = "pulse",
) -> Load:
    """Put load on a server; without a rate, as much as it takes."""
    argv: list[object] = [compiled("load.c"), "127.0.0.1", server.port, connections]
    argv += [in_flight, value_bytes, seconds, rate_per_s, mode]
    before_s = server.cpu_s()
    done = subprocess.run(
        [str(each) for each in argv], check=True, capture_output=True, text=True
    )
    used_s = server.cpu_s() - before_s
    seen = json.loads(done.stdout.splitlines()[-1])
    # Half a second of warming up is in the CPU time and not in the replies.
    requests = seen["replies"] * (seconds + 0.5) / seconds
    return Load(
        replies=seen["replies"],
        rate_per_s=seen["replies"] / seconds,
        p50_us=seen["p50_us"],
        p99_us=seen["p99_us"],
        p999_us=seen["p999_us"],
        max_us=seen["max_us"],
        cpu_us_per_request=used_s / requests * 1e6,
        generator_cpu_share=seen["generator_cpu_s"] / seconds,
    )
