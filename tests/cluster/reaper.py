"""Stops a cluster if the process that started it no longer can.

As a program it reads from its standard input what to look for.  The input ends when
the parent closes it or dies in any way.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, cast

from tests.cluster import processes
from tests.real.jvm import ROOT

REAP_TIMEOUT_S = 60


class Reaper:
    """A process that outlives this one, if need be.

    Args:
        folder: of the cluster, which all its processes have in their command line.
        namespaces: the names of its network namespaces.

    """

    def __init__(self, folder: Path, namespaces: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.cluster.reaper"],
            stdin=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            # What interrupts this process must not end that one.
            start_new_session=True,
        )
        stdin = cast("IO[str]", self._process.stdin)
        stdin.write("\n".join([str(folder), *namespaces]))
        stdin.flush()

    def close(self) -> None:
        """Let it look for what is left, and end."""
        self._process.communicate(timeout=REAP_TIMEOUT_S)


def main() -> None:
    """Wait for the parent's end, and take down what it has left."""
    name, *namespaces = sys.stdin.read().splitlines()
    folder = Path(name)
    processes.kill_all(folder)
    shutil.rmtree(folder, ignore_errors=True)
    for namespace in namespaces:
        delete = ["ip", "netns", "delete", namespace]
        subprocess.run(delete, stderr=subprocess.DEVNULL, check=False)


if __name__ == "__main__":
    main()
