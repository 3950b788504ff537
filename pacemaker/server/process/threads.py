"""Helpers to start threads, to join them, and to queue calls on them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeAlias

from pacemaker.errors import StartError

# Queues a function on a thread that runs queued calls.
CallSoon: TypeAlias = Callable[[Callable[[], None]], None]


def start_thread(thread: threading.Thread) -> None:
    """Start a thread.

    Raises:
        StartError: the system has no room for another thread.
    """
    try:
        thread.start()
    except (RuntimeError, MemoryError) as exc:
        raise StartError(
            f"cannot start the thread {thread.name}: {exc}; the user or the control"
            " group may have no more threads (ulimit -u, TasksMax=, pids.max), or"
            " memory is short"
        ) from exc


def join_thread(thread: threading.Thread) -> None:
    """Join a thread, if it was ever started."""
    if thread.ident is not None:
        thread.join()
