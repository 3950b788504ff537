"""Cores that are kept awake while latencies are measured.

A core of a virtual machine that has nothing to do is given away, and wakes up late,
by up to some milliseconds: that is the machine's doing, and more of a tail than any
server's.  Here a process of the lowest class runs on each; it gives way at once to
whoever wants the core, and has only the time that nobody else wants.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# It ends with its parent, however that ends.
_RUN_IDLE: Final = """
import os, sys
parent, core = map(int, sys.argv[1:])
os.sched_setaffinity(0, {core})
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
while os.getppid() == parent:
    for _ in range(10_000):
        pass
"""


@contextmanager
def cores_awake() -> Iterator[None]:
    """Keep each core that this process may use from falling idle."""
    argv = [sys.executable, "-c", _RUN_IDLE, str(os.getpid())]
    children = [
        subprocess.Popen([*argv, str(core)]) for core in os.sched_getaffinity(0)
    ]
    try:
        yield
    finally:
        for child in children:
            child.kill()
            child.wait()
