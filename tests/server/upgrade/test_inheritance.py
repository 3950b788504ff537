"""What a process inherits from itself over an upgrade."""

from __future__ import annotations

import weakref
from typing import cast

import pytest

from pacemaker.server.upgrade.inheritance import Inheritance
from pacemaker.server.upgrade.upgradable import Upgradable
from pacemaker.server.upgrade_state import DaemonState
from tests.server.upgrade.test_state_format import SMALL

pytestmark = pytest.mark.io


def test_listener_of_a_lost_state_is_taken_for_anothers() -> None:
    """Otherwise a `pacemaker.port` without effect could refuse the next upgrade."""
    lost = Inheritance(None)
    assert not lost.is_own_listener
    assert (lost.admin_fd, lost.upgrades) == (-1, 1)
    lost.waiters.close("over")


def test_listener_of_a_state_is_what_the_state_says() -> None:
    """The state says whether the daemon opened the listener itself."""
    for is_own in (True, False):
        state = SMALL._replace(is_own_listener=is_own, request_fd=-1)
        inheritance = Inheritance(state)
        assert inheritance.is_own_listener is is_own
        inheritance.waiters.close("over")
        assert inheritance.upgrades == SMALL.upgrades + 1


class Restored:
    """Takes the place of a daemon, and keeps no more of a state than one does."""

    def __init__(self) -> None:
        self.restored = 0

    def restore(self, state: DaemonState, ahead_s: float) -> None:
        """Count the call."""
        self.restored += 1


def test_state_is_not_kept_once_it_is_restored() -> None:
    """It has a copy of every heartbeat, which would stay until the next upgrade."""

    class Heartbeats(list[tuple[str, bytes]]):
        """A list to which there can be a weak reference."""

    heartbeats = Heartbeats(SMALL.heartbeats)
    kept = weakref.ref(heartbeats)
    inheritance = Inheritance(SMALL._replace(heartbeats=heartbeats, request_fd=-1))
    del heartbeats
    assert kept() is not None
    daemon = Restored()
    for _ in range(2):
        inheritance.restore(cast("Upgradable", daemon))
    assert daemon.restored == 1
    assert kept() is None
    inheritance.waiters.close("over")
    assert inheritance.upgrades == SMALL.upgrades + 1
