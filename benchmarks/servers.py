"""The servers that are measured, each started as its users start it.

Each of them stores values by key, over a protocol that the load generator speaks.  A
server has its own folder for its files, and is ready once it has answered a first
request.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import jars
from benchmarks.jars import program
from benchmarks.machine import describe_python
from benchmarks.native import ROOT, compiled
from pacemaker._version import __version__
from pacemaker.wire import messages

_START_TIMEOUT_S: Final = 60.0
_STOP_TIMEOUT_S: Final = 20.0
_ASK_AGAIN_S: Final = 0.002
# A ZooKeeper that is not ready accepts a request and never answers it.
_REPLY_TIMEOUT_S: Final = 0.5

# Storm's default for `pacemaker.childopts`, and bin/zkServer.sh's for its heap.
_PACEMAKER_HEAP: Final = "-Xmx1024m"
_ZOOKEEPER_HEAP: Final = "-Xmx1000m"

# The same backlog as our daemon's.  With a shorter one, clients that connect all at
# once are delayed by seconds.
_BACKLOG: Final = 4096

_ZOOKEEPER_CONFIG: Final = """
clientPort={port}
clientPortAddress=127.0.0.1
dataDir={folder}/data
admin.enableServer=false
# 60 from one address is the default; all workers of a benchmark have one.
maxClientCnxns=0
clientPortListenBacklog={backlog}
"""


@dataclass(frozen=True)
class Server:
    """A running server process.

    Attributes:
        name: its name in `KINDS`.
        wire: the load generator's name of its protocol.
        pid: its process id.
        port: the port on which it listens, on 127.0.0.1.
        start_s: the time from its start to its first reply.
    """

    name: str
    wire: str
    pid: int
    port: int
    start_s: float

    def resident_bytes(self) -> int:
        """Return the resident memory of the process."""
        return self._status_bytes("VmRSS")

    def most_resident_bytes(self) -> int:
        """Return the peak of the process's resident memory."""
        return self._status_bytes("VmHWM")

    def cpu_s(self) -> float:
        """Return the CPU time of the process so far, all threads, user and kernel."""
        # Linux's number of the clock of a process; MAKE_PROCESS_CPUCLOCK in the kernel.
        return time.clock_gettime((~self.pid << 3) | 2)

    def _status_bytes(self, name: str) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(rf"{name}:\s+(\d+) kB", status)
        if found is None:
            raise RuntimeError(
                f"/proc/{self.pid}/status has no {name}: {self.name} has ended"
            )
        return int(found[1]) * 1024


@dataclass(frozen=True)
class Kind:
    """A kind of server.

    Attributes:
        label: its name for readers.
        wire: the load generator's name of its protocol.
        command: returns the command that runs it, given its folder and its port.
        version: returns the exact version.
        first_request: a request that it answers as soon as it serves.
        compiles: whether it compiles its code in the first seconds, and gets faster.
    """

    label: str
    wire: str
    command: Callable[[Path, int], Sequence[str]]
    version: Callable[[], str]
    first_request: bytes
    compiles: bool = False


@contextmanager
def running(name: str, *options: str) -> Iterator[Server]:
    """Run a server until the block ends.

    Args:
        name: one of `KINDS`, or "relay".
        options: further options of its command.

    Raises:
        MissingError: what it needs is not installed.
    """
    kind = _RELAY if name == "relay" else KINDS[name]
    with tempfile.TemporaryDirectory(prefix="storm-pacemaker-bench-") as folder:
        port = _free_port()
        argv = [*kind.command(Path(folder), port), *options]
        log = Path(folder) / "output"
        began_s = time.monotonic()
        with log.open("wb") as output:
            process = subprocess.Popen(
                argv, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd=ROOT
            )
        try:
            _await_reply(process, port, kind.first_request, log)
            start_s = time.monotonic() - began_s
            yield Server(name, kind.wire, process.pid, port, start_s)
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _await_reply(
    process: subprocess.Popen[bytes], port: int, request: bytes, log: Path
) -> None:
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline_s:
        if _answers(port, request):
            return
        time.sleep(_ASK_AGAIN_S)
    output = log.read_text(errors="replace")[-2000:]
    raise RuntimeError(f"{process.args!r} did not answer in time:\n{output}")


def _answers(port: int, request: bytes) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1.0) as connection:
            connection.settimeout(_REPLY_TIMEOUT_S)
            connection.sendall(request)
            return bool(connection.recv(4096))
    except OSError:
        return False


def _pacemaker_request() -> bytes:
    listing = messages.Message(messages.GET_ALL_NODES_FOR_PATH, "/workerbeats", 1)
    return messages.encode(listing)


def _free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _java_version() -> str:
    done = subprocess.run(
        [program("java"), "-version"], capture_output=True, text=True, check=True
    )
    return done.stderr.splitlines()[0].replace('"', "")


def _ours(folder: Path, port: int, command: str = "serve") -> list[str]:
    argv = [sys.executable, "-m", "pacemaker", command, "--bind", "127.0.0.1"]
    return [*argv, "-c", f"pacemaker.port={port}"]


def _relay(folder: Path, port: int) -> list[str]:
    return _ours(folder, port, "relay")


def _our_version() -> str:
    return f"{__version__}, {describe_python()}"


def _storm(folder: Path, port: int) -> list[str]:
    # JSON is YAML.
    (folder / "storm.yaml").write_text(json.dumps({"pacemaker.port": port}))
    release = jars.NEWEST_RELEASE
    path = jars.storm_classpath(release)
    return [
        program("java"),
        *jars.ADD_OPENS,
        _PACEMAKER_HEAP,
        f"-Dstorm.home={folder}",
        f"-Dstorm.log.dir={folder}",
        *("-cp", f"{folder}:{path}"),
        jars.MAIN_CLASSES[release[0]],
    ]


def _zookeeper(folder: Path, port: int) -> list[str]:
    config = folder / "zoo.cfg"
    config.write_text(
        _ZOOKEEPER_CONFIG.format(port=port, folder=folder, backlog=_BACKLOG)
    )
    path = jars.zookeeper_classpath()
    return [
        program("java"),
        _ZOOKEEPER_HEAP,
        "-cp",
        path,
        jars.ZOOKEEPER_CLASS,
        str(config),
    ]


def _redis(folder: Path, port: int) -> list[str]:
    argv = [program("redis-server"), "--port", str(port), "--bind", "127.0.0.1"]
    # In memory only, like a Pacemaker.  Its default limit is 10,000 connections.
    argv += ["--dir", str(folder), "--save", "", "--maxclients", "19000"]
    return [*argv, "--tcp-backlog", str(_BACKLOG)]


def _redis_version() -> str:
    argv = [program("redis-server"), "--version"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    found = re.search(r"v=(\S+)", done.stdout)
    return found[1] if found else done.stdout.strip()


def _floor(folder: Path, port: int) -> list[str]:
    return [str(compiled("floor")), str(port)]


# A ConnectRequest, which begins a session.
_ZOOKEEPER_REQUEST: Final = bytes.fromhex(
    "0000002d" + "00" * 12 + "00002710" + "00" * 8 + "00000010" + "00" * 17
)

KINDS: Final = {
    "ours": Kind(
        "storm-pacemaker-py", "pacemaker", _ours, _our_version, _pacemaker_request()
    ),
    "jvm": Kind(
        "Storm's JVM",
        "pacemaker",
        _storm,
        lambda: f"Storm {jars.NEWEST_RELEASE}, {_java_version()}",
        _pacemaker_request(),
        compiles=True,
    ),
    "zookeeper": Kind(
        "ZooKeeper",
        "zookeeper",
        _zookeeper,
        lambda: f"{jars.ZOOKEEPER_RELEASE}, {_java_version()}",
        _ZOOKEEPER_REQUEST,
        compiles=True,
    ),
    "redis": Kind("redis", "redis", _redis, _redis_version, b"*1\r\n$4\r\nPING\r\n"),
    # It gives the same answer to every frame.
    "floor": Kind(
        "floor", "pacemaker", _floor, lambda: "compiled by cc -O2", _pacemaker_request()
    ),
}
"""The servers, in the order in which they are measured and shown."""

# Ours as well, and measured in a row of its own.  It answers a list once it has reached
# a Pacemaker, so it is ready for pulses then.
_RELAY: Final = Kind("a relay", "pacemaker", _relay, _our_version, _pacemaker_request())
