"""How much memory this process may use."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
from pathlib import Path
from typing import Final

_CGROUP_V1_FILE: Final = "memory/memory.limit_in_bytes"
_CGROUP_V2_FILE: Final = "memory.max"
# Beside a limit: what is used of it, and the line of memory.stat that says how
# much of that are files which can be dropped.
_USED: Final = {
    "memory.limit_in_bytes": ("memory.usage_in_bytes", "total_inactive_file"),
    "memory.max": ("memory.current", "inactive_file"),
}
# mallopt(3).
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
# The most that glibc takes for the threshold.
_HEAP_BLOCK_BYTES: Final = 32 * 1024 * 1024


def available_bytes(
    proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")
) -> int:
    """Return the least of the machine's memory and the limits set on the process.

    Limits are those of its control groups, and of those around them, and
    RLIMIT_AS.
    """
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    limits.extend(limit for _, limit in _cgroup_limits(proc, cgroups))
    address_space, _ = resource.getrlimit(resource.RLIMIT_AS)
    if address_space != resource.RLIM_INFINITY:
        limits.append(address_space)
    return min(limits)


def free_bytes(
    proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")
) -> int | None:
    """Return what the process may still take, by the machine and by each limit.

    What the kernel can drop at once, unused files above all, counts as free.  What
    cannot be read is unknown and limits nothing; None if all of it is.
    """
    free = []
    machine_kib = _number(proc / "meminfo", "MemAvailable:")
    if machine_kib is not None:
        free.append(machine_kib * 1024)
    for file, limit in _cgroup_limits(proc, cgroups):
        used_name, droppable = _USED[file.name]
        used = _read(file.with_name(used_name)).strip()
        if used.isdigit():
            dropped_bytes = _number(file.with_name("memory.stat"), droppable) or 0
            free.append(limit - max(0, int(used) - dropped_bytes))
    address_space, _ = resource.getrlimit(resource.RLIMIT_AS)
    size_kib = _number(proc / "self" / "status", "VmSize:")
    if address_space != resource.RLIM_INFINITY and size_kib is not None:
        free.append(address_space - size_kib * 1024)
    return max(0, min(free)) if free else None


def _number(file: Path, name: str) -> int | None:
    """Find a line of a small file of the kernel's and read its number."""
    for line in _read(file).splitlines():
        words = line.split()
        if words[:1] == [name] and words[1:2] and words[1].isdigit():
            return int(words[1])
    return None


def _cgroup_limits(proc: Path, cgroups: Path) -> list[tuple[Path, int]]:
    """Find each limit that is set on the process, and the file that says so."""
    limits = []
    for line in _read(proc / "self" / "cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            limits += _limits_upwards(cgroups, group, _CGROUP_V2_FILE)
        elif "memory" in controllers.split(","):
            folder, name = _CGROUP_V1_FILE.split("/")
            limits += _limits_upwards(cgroups / folder, group, name)
    return limits


def _limits_upwards(root: Path, group: str, name: str) -> list[tuple[Path, int]]:
    """Read the limit of a group and of each around it; in a container, of its root."""
    folder = root / group.lstrip("/")
    limits = []
    while True:
        text = _read(folder / name).strip()
        if text.isdigit():
            limits.append((folder / name, int(text)))
        if folder == root or root not in folder.parents:
            return limits
        folder = folder.parent


def _read(path: Path) -> str:
    """Read a small file of the kernel's; empty where there is none."""
    try:
        return path.read_text()
    except OSError:
        return ""


def use_one_heap() -> None:
    """Have the C library take memory for all threads from one heap.

    To be called before there are any threads.  glibc would give each a heap of
    its own, and `return_free_pages` gives back the free end of the first alone:
    each I/O thread could keep what its largest frame took.

    Large blocks come from there too, and the free end stays until it is given
    back: the pages of a heartbeat of 1 MiB are fetched from the kernel and
    cleared for each one otherwise, which takes longer than to read it.
    """
    with contextlib.suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, _HEAP_BLOCK_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _HEAP_BLOCK_BYTES)


def return_free_pages() -> None:
    """Have the C library give back the pages that hold nothing any more.

    glibc keeps what a frame of 10 MiB took for the next one.  It takes a few
    milliseconds for each 100 MiB that the process holds.  Where there is no
    glibc there is no need for it.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
