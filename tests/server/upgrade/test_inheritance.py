"""What a process inherits from itself over an upgrade."""

from __future__ import annotations

import pytest

from pacemaker.server.upgrade.inheritance import Inheritance
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
