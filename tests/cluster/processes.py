"""Processes found by a folder in their command line: a supervisor's workers.

Workers are children of a supervisor that may be dead, so only the kernel knows them.
The command line of each contains its cluster's folder, whose name is unique.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from tests.cluster.waiting import wait_until

END_TIMEOUT_S = 30


def pids_of(folder: Path) -> list[int]:
    """Return the processes that have the folder in their command line."""
    return [
        int(process.name)
        for process in Path("/proc").glob("[0-9]*")
        if _names(process, folder)
    ]


def age_s(pid: int) -> float:
    """Return for how long a process has existed."""
    stat = Path(f"/proc/{pid}/stat").read_text()
    # The 22nd field; the second one, in brackets, may contain spaces.
    started_ticks = int(stat.rpartition(")")[2].split()[19])
    now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    return now_s - started_ticks / os.sysconf("SC_CLK_TCK")


def kill_all(folder: Path) -> None:
    """Kill these processes, and wait until none is left."""

    def none_left() -> bool:
        pids = pids_of(folder)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not pids

    wait_until(f"the end of all processes of {folder}", none_left, END_TIMEOUT_S)


def _names(process: Path, folder: Path) -> bool:
    try:
        return os.fsencode(folder) in (process / "cmdline").read_bytes()
    except OSError:  # it has ended meanwhile
        return False
