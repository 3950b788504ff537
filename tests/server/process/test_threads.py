"""Threads that are started and waited for."""

from __future__ import annotations

import threading

import pytest

from pacemaker.errors import StartError
from pacemaker.server.process.threads import join_thread, start_thread


class _NoRoom(threading.Thread):
    """A thread that the system refuses to start."""

    def start(self) -> None:
        """Fail as `threading` does."""
        raise RuntimeError("can't start new thread")


def test_thread_without_room_is_a_line_that_says_what_to_raise() -> None:
    """The error names the thread, and the limits that may be too low."""
    with pytest.raises(StartError, match=r"cannot start the thread x: .*TasksMax="):
        start_thread(_NoRoom(name="x"))


def test_thread_that_was_never_started_is_not_waited_for() -> None:
    """A start that failed halfway can be undone like a complete one."""
    join_thread(threading.Thread())
