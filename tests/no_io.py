"""A guard over the unit tests: one that opens a socket or starts a process fails.

A test that needs either is marked `io`.  The guard hears the interpreter's audit
events rather than patching functions: they tell of every way to a socket or a
process, also those of C code, of threads and of names that were imported before.

Threads that an earlier test has left to end by themselves may go on: a thread that was
connecting when its relay was closed opens its socket a moment later.

A run that coverage measures goes without.  The interpreter tells its audit hooks when
a trace function is installed, as coverage does in each thread, and refuses a second
one meanwhile: a hook in Python may give way to another thread just then, which ends.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

MARKS = ("io", "real", "cluster", "compose")
"""Tests with any of these may do I/O."""

FORBIDDEN = frozenset(
    ("os.fork", "os.forkpty", "os.posix_spawn", "os.system", "socket.__new__")
) | {"subprocess.Popen"}


IS_MEASURED = sys.gettrace() is not None
"""Whether coverage traces this run."""


class IoInUnitTestError(AssertionError):
    """A test without the mark `io` did something that needs it."""

    def __init__(self, events: list[str]) -> None:
        super().__init__(
            f"a unit test may not use {', '.join(events)}: do without, or mark the"
            " test (or its module, by `pytestmark`) with `pytest.mark.io`"
        )


class Guard:
    """Refuses I/O while it watches; nothing in a run that is measured."""

    def __init__(self) -> None:
        self._is_on = False
        self._seen: list[str] = []
        self._earlier_threads: frozenset[threading.Thread] = frozenset()
        # A hook cannot be removed, so there is one for the whole run.
        if not IS_MEASURED:
            sys.addaudithook(self._hear)

    def _hear(self, event: str, args: tuple[object, ...]) -> None:
        if self._is_on and event in FORBIDDEN:
            if threading.current_thread() in self._earlier_threads:
                return
            self._seen.append(event)
            raise IoInUnitTestError([event])

    def start(self) -> None:
        """Refuse I/O from now on, by this thread and those that start from now on."""
        others = frozenset(threading.enumerate()) - {threading.current_thread()}
        self._earlier_threads = others
        self._is_on = True

    def stop(self) -> None:
        """Allow I/O again.

        Raises:
            IoInUnitTestError: some was tried; the tested code may have caught the
                first exception.
        """
        self._is_on = False
        seen, self._seen = self._seen, []
        if seen:
            raise IoInUnitTestError(sorted(set(seen)))

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Refuse I/O within a block."""
        self.start()
        try:
            yield
        finally:
            self.stop()


GUARD = Guard()
"""The run's only one."""


def may_do_io(item: pytest.Item) -> bool:
    """Return whether a test is marked as one that does I/O."""
    return any(item.get_closest_marker(mark) for mark in MARKS)
