"""Facts about this machine, from /proc."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pacemaker.doctor.facts import HostFacts

_LISTEN: Final = "0A"


def host_facts(port: int, proc: Path = Path("/proc")) -> HostFacts:
    """Return what /proc says about this machine and about who listens on a port.

    Args:
        port: pacemaker.port.
        proc: where procfs is mounted.
    """
    inodes = set(_listening_inodes(port, proc))
    holders, is_complete = _holders(inodes, proc) if inodes else ([], True)
    return HostFacts(
        descriptors=_descriptors(holders, proc),
        somaxconn=_number(proc / "sys/net/core/somaxconn"),
        listens=bool(inodes),
        keeps_port=_keeps_port(inodes, holders, is_complete),
        relay=any(_is_relay(holder) for holder in holders),
    )


def _listening_inodes(port: int, proc: Path) -> Iterator[str]:
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (proc / "net" / name).read_text().splitlines()[1:]:
                fields = line.split()
                local_port = int(fields[1].rpartition(":")[2], 16)
                if local_port == port and fields[3] == _LISTEN:
                    yield fields[9]


def _holders(inodes: set[str], proc: Path) -> tuple[list[Path], bool]:
    """Return the processes that hold these sockets, and whether all could be read."""
    wanted = {f"socket:[{inode}]" for inode in inodes}
    holders: list[Path] = []
    is_complete = True
    for process in proc.glob("[0-9]*"):
        try:
            if any(_target(fd) in wanted for fd in (process / "fd").iterdir()):
                holders.append(process)
        except PermissionError:
            is_complete = False
        except OSError:
            continue  # the process has ended
    return holders, is_complete


def _target(fd: Path) -> str:
    try:
        return str(fd.readlink())
    except FileNotFoundError:
        return ""


def _keeps_port(
    inodes: set[str], holders: list[Path], is_complete: bool
) -> bool | None:
    if not inodes:
        return None
    if len(holders) > 1:
        return True
    return False if is_complete and holders else None


def _is_relay(process: Path) -> bool:
    try:
        arguments = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"relay" in arguments


def _descriptors(holders: list[Path], proc: Path) -> int | None:
    """Return the limit of the process that listens, or else of this one."""
    for process in holders:
        with contextlib.suppress(OSError, ValueError):
            for line in (process / "limits").read_text().splitlines():
                if line.startswith("Max open files") and process.name != "1":
                    return int(line.split()[3])
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
