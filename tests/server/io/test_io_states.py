"""What a connection waits for, and which events it asks epoll for meanwhile."""

from __future__ import annotations

import select

import pytest

from pacemaker.server.io.io_states import INTEREST, IoState

READ_IN = {IoState.READING, IoState.LINGERING}


def test_every_condition_but_the_end_has_its_events() -> None:
    """A closed connection has no descriptor to register."""
    assert set(INTEREST) == set(IoState) - {IoState.CLOSED}


@pytest.mark.parametrize("condition", INTEREST)
def test_bytes_wake_the_loop_only_where_they_are_read(condition: IoState) -> None:
    """Epoll is level-triggered: bytes that stay unread would wake it in every turn."""
    assert bool(INTEREST[condition] & select.EPOLLIN) is (condition in READ_IN)
