"""The processes of the honest peers and of the attackers, as the trial sees them."""

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
        oldest_s: how old the oldest waiting request was when that was said last.
    """

    def __init__(self, process: subprocess.Popen[str], records: Path) -> None:
        self.oldest_s = 0.0
        self._process = process
        self._records = records
        self._reader = threading.Thread(target=self._read)

    def begin(self) -> None:
        """Wait until every key is stored.

        Raises:
            RuntimeError: the daemon does not take them.
        """
        assert self._process.stdout is not None  # noqa: S101
        if self._process.stdout.readline() != "ready\n":
            raise RuntimeError("the honest load could not begin")
        self._reader.start()

    def end(self) -> tuple[list[Record], int]:
        """Have it end; return what it saw, and how many connections were reset.

        Raises:
            RuntimeError: it failed.
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
        """End it in any case."""
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
        counted: what it counted, once it has ended: connections opened, and ended by
            the daemon until it stopped sending; bytes sent and received.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.counted: dict[str, int] = {}
        self._process = process

    def await_ready(self) -> None:
        """Wait until it can begin."""
        assert self._process.stdout is not None  # noqa: S101
        self._process.stdout.readline()

    def begin(self) -> None:
        """Have it attack."""
        self._command("b")

    def go_on(self) -> None:
        """Have connections go on that wait for something."""
        self._command("g")

    def stop_sending(self) -> None:
        """Have it send no more, with its connections open."""
        self._command("s")

    def end(self) -> None:
        """Have it end.

        Raises:
            RuntimeError: it had failed before.
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
        """End it, whatever it counted."""
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
        attacks: which.
        server: whom they attack.
        addresses: where they come from.
        cores: where they run.
        share: of their connections.
    """
    processes = []
    try:
        for attack in attacks:
            connections = max(1, round(attack.connections * share))
            arguments = [attack.name, server[0], str(server[1]), ",".join(addresses)]
            process = _start("attacker", cores, *arguments, str(connections))
            processes.append(AttackProcess(process))
        # Interpreters that start would take the core from those that attack.
        for each in processes:
            each.await_ready()
        for each in processes:
            each.begin()
        yield processes
    except BaseException:
        # What they counted is of no use, and that they failed may be why.
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
