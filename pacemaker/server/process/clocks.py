"""CLOCK_BOOTTIME, which means the same before and after an upgrade."""

from __future__ import annotations

import time


def boot_time_s() -> float:
    """Return the seconds since the machine booted, including time suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boottime_ahead_s() -> float:
    """Return by how much CLOCK_BOOTTIME is ahead of the monotonic clock."""
    return boot_time_s() - time.monotonic()
