"""Upgrade the daemon in place under load, and measure losses and the longest pause.

    python -m benchmarks.upgrades [--upgrades N]

First, 5,000 workers each send 2 KiB every 3 s, whether or not the daemon answers, while
it is upgraded twenty times in a row.  The bar: no connection is reset, no pulse is
lost, and each is answered within 1 s of its scheduled time.  Then there are 15,000
connections and 100 MB of heartbeats.  The bar is the same, and the standstill must be
under 1 s.

An additional connection sends a request as soon as the one before is answered.  The
standstill is the longest time between two of its replies: from the last reply of the
old process to the first of the new one.
"""

from __future__ import annotations

import argparse
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from benchmarks.load import Group, Heartbeats, LoadError, load
from benchmarks.servers import Server, running
from pacemaker.wire import messages

BAR_S: Final = 1.0

# The pause between two upgrades, after which latencies are normal again.
_PAUSE_S: Final = 2.0
# The longest time of an upgrade, including its trial.
_EACH_S: Final = 3.0
_SETTLE_S: Final = 5.0
_ASK_EVERY_S: Final = 0.001


@dataclass(frozen=True)
class Case:
    """A cluster that is upgraded.

    Attributes:
        connections: the number of workers, each with a connection and a heartbeat.
        value_bytes: the size of a heartbeat.
        every_s: the time between two pulses of a worker.
        upgrades: the number of upgrades.
    """

    connections: int
    value_bytes: int
    every_s: float
    upgrades: int


class Standstill(threading.Thread):
    """Sends one request after another, and records the longest time without a reply."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._is_over = threading.Event()
        self._replied_s = time.monotonic()
        self._longest_s = 0.0

    def take_longest_s(self) -> float:
        """Return the longest time without a reply since the last call."""
        longest_s, self._longest_s = self._longest_s, 0.0
        return longest_s

    def run(self) -> None:
        """Send requests until `running` ends."""
        request = messages.encode(messages.Message(messages.EXISTS, "/standstill", 1))
        while not self._is_over.wait(_ASK_EVERY_S):
            self._socket.sendall(request)
            select.select([self._socket], [], [])
            if not self._socket.recv(4096):
                return
            now_s = time.monotonic()
            self._longest_s = max(self._longest_s, now_s - self._replied_s)
            self._replied_s = now_s

    @contextmanager
    def running(self) -> Iterator[Standstill]:
        """Send requests for the duration of a `with` block."""
        self.start()
        try:
            yield self
        finally:
            self._is_over.set()
            self.join()
            self._socket.close()


def upgrade(server: Server) -> float:
    """Upgrade a server, and return how long that took, including its trial."""
    began_s = time.monotonic()
    argv = [sys.executable, "-m", "pacemaker", "reload", str(server.pid)]
    subprocess.run(argv, check=True, capture_output=True)
    return time.monotonic() - began_s


def measure(case: Case) -> bool:
    """Upgrade a server under load, print the results; return whether the bar is met."""
    stored = Heartbeats(case.connections, case.value_bytes, 50)
    rate_per_s = case.connections / case.every_s
    group = Group("pulse", case.connections, rate_per_s=rate_per_s)
    seconds = 2 * _SETTLE_S + case.upgrades * (_PAUSE_S + _EACH_S)
    with running("ours") as server, ThreadPoolExecutor(1) as pool:
        under_load = pool.submit(load, server, stored, [group], seconds, case.every_s)
        time.sleep(case.every_s + _SETTLE_S)
        stood_s: list[float] = []
        with Standstill(server.port).running() as standstill:
            for _ in range(case.upgrades):
                standstill.take_longest_s()
                upgrade(server)
                time.sleep(_PAUSE_S)
                stood_s.append(standstill.take_longest_s())
            is_late = under_load.done()
        try:
            seen = under_load.result()
        except LoadError as exc:
            sys.stdout.write(f"a connection was lost: {exc}\n")
            return False
        resident_bytes = server.resident_bytes()
    max_s = seen.latencies.max_us / 1e6
    stored_bytes = case.connections * case.value_bytes
    stood_s.sort()
    sys.stdout.write(
        f"{case.connections} connections, {stored_bytes / 1e6:.0f} MB of heartbeats,"
        f" {rate_per_s:.0f} pulses a second, {case.upgrades} upgrades\n"
        f"pulses answered  {seen.replies} of {seen.replies + seen.lost}\n"
        f"latest answer    {max_s:.3f} s after the scheduled time of its pulse\n"
        f"standstill       median {stood_s[len(stood_s) // 2]:.3f} s,"
        f" from {stood_s[0]:.3f} to {stood_s[-1]:.3f} s\n"
        f"resident memory  {resident_bytes / 2**20:.0f} MiB after the last upgrade\n"
    )
    if is_late:
        sys.stdout.write("the load ended before the upgrades did: measure again\n")
    return not is_late and not seen.lost and max(max_s, stood_s[-1]) < BAR_S


def main() -> int:
    """Measure both clusters; return 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.upgrades")
    parser.add_argument("--upgrades", type=int, default=20, metavar="N")
    upgrades = parser.parse_args().upgrades
    cases = (Case(5000, 2048, 3.0, upgrades), Case(15_000, 7000, 3.0, upgrades))
    met = [measure(case) for case in cases]
    is_met = all(met)
    sys.stdout.write("the bar is met\n" if is_met else "the bar is MISSED\n")
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
