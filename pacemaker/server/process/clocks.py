"""CLOCK_BOOTTIME, which means the same before and after an upgrade."""

from __future__ import annotations

import os
import time
from pathlib import Path


def boot_time_s() -> float:
    """Return the seconds since the machine booted, including time suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def process_start_s(stat: Path = Path("/proc/self/stat")) -> float:
    """Return when this process started, in seconds since 1970; 0 if it is unknown.

    An upgrade in place does not change it.
    """
    try:
        # The program's name, in parentheses, may contain anything.
        ticks = int(stat.read_text().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0.0
    return time.time() - boot_time_s() + ticks / os.sysconf("SC_CLK_TCK")


def boottime_ahead_s() -> float:
    """Return by how much CLOCK_BOOTTIME is ahead of the monotonic clock."""
    return boot_time_s() - time.monotonic()
