"""Fixtures that let this process stand for a daemon that is asked to upgrade."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from pacemaker.server.upgrade.waiters import Waiters


@pytest.fixture
def asked() -> Iterator[None]:
    """Keep the signal that asks for an upgrade."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    yield
    while signal.sigtimedwait({signal.SIGUSR2}, 0) is not None:
        pass
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.fixture
def waiters(asked: None) -> Iterator[Waiters]:
    """Listen in the name of this process."""
    waiters = Waiters.open()
    yield waiters
    waiters.close("over")
