"""What all tests share."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator

import pytest
from hypothesis import settings

from tests.no_io import GUARD, may_do_io

# Tests block a signal and send it to their own process.  Threads that numpy (behind
# the plots) starts when it is imported do not block it, and the process ends by it.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

# `nohup` has SIGHUP ignored, by the tests' daemons too, which then do not reload by it.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
# Likewise a shell that runs a command in the background has SIGINT ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A machine that is busy with Java beside the tests makes single examples slow
# now and then; and a failure must be repeatable from what it prints.
settings.register_profile("default", deadline=None, print_blob=True)
settings.load_profile("default")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put unit tests first and those against real parts last: fast failures first.

    `-m "not io"` leaves the unit tests, so whatever needs a real part is `io` too.
    """
    for item in items:
        if may_do_io(item):
            item.add_marker("io")
    items.sort(key=lambda item: (may_do_io(item), is_real(item)))


def is_real(item: pytest.Item) -> bool:
    """Return whether a test needs a JDK, Storm's jars or another real part."""
    return item.get_closest_marker("real") is not None


# The hooks of setup and teardown, rather than a fixture: fixtures of modules and of
# the session are set up before any fixture of a test.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Watch a unit test, its fixtures included."""
    if not may_do_io(item):
        GUARD.start()
    yield


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Fail a unit test that has done I/O, also if nobody saw the exception."""
    try:
        yield
    finally:
        GUARD.stop()
