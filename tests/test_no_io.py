"""The guard that keeps the unit tests free of sockets and processes."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from tests.no_io import GUARD, IS_MEASURED, IoInUnitTestError

pytestmark = [
    pytest.mark.io,
    pytest.mark.skipif(IS_MEASURED, reason="a measured run has no guard"),
]

WAYS: dict[str, Callable[[], object]] = {
    "socket": lambda: socket.socket(),
    "process": lambda: subprocess.run([sys.executable, "-c", ""], check=True),
    "spawned process": lambda: os.posix_spawn(sys.executable, [sys.executable], {}),
    "fork": lambda: os.fork(),
    "shell": lambda: os.system("true"),  # noqa: S605  (never started)
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_guard_refuses_sockets_and_processes(way: Callable[[], object]) -> None:
    """Nothing is opened or started; the error names the mark that allows it."""
    with pytest.raises(IoInUnitTestError, match=r"pytest\.mark\.io"), GUARD.watching():
        way()


def test_guard_tells_of_what_the_tested_code_has_caught() -> None:
    """Code that survives any exception does not hide that it did I/O."""

    def careless() -> None:
        with contextlib.suppress(Exception):
            socket.socket()

    with pytest.raises(IoInUnitTestError), GUARD.watching():
        careless()


def test_guard_hears_other_threads() -> None:
    """A thread that a test has started is watched with it."""

    def open_socket() -> None:
        with contextlib.suppress(IoInUnitTestError):
            socket.socket()

    def start_thread() -> None:
        thread = threading.Thread(target=open_socket)
        thread.start()
        thread.join()

    with pytest.raises(IoInUnitTestError), GUARD.watching():
        start_thread()


def test_guard_lets_a_thread_of_an_earlier_test_end() -> None:
    """A relay that is closed leaves a thread that still opens a connection."""
    is_unit_test = threading.Event()
    opened = []

    def open_socket() -> None:
        is_unit_test.wait()
        with socket.socket() as sock:
            opened.append(sock.fileno())

    thread = threading.Thread(target=open_socket)
    thread.start()
    with GUARD.watching():
        is_unit_test.set()
        thread.join()
    assert opened


def test_guard_minds_nothing_once_it_has_stopped() -> None:
    """Tests that may do I/O follow those that may not."""
    with GUARD.watching():
        pass
    with socket.socket() as sock:
        assert sock.fileno() >= 0
