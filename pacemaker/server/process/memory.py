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

# What `pacemaker.childopts` gives the JVM (-Xmx1024m).
_ASSUMED_BYTES: Final = 1024 * 1024 * 1024
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
    RLIMIT_AS.  A limit that cannot be read is logged and left out.  If nothing at
    all can be read, a gibibyte is assumed, which is what Storm gives its Pacemaker.
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
    """Return what the process may still take, by the machine and by each limit.

    What the kernel can drop at once, unused files above all, counts as free.  What
    cannot be read is unknown, which is not 0: it is left out.

    Returns:
        The least of what is known; None if nothing is.
    """
    available_kib = _number(proc / "meminfo", "MemAvailable:")
    free = [] if available_kib is None else [available_kib * 1024]
    for file, limit in _cgroup_limits(proc, cgroups):
        free.extend(_known(_left_in_group(file, limit)))
    free.extend(_known(_left_of_address_space(proc)))
    return max(0, min(free)) if free else None


def _known(size_bytes: int | None) -> list[int]:
    return [] if size_bytes is None else [size_bytes]


def _machine_bytes() -> int | None:
    try:
        pages = os.sysconf("SC_PHYS_PAGES")
        size_bytes = os.sysconf("SC_PAGE_SIZE") * pages
    except (OSError, ValueError):
        return None
    # -1 is what the C library says when it does not know.
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
    """Find a line of a small file of the kernel's and read its number, if any."""
    for line in _read(file).splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == name and words[1].isdecimal():
            return int(words[1])
    return None


def _cgroup_limits(proc: Path, cgroups: Path) -> list[tuple[Path, int]]:
    """Find each limit that is set on the process, and the file that says so."""
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
    """Read the limit of a group and of each around it; in a container, of its root."""
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
    """Read a small file of the kernel's; empty if there is none.

    That there is none is usual: a root group has no limit, and one version of the
    control groups not the files of the other.  Any other error is logged, as a limit
    may be passed that is there (no descriptor is left, or the file is not ours).
    """
    try:
        # The names of groups are bytes; they are asked for as they were read.
        return path.read_text("utf-8", "surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as exc:
        _logger.warning("cannot read %s: %s; doing without", path, exc.strerror)
        return ""


def use_one_heap() -> None:
    """Have the C library take memory for all threads from one heap.

    To be called before there are any threads.  glibc would give each a heap of
    its own, and `return_free_pages` gives back the free end of the first alone:
    each I/O thread could keep what its largest frame took.

    Large blocks come from there too, and the free end stays until it is given
    back: the pages of a heartbeat of 1 MiB are fetched from the kernel and
    cleared for each one otherwise, which takes longer than to read it.

    This and `return_free_pages` do nothing where Python has an allocator of its own
    for large blocks, too: see `log_allocator`.
    """
    with contextlib.suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, _HEAP_BLOCK_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _HEAP_BLOCK_BYTES)


def return_free_pages() -> None:
    """Have the C library give back the pages that hold nothing any more.

    glibc keeps what a frame of 10 MiB took for the next one.  It takes a few
    milliseconds for each 100 MiB that the process holds.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def log_allocator() -> None:
    """Warn if this Python keeps memory that was freed: more than the budgets.

    Free-threaded builds take all memory from mimalloc.  It returns freed pages to the
    kernel only while it serves later requests for memory, and an idle daemon makes
    none.  CPython does not export the function that forces it (`mi_collect`), so all
    that helps is an option, which mimalloc reads from the environment when the process
    starts.  The daemon does not restart itself to set it, because it has its price:
    the buffer of each read is returned too, which takes 8 us more for a pulse of 5 KB
    and 300 us more for one of 1 MiB.
    """
    allocator = os.environ.get("PYTHONMALLOC", "")
    is_mimalloc = "t" in sys.abiflags or allocator.startswith("mimalloc")
    if is_mimalloc and os.environ.get("MIMALLOC_PURGE_DELAY") != "0":
        _logger.warning(
            "this Python's allocator (mimalloc) keeps memory that was freed, so the"
            " daemon may take several times its budgets; set MIMALLOC_PURGE_DELAY=0"
            " in its environment, or use a Python with the GIL"
        )
