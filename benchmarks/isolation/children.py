"""Handles of the processes that run the honest peers and the attackers."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.isolation.attack import Attack
from benchmarks.isolation.figures import Record
from benchmarks.isolation.load import PATIENCE_S, HonestLoad
from benchmarks.isolation.target import pinned
from benchmarks.native import ROOT

_END_TIMEOUT_S: Final = 20.0


class HonestProcess:
    """The honest peers' process.

    Attributes:
        oldest_s: the last reported age of the oldest unanswered request.
    """

    def __init__(self, process: subprocess.Popen[str], records: Path) -> None:
        self.oldest_s = 0.0
        self._process = process
        self._records = records
        self._reader = threading.Thread(target=self._read)

    def begin(self) -> None:
        """Wait until every key is stored.

        Raises:
            RuntimeError: the daemon does not store them.
        """
        assert self._process.stdout is not None  # noqa: S101
        if self._process.stdout.readline() != "ready\n":
            raise RuntimeError("the honest load could not begin")
        self._reader.start()

    def end(self) -> tuple[list[Record], int]:
        """End the load; return its records, and how many connections were reset.

        Raises:
            RuntimeError: the process failed.
        """
        assert self._process.stdin is not None  # noqa: S101
        self._process.stdin.write("end\n")
        self._process.stdin.flush()
        try:
            status = self._process.wait(PATIENCE_S + _END_TIMEOUT_S)
        except subprocess.TimeoutExpired as exc:
            raise RuntimeError("the honest load does not end") from exc
        if status:
            raise RuntimeError("the honest load failed")
        content = json.loads(self._records.read_text())
        return [tuple(each) for each in content["records"]], content["resets"]

    def close(self) -> None:
        """Kill the process, whatever its state."""
        self._process.kill()
        self._process.wait()
        if self._reader.ident is not None:
            self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None  # noqa: S101
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101
        for line in self._process.stdout:
            self.oldest_s = float(line)


class AttackProcess:
    """The process of an attack.

    Attributes:
        counted: its counters, once it has ended: the connections opened, those that the
            daemon ended before the attack stopped, and the bytes sent and received.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.counted: dict[str, int] = {}
        self._process = process

    def await_ready(self) -> None:
        """Wait until the process can begin."""
        assert self._process.stdout is not None  # noqa: S101
        self._process.stdout.readline()

    def begin(self) -> None:
        """Begin the attack."""
        self._command("b")

    def go_on(self) -> None:
        """Resume the connections that wait for something."""
        self._command("g")

    def stop_sending(self) -> None:
        """Stop sending, but keep the connections open."""
        self._command("s")

    def end(self) -> None:
        """End the process and read its counters.

        Raises:
            RuntimeError: the process had failed before.
        """
        try:
            output, _ = self._process.communicate(timeout=_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            output, _ = self._process.communicate()
        if not output:
            raise RuntimeError(f"the attackers failed: {self._process.args!r}")
        self.counted = json.loads(output)

    def kill(self) -> None:
        """Kill the process without reading its counters."""
        self._process.kill()
        self._process.communicate()

    def _command(self, letter: str) -> None:
        assert self._process.stdin is not None  # noqa: S101
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(letter)
            self._process.stdin.flush()


@contextmanager
def honest_peers(load: HonestLoad, cores: set[int]) -> Iterator[HonestProcess]:
    """Run the honest peers."""
    with tempfile.TemporaryDirectory(prefix="isolation-") as folder:
        records = Path(folder) / "records"
        process = _start("honest", cores, load.to_json(), str(records))
        honest = HonestProcess(process, records)
        try:
            honest.begin()
            yield honest
        finally:
            honest.close()


@contextmanager
def attackers(
    attacks: Sequence[Attack],
    server: tuple[str, int],
    addresses: Sequence[str],
    cores: set[int],
    share: float = 1.0,
) -> Iterator[list[AttackProcess]]:
    """Run attacks, each in a process, until the block ends.

    Args:
        attacks: the attacks.
        server: the host and port that they attack.
        addresses: the addresses from which they come.
        cores: the cores on which they run.
        share: the share of their connections that they open.
    """
    processes = []
    try:
        for attack in attacks:
            connections = max(1, round(attack.connections * share))
            arguments = [attack.name, server[0], str(server[1]), ",".join(addresses)]
            process = _start("attacker", cores, *arguments, str(connections))
            processes.append(AttackProcess(process))
        # Wait for all of them first: a starting interpreter would take CPU time from
        # the processes that already attack.
        for each in processes:
            each.await_ready()
        for each in processes:
            each.begin()
        yield processes
    except BaseException:
        # Their counters are of no use now, and their failure may be the cause.
        for each in processes:
            each.kill()
        raise
    for each in processes:
        each.end()


def _start(module: str, cores: set[int], *arguments: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", f"benchmarks.isolation.{module}", *arguments]
    with pinned(cores):
        return subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
