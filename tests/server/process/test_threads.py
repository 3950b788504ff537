"""Threads that are started and waited for."""

from __future__ import annotations

import sys
import threading

import pytest

from pacemaker.errors import StartError
from pacemaker.server.process.threads import join_thread, start_thread, switch_often


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


def test_thread_that_waits_for_the_interpreter_waits_for_less_than_usual() -> None:
    """A thread that computes must give it up ten times as often as by default."""
    before_s = sys.getswitchinterval()
    try:
        switch_often()
        assert sys.getswitchinterval() <= 0.0005
    finally:
        sys.setswitchinterval(before_s)
