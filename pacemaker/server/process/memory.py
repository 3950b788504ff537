"""How much memory this process may use."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import resource
import sys
from pathlib import Path
from typing import Final

_logger: Final = logging.getLogger(__name__)

# The memory that `pacemaker.childopts` gives the JVM (-Xmx1024m).
_ASSUMED_BYTES: Final = 1024 * 1024 * 1024
_CGROUP_V1_FILE: Final = "memory/memory.limit_in_bytes"
_CGROUP_V2_FILE: Final = "memory.max"
# For each limit file: the file that says how much is used, and the line of memory.stat
# that says how much of that is file cache that can be dropped.
_USED: Final = {
    "memory.limit_in_bytes": ("memory.usage_in_bytes", "total_inactive_file"),
    "memory.max": ("memory.current", "inactive_file"),
}
# mallopt(3).
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
# The largest threshold that glibc accepts.
_HEAP_BLOCK_BYTES: Final = 32 * 1024 * 1024


def available_bytes(
    proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")
) -> int:
    """Return the lowest of the machine's memory and the limits set on the process.

    The limits are RLIMIT_AS and those of its control groups and their parents.  If a
    limit cannot be read, that is logged and the limit is ignored.  If nothing can be
    read, one gibibyte is assumed, which is what Storm gives its Pacemaker.
    """
    limits = _known(_machine_bytes())
    limits.extend(limit for _, limit in _cgroup_limits(proc, cgroups))
    limits.extend(_known(_address_space_bytes()))
    if not limits:
        _logger.warning(
            "cannot find out how much memory there is: assuming %d MiB;"
            " set --store-budget and --buffer-budget",
            _ASSUMED_BYTES // 2**20,
        )
    return min(limits, default=_ASSUMED_BYTES)


def free_bytes(
    proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")
) -> int | None:
    """Return how much memory the process may still take, by machine and limits.

    Memory that the kernel can reclaim at once, above all unused file cache, counts as
    free.  A value that cannot be read is unknown, not 0, and is ignored.

    Returns:
        The lowest known value; None if nothing is known.
    """
    available_kib = _number(proc / "meminfo", "MemAvailable:")
    free = [] if available_kib is None else [available_kib * 1024]
    for file, limit in _cgroup_limits(proc, cgroups):
        free.extend(_known(_left_in_group(file, limit)))
    free.extend(_known(_left_of_address_space(proc)))
    return max(0, min(free)) if free else None


def resident_bytes(proc: Path = Path("/proc")) -> int:
    """Return the resident memory of this process; 0 if it is unknown."""
    return 1024 * (_number(proc / "self" / "status", "VmRSS:") or 0)


def _known(size_bytes: int | None) -> list[int]:
    return [] if size_bytes is None else [size_bytes]


def _machine_bytes() -> int | None:
    try:
        pages = os.sysconf("SC_PHYS_PAGES")
        size_bytes = os.sysconf("SC_PAGE_SIZE") * pages
    except (OSError, ValueError):
        return None
    # The C library returns -1 if it does not know.
    return size_bytes if pages > 0 else None


def _address_space_bytes() -> int | None:
    """Return RLIMIT_AS, or None if it is not set."""
    address_space, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if address_space == resource.RLIM_INFINITY else address_space


def _left_of_address_space(proc: Path) -> int | None:
    limit = _address_space_bytes()
    if limit is None:
        return None
    used_kib = _number(proc / "self" / "status", "VmSize:")
    return None if used_kib is None else limit - used_kib * 1024


def _left_in_group(file: Path, limit: int) -> int | None:
    """Return what a control group may still take, by the file of its limit."""
    used_name, droppable = _USED[file.name]
    used = _read(file.with_name(used_name)).strip()
    dropped_bytes = _number(file.with_name("memory.stat"), droppable)
    if not used.isdecimal() or dropped_bytes is None:
        return None
    return limit - max(0, int(used) - dropped_bytes)


def _number(file: Path, name: str) -> int | None:
    """Find a line in a small kernel file and return its number; None if missing."""
    for line in _read(file).splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == name and words[1].isdecimal():
            return int(words[1])
    return None


def _cgroup_limits(proc: Path, cgroups: Path) -> list[tuple[Path, int]]:
    """Return each control group limit set on the process, with the file it is from."""
    limits = []
    for line in _read(proc / "self" / "cgroup").splitlines():
        _, *controllers_and_group = line.split(":", 2)
        if len(controllers_and_group) != 2:
            continue
        controllers, group = controllers_and_group
        if controllers == "":
            limits += _limits_upwards(cgroups, group, _CGROUP_V2_FILE)
        elif "memory" in controllers.split(","):
            folder, name = _CGROUP_V1_FILE.split("/")
            limits += _limits_upwards(cgroups / folder, group, name)
    return limits


def _limits_upwards(root: Path, group: str, name: str) -> list[tuple[Path, int]]:
    """Read the limits of a group and its parents; in a container, up to its root."""
    folder = root / group.lstrip("/")
    limits = []
    while True:
        text = _read(folder / name).strip()
        if text.isdecimal():
            limits.append((folder / name, int(text)))
        if folder == root or root not in folder.parents:
            return limits
        folder = folder.parent


def _read(path: Path) -> str:
    """Read a small kernel file; return "" if it does not exist.

    A missing file is normal: a root group has no limit, and each version of control
    groups lacks the files of the other.  Any other error is logged, because a limit may
    exist that is then exceeded (no descriptor is free, or the file is not readable).
    """
    try:
        # Group names are bytes; surrogates keep them unchanged for the next path.
        return path.read_text("utf-8", "surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as exc:
        _logger.warning("cannot read %s: %s; continuing without it", path, exc.strerror)
        return ""


def use_one_heap() -> None:
    """Make the C library allocate the memory of all threads from one heap.

    Call this before any thread starts.  glibc would give each thread a heap of its own,
    but `return_free_pages` only returns the free end of the first.  So each I/O thread
    could keep the memory of its largest frame.

    Large blocks come from that heap too, and its free end stays until it is returned
    explicitly.  Otherwise the kernel would provide and clear the pages of a heartbeat
    of 1 MiB each time, which takes longer than reading it.

    This and `return_free_pages` have no effect if Python uses an allocator of its own
    for large blocks too: see `log_allocator`.
    """
    with contextlib.suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, _HEAP_BLOCK_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _HEAP_BLOCK_BYTES)


def return_free_pages() -> None:
    """Make the C library return unused pages to the system.

    glibc keeps the memory of a frame of 10 MiB for the next one.  This call takes a few
    milliseconds for each 100 MiB that the process holds.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def log_allocator() -> None:
    """Warn if this Python keeps freed memory, and so may exceed the budgets.

    Free-threaded builds take all memory from mimalloc.  It returns freed pages to the
    kernel only while it serves later requests for memory, and an idle daemon makes
    none.  CPython does not export the function that forces it (`mi_collect`).  So the
    only remedy is an option that mimalloc reads from the environment when the process
    starts.  The daemon does not restart itself to set that option, because it has a
    price: the buffer of each read is returned too, which takes 8 us more for a pulse of
    5 KB and 300 us more for one of 1 MiB.
    """
    allocator = os.environ.get("PYTHONMALLOC", "")
    is_mimalloc = "t" in sys.abiflags or allocator.startswith("mimalloc")
    if is_mimalloc and os.environ.get("MIMALLOC_PURGE_DELAY") != "0":
        _logger.warning(
            "this Python's allocator (mimalloc) keeps memory that was freed, so the"
            " daemon may take several times its budgets; set MIMALLOC_PURGE_DELAY=0"
            " in its environment, or use a Python with the GIL"
        )
