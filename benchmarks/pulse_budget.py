"""Measure the CPU time of one pulse, step by step: `make bench PROFILE=1`.

    python -m benchmarks.pulse_budget [--page]

The steps of a pulse are carried out one after another in this process, with the
daemon's own code, for 100 loopback connections that have a pulse of 2 KiB ready each.
The whole is a daemon's CPU time for each pulse under such a load.  The steps do not add
up to it: the rest in the kernel is for packets and for waking the peers, and the rest
in the daemon is the loop's own work (choosing the next connection, reading clocks,
calls).

With `--page`, the table is also written into docs/performance.md.
"""

from __future__ import annotations

import os
import select
import socket
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.__main__ import PAGE
from benchmarks.load import Group, Heartbeats, load
from benchmarks.page import insert
from benchmarks.servers import running
from pacemaker.core.figures import Figures
from pacemaker.core.history.history import History
from pacemaker.core.history.record import PeerRecord, TurnTime
from pacemaker.core.protocol.pulse_fast_path import PulseFastPath, PulseStore
from pacemaker.core.store.store import KeyHandle, Store
from pacemaker.server.io import limits
from pacemaker.wire import messages
from pacemaker.wire.messages import Message, Pulse

BEGIN: Final = "<!-- Written by `make bench PROFILE=1` from here ... -->"
END: Final = "<!-- ... to here: the budget. -->"

_CONNECTIONS: Final = 100
_VALUE_BYTES: Final = 2048
_MAX_BODY_BYTES: Final = 10 * 2**20
# The number of times that each step is repeated; the median counts.
_ROUNDS: Final = 400
_LOAD_S: Final = 5.0
_READ_BYTES: Final = limits.READ_BYTES
# A reply of the same length as the acknowledgement of a pulse.
_REPLY: Final = b"r" * 20


class _Nowhere:
    """A store that stores nothing, to measure only the checks and the answer."""

    def put_at(self, handle: KeyHandle, value: bytes) -> None:
        """Do nothing."""


def _key(number: int) -> str:
    return f"/workerbeats/t-1/h-{number}-6700"


def _frames() -> list[bytes]:
    value = b"x" * _VALUE_BYTES
    return [
        messages.encode(Message(messages.SEND_PULSE, Pulse(_key(n), value), n))
        for n in range(_CONNECTIONS)
    ]


def _workers(store: PulseStore, history: History | None) -> list[PulseFastPath]:
    figures, turn_time = Figures(), TurnTime()
    workers = []
    for number in range(_CONNECTIONS):
        key, source = _key(number), PeerRecord(f"10.0.0.{number}:1")
        if history is not None:
            history.note_pulse(key, source, 0.0, b"")
        known: dict[str, Any] = {
            "source": source,
            "history": history,
            "turn_time": turn_time,
        }
        workers.append(PulseFastPath(key, store, figures, _MAX_BODY_BYTES, **known))
    return workers


@contextmanager
def _connections() -> Iterator[tuple[list[socket.socket], list[socket.socket]]]:
    """Open connections over loopback; yield the near ends and the far ends."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        near, far = [], []
        for _ in range(_CONNECTIONS):
            near.append(
                stack.enter_context(socket.create_connection(listener.getsockname()))
            )
            far.append(stack.enter_context(listener.accept()[0]))
        yield near, far


def _per_pulse_us(step: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    step()
    return (time.perf_counter() - began_s) / _CONNECTIONS * 1e6


def kernel_steps(frames: Sequence[bytes]) -> dict[str, float]:
    """Time the daemon's three system calls, in microseconds per pulse."""
    seen: dict[str, list[float]] = {"waiting": [], "reading": [], "writing": []}
    with _connections() as (near, far), select.epoll() as epoll:
        descriptors = [sock.fileno() for sock in far]
        for descriptor in descriptors:
            epoll.register(descriptor, select.EPOLLIN)
        for _ in range(_ROUNDS):
            for sock, frame in zip(near, frames, strict=True):
                sock.sendall(frame)
            seen["waiting"].append(_per_pulse_us(partial(_wait, epoll)))
            seen["reading"].append(_per_pulse_us(partial(_read, descriptors)))
            seen["writing"].append(_per_pulse_us(partial(_write, descriptors)))
            for sock in near:
                sock.recv(len(_REPLY))
    return {name: statistics.median(values) for name, values in seen.items()}


def _wait(epoll: select.epoll) -> None:
    while len(epoll.poll(1.0, 2 * _CONNECTIONS)) < _CONNECTIONS:
        pass


def _read(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.read(descriptor, _READ_BYTES)


def _write(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.write(descriptor, _REPLY)


def own_steps(frames: Sequence[bytes]) -> dict[str, float]:
    """Time the daemon's work between them, in microseconds per pulse."""
    store = Store()
    variants = {
        "checking and answering": _workers(_Nowhere(), None),
        "storing": _workers(store, None),
        "history": _workers(store, History(2**30)),
    }
    seen: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(_ROUNDS):
        for name, workers in variants.items():
            seen[name].append(_per_pulse_us(partial(_answer, workers, frames)))
    checked, stored, noted = (statistics.median(values) for values in seen.values())
    return {
        "checking and answering": checked,
        "storing": max(0.0, stored - checked),
        "history": max(0.0, noted - stored),
    }


def _answer(workers: Sequence[PulseFastPath], frames: Sequence[bytes]) -> None:
    for worker, frame in zip(workers, frames, strict=True):
        worker.answer_one(frame)


class Whole(NamedTuple):
    """A daemon's CPU time for each pulse, in microseconds."""

    user_us: float
    kernel_us: float

    @property
    def cpu_us(self) -> float:
        """Both together."""
        return self.user_us + self.kernel_us


def measure_whole() -> Whole:
    """Load a daemon at saturation, and return its CPU time for each pulse."""
    stored = Heartbeats(_CONNECTIONS, _VALUE_BYTES)
    group = Group("pulse", _CONNECTIONS)
    with running("ours") as server:
        load(server, stored, [group], 1.0)
        before = _cpu_s(server.pid)
        seen = load(server, stored, [group], _LOAD_S)
        after = _cpu_s(server.pid)
    user_s, kernel_s = (late - early for late, early in zip(after, before, strict=True))
    kernel_share = kernel_s / max(1e-9, user_s + kernel_s)
    return Whole(seen.cpu_us * (1 - kernel_share), seen.cpu_us * kernel_share)


def _cpu_s(pid: int) -> tuple[float, float]:
    """Return the CPU time of a process so far: in user mode, and in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks_per_s = os.sysconf("SC_CLK_TCK")
    return int(fields[11]) / ticks_per_s, int(fields[12]) / ticks_per_s


def table(kernel: Mapping[str, float], own: Mapping[str, float], whole: Whole) -> str:
    """Write the budget as a Markdown table."""
    lines = {
        **kernel,
        "packets, waking the peers": whole.kernel_us - sum(kernel.values()),
        "**the kernel**": whole.kernel_us,
        **own,
        "the loop: turns, clocks, calls": whole.user_us - sum(own.values()),
        "**the daemon**": whole.user_us,
        "**the whole**": whole.cpu_us,
    }
    head = ["| a pulse of 2 KiB | CPU time | share |", "|---|---|---|"]
    return "\n".join(
        head
        + [
            f"| {name} | {us:.2f} us | {us / whole.cpu_us:.0%} |"
            for name, us in lines.items()
        ]
    )


def main() -> int:
    """Measure and print the budget, and write it to the page if requested."""
    frames = _frames()
    measured = table(kernel_steps(frames), own_steps(frames), measure_whole())
    sys.stdout.write(f"{measured}\n")
    if "--page" in sys.argv[1:]:
        PAGE.write_text(insert(PAGE.read_text(), measured, BEGIN, END))
    return 0


if __name__ == "__main__":
    sys.exit(main())
