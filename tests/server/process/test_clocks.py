"""The clock that an upgrade carries times on."""

from __future__ import annotations

import time

import pytest

from pacemaker.server.process.clocks import boottime_ahead_s


def test_clocks_are_told_apart() -> None:
    """The state's clock is ahead by the time that the machine was suspended."""
    before_s = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
    ahead_s = boottime_ahead_s()
    after_s = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
    # Between the two readings of one difference the process may have to wait.
    assert ahead_s == pytest.approx(min(before_s, after_s), abs=1)
