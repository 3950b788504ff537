"""Helpers to start threads, to join them, and to queue calls on them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pacemaker.errors import StartError

# How long a thread that computes may keep the interpreter from one that waits for it.
# Python's default is 5 ms, and an I/O thread may wait that long after each system call
# while another thread computes, such as a page of the admin endpoint.  If only one
# thread has work, as nearly always, it makes no difference.
_SWITCH_S: Final = 0.0005


def switch_often() -> None:
    """Have Python's threads wait less for each other in this process."""
    sys.setswitchinterval(_SWITCH_S)


@contextmanager
def as_thread_error(what: str) -> Iterator[None]:
    """Turn the error of a thread that cannot be started into an error of one line.

    Args:
        what: names the thread, with an article.

    Raises:
        StartError: the system has no room for another thread.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as exc:
        raise StartError(
            f"cannot start {what}: {exc}; the user or the control group may have no"
            " more threads (ulimit -u, TasksMax=, pids.max), or memory is short"
        ) from exc


def start_thread(thread: threading.Thread) -> None:
    """Start a thread.

    Raises:
        StartError: the system has no room for another thread.
    """
    with as_thread_error(f"the thread {thread.name}"):
        thread.start()


def join_thread(thread: threading.Thread) -> None:
    """Join a thread, if it was ever started."""
    if thread.ident is not None:
        thread.join()
