"""Describe the machine that a run was on."""

from __future__ import annotations

import os
import platform
import re
import sys
from pathlib import Path


def describe_machine() -> dict[str, str]:
    """Return the properties that figures depend on, as names and values."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": f"{_cpu_model()}, {len(os.sched_getaffinity(0))} cores",
        "memory": f"{memory_bytes / 2**30:.0f} GiB",
        "system": f"{_distribution()}, Linux {platform.release().split('-')[0]}",
    }


def describe_python() -> str:
    """Return the version of this interpreter, and whether it is the distribution's.

    Distributions compile it with profile-guided optimization, which other builds may
    lack (docs/performance.md).
    """
    whose = ", the system's" if Path(sys.base_prefix) == Path("/usr") else ""
    return f"CPython {platform.python_version()}{whose}"


def _cpu_model() -> str:
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()
