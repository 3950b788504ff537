"""Tests of benchmarks.awake."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from benchmarks.awake import cores_awake

pytestmark = pytest.mark.io

BOUND_S = 10.0


def children() -> set[int]:
    """Return the processes that this one has started and not seen end."""
    lists = Path("/proc/self/task").glob("*/children")
    return {int(pid) for each in lists for pid in each.read_text().split()}


def test_each_core_has_one_that_gives_way_to_all() -> None:
    """Of the lowest class, bound to the core, and gone in the end."""
    others = children()
    with cores_awake():
        begun = children() - others
        until_s = time.monotonic() + BOUND_S
        while {os.sched_getscheduler(pid) for pid in begun} != {os.SCHED_IDLE}:
            assert time.monotonic() < until_s
            os.sched_yield()
        cores = sorted(sorted(os.sched_getaffinity(pid)) for pid in begun)
        assert cores == [[core] for core in sorted(os.sched_getaffinity(0))]
    assert children() == others
