"""The kernel's table of descriptors, as /proc shows it."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import subprocess
import sys

import pytest

from pacemaker.server.process.descriptor_table import grow_descriptor_table

pytestmark = pytest.mark.io

# Prints the size of the table before and after, and how many descriptors are open.
_PROGRAM = """
import os, resource, sys
from pathlib import Path
from pacemaker.server.process.descriptor_table import grow_descriptor_table

def size():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("FDSize:"))

_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), most))
before, opened = size(), os.listdir("/proc/self/fd")
grow_descriptor_table()
print(before, size(), os.listdir("/proc/self/fd") == opened)
"""


@pytest.mark.parametrize(("limit", "size"), [(3000, 4096), (64, 64)])
def test_table_has_room_for_all_descriptors_at_once(limit: int, size: int) -> None:
    """No connection waits until it has grown; nothing stays open."""
    argv = [sys.executable, "-c", _PROGRAM, str(limit)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True)
    before, after, is_same = done.stdout.split()
    assert int(before) <= 256
    assert int(after) == max(size, int(before))
    assert is_same == "True"


@pytest.mark.parametrize("limit", [100_000, resource.RLIM_INFINITY])
def test_table_is_limited(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    """A container may allow a million descriptors, which no Pacemaker needs."""
    asked: list[int] = []

    def refuse(file: object, command: int, least: int) -> int:
        asked.append(least)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(resource, "getrlimit", lambda which: (limit, limit))
    monkeypatch.setattr(fcntl, "fcntl", refuse)
    grow_descriptor_table()
    assert asked == [65535]
