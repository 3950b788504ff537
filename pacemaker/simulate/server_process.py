"""The CPU time and memory of a server on this machine, from Linux's /proc.

The process is found by the port that it listens on.  These figures are optional: if
something cannot be read, such as another user's process, they are left out.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

PROC: Final = Path("/proc")

_LISTENS: Final = "0A"
_INIT: Final = 1


class ProcessUse(NamedTuple):
    """The resources that a process uses.

    Attributes:
        cpu_s: its CPU time so far, user and kernel.
        resident_bytes: its resident memory now.
    """

    cpu_s: float
    resident_bytes: int


class ServerProcess(NamedTuple):
    """The process that listens on a given port.

    Attributes:
        pid: its process id.
        proc: the path of /proc.
    """

    pid: int
    proc: Path = PROC

    def cost(self) -> ProcessUse | None:
        """Return the resources that it uses; None if it is gone."""
        try:
            stat = (self.proc / str(self.pid) / "stat").read_text()
            status = (self.proc / str(self.pid) / "status").read_text()
        except OSError:
            return None
        fields = stat.rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        resident = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
        if resident is None:
            return None  # a zombie: it has ended and waits for its parent
        return ProcessUse(ticks / os.sysconf("SC_CLK_TCK"), int(resident[1]) * 1024)


def find(port: int, proc: Path = PROC) -> ServerProcess | None:
    """Find the one process that listens on a port of this machine.

    Returns:
        The process; None if there is none, or several, or it is not visible.
    """
    sockets = {f"socket:[{inode}]" for inode in _listening(port, proc)}
    pids = {pid for pid in _pids(proc) if not sockets.isdisjoint(_open_by(pid, proc))}
    # systemd keeps the listening sockets that it hands over open.
    pids.discard(_INIT)
    return ServerProcess(pids.pop(), proc) if len(pids) == 1 else None


def _listening(port: int, proc: Path) -> Iterator[str]:
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (proc / "net" / name).read_text().splitlines()[1:]:
                fields = line.split()
                local, state, inode = fields[1], fields[3], fields[9]
                if state == _LISTENS and int(local.rpartition(":")[2], 16) == port:
                    yield inode


def _pids(proc: Path) -> Iterator[int]:
    return (int(path.name) for path in proc.iterdir() if path.name.isdecimal())


def _open_by(pid: int, proc: Path) -> Iterator[str]:
    with contextlib.suppress(OSError):
        for path in (proc / str(pid) / "fd").iterdir():
            with contextlib.suppress(OSError):
                yield str(path.readlink())
