"""Keep cores awake while latencies are measured.

A virtual machine gives an idle core away, and gets it back up to some milliseconds
late.  This delay comes from the machine, and it exceeds the tail latency of any server.
So a process of the lowest scheduling class runs on each core: it uses only time that no
other process wants, and gives way at once.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# It ends when its parent does, even if the parent is killed.
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
