"""The daemon under attack, started on a core of its own and watched from outside."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from benchmarks.isolation.attack import Attack
from benchmarks.isolation.network import Network
from benchmarks.native import ROOT
from benchmarks.servers import running
from pacemaker.errors import UpgradeError
from pacemaker.server.upgrade.request import request_upgrade

# The shipped unit has 10 s, which an attack of a few seconds could never exceed.
WATCHDOG_S: Final = 2.0
USER_NAME: Final = "storm"
PASSWORD: Final = "isolation"  # noqa: S105

_START_TIMEOUT_S: Final = 20.0
_GIVE_UP_S: Final = 15.0
_SAMPLE_S: Final = 0.05
_JAAS: Final = (
    "PacemakerDigest {{\n"
    "  org.apache.zookeeper.server.auth.DigestLoginModule required\n"
    '  username="{name}"\n  password="{password}";\n}};\n'
)


class Target:
    """A running daemon.

    Attributes:
        pid: its process id.
        port: the port on which it listens, on all addresses.
        is_ours: whether it is this project's daemon, which can be reloaded.
    """

    def __init__(self, pid: int, port: int, is_ours: bool) -> None:
        self.pid = pid
        self.port = port
        self.is_ours = is_ours
        self._resident: list[tuple[float, int]] = []
        self._fed_s: list[float] = []

    def sample(self) -> None:
        """Record how much memory the daemon uses now."""
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{self.pid}/status").read_text()
            if found := re.search(r"VmRSS:\s+(\d+) kB", status):
                self._resident.append((time.monotonic(), int(found[1]) * 1024))

    def fed(self) -> None:
        """Record that the daemon fed its watchdog."""
        self._fed_s.append(time.monotonic())

    def most_resident_bytes(self, from_s: float, to_s: float) -> int:
        """Return the peak of its memory within a period."""
        sizes = [size for at_s, size in self._resident if from_s <= at_s <= to_s]
        return max(sizes, default=0)

    def longest_unfed_s(self, from_s: float, to_s: float) -> float:
        """Return the longest time for which it did not feed its watchdog."""
        times_s = [from_s, *(at for at in self._fed_s if from_s < at < to_s), to_s]
        return max(late - early for early, late in itertools.pairwise(times_s))

    def times_fed(self, from_s: float, to_s: float) -> int:
        """Return how often it fed its watchdog within a period."""
        return sum(from_s < at_s < to_s for at_s in self._fed_s)

    def is_alive(self) -> bool:
        """Return whether the process still exists and is not a zombie."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text()
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[0] != "Z"

    def reload_s(self) -> float | None:
        """Upgrade it in place; return how long that took, or None if it failed."""
        began_s = time.monotonic()
        try:
            request_upgrade(self.pid, _GIVE_UP_S)
        except (UpgradeError, OSError):
            return None
        return time.monotonic() - began_s

    def stop_s(self) -> float | None:
        """Send it SIGTERM; return how long it took to end, or None if it did not."""
        began_s = time.monotonic()
        os.kill(self.pid, signal.SIGTERM)
        while time.monotonic() < began_s + _GIVE_UP_S:
            if not self.is_alive():
                return time.monotonic() - began_s
            time.sleep(0.005)
        return None


@contextmanager
def pinned(cores: set[int]) -> Iterator[None]:
    """Restrict processes that are started in the block to some cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def our_daemon(
    attack: Attack, network: Network, cores: set[int], honest: int, *options: str
) -> Iterator[Target]:
    """Run our daemon with the settings that an attack needs, until the block ends.

    Args:
        attack: the attack, which sets the budgets, the descriptors and so on.
        network: the network on which the daemon listens.
        cores: the cores on which it runs.
        honest: how many descriptors the honest peers need.
        options: further options of its command line.
    """
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="isolation-"))
        )
        argv = [*_options(attack, network, folder), *options]
        notified = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        notified.bind(str(folder / "notify"))
        environ = {
            **os.environ,
            "STORM_CONF_DIR": str(folder),
            "NOTIFY_SOCKET": str(folder / "notify"),
            "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6)),
        }
        if attack.spare_descriptors is not None:
            argv = _with_descriptors(honest + attack.spare_descriptors, argv)
        log = stack.enter_context((folder / "log").open("wb"))
        with pinned(cores):
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environ,
                cwd=ROOT,
            )
        stack.callback(_end, process)
        port = _await_port(process, folder / "log")
        target = Target(process.pid, port, is_ours=True)
        stack.enter_context(_watching(target, process, notified))
        yield target


@contextmanager
def jvm_daemon(cores: set[int]) -> Iterator[Target]:
    """Run the JVM's Pacemaker until the block ends.

    Raises:
        MissingError: something that it needs is not installed.
    """
    with ExitStack() as stack:
        with pinned(cores):
            server = stack.enter_context(running("jvm"))
        target = Target(server.pid, server.port, is_ours=False)
        stack.enter_context(_watching(target, None, None))
        yield target


def _options(attack: Attack, network: Network, folder: Path) -> list[str]:
    argv = [sys.executable, "-m", "pacemaker", "serve", "-c", "pacemaker.port=0"]
    argv += [f"--buffer-budget={attack.buffer_mib}M"]
    argv += [f"--store-budget={attack.store_mib}M", f"--hold={attack.hold_s}"]
    if attack.is_digest:
        jaas = folder / "jaas.conf"
        jaas.write_text(_JAAS.format(name=USER_NAME, password=PASSWORD))
        jaas.chmod(0o600)
        argv += ["-c", "pacemaker.auth.method=DIGEST"]
        argv += ["-c", f"java.security.auth.login.config={jaas}"]
    if not network.is_namespace:
        argv += ["--shared-address", "none"]
    return argv


def _with_descriptors(count: int, argv: Sequence[str]) -> list[str]:
    return ["sh", "-c", f'ulimit -n {count} && exec "$@"', "sh", *argv]


def _await_port(process: subprocess.Popen[bytes], log: Path) -> int:
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline_s:
        if found := re.search(r"listening on \S+:(\d+)", log.read_text()):
            return int(found[1])
        time.sleep(0.005)
    raise RuntimeError(f"the daemon does not start:\n{log.read_text()[-2000:]}")


@contextmanager
def _watching(
    target: Target,
    process: subprocess.Popen[bytes] | None,
    notified: socket.socket | None,
) -> Iterator[None]:
    is_over = threading.Event()

    def sample() -> None:
        while not is_over.wait(_SAMPLE_S):
            target.sample()
            if process is not None:
                process.poll()

    def listen(sock: socket.socket) -> None:
        sock.settimeout(_SAMPLE_S)
        while not is_over.is_set():
            with contextlib.suppress(TimeoutError):
                if b"WATCHDOG=1" in sock.recv(4096):
                    target.fed()

    threads = [threading.Thread(target=sample)]
    if notified is not None:
        threads.append(threading.Thread(target=listen, args=(notified,)))
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def _end(process: subprocess.Popen[bytes]) -> None:
    # Kill it, as it may be paused or too busy to handle a signal.
    process.kill()
    process.wait()
