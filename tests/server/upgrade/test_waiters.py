"""Tests of pacemaker.server.upgrade.waiters: the clients that wait for an outcome."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
from collections.abc import Iterator

import pytest

from pacemaker.server.process.local_socket import address_of
from pacemaker.server.upgrade import waiters as module
from pacemaker.server.upgrade.waiters import REFUSED, SERVES, Waiters
from tests.server.upgrade.asking import GIVE_UP_S, Asking, await_request

pytestmark = pytest.mark.io


def test_asking_goes_over_to_the_next_process(waiters: Waiters) -> None:
    """Waiting clients, and ones still in the backlog, are told by the next process."""
    first = Asking()
    await_request()
    waiters.accept()
    second = Asking()
    await_request()
    fds = [os.dup(fd) for fd in (waiters.request_fd, *waiters.fds)]
    heir = Waiters.inherit(fds[0], fds[1:])
    assert all(not os.get_inheritable(fd) for fd in fds)
    waiters.tell("")
    heir.accept()
    heir.tell(SERVES)
    assert second.end() == "upgraded"
    first.end()
    heir.close("")


@pytest.mark.parametrize(
    ("uid", "outcome"),
    [
        (0, "upgraded"),
        (1000, "upgraded"),
        (1001, "the daemon closed the connection without an outcome"),
    ],
)
def test_only_the_daemons_own_user_and_root_may_wait(
    waiters: Waiters, uid: int, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outcome may name files; another user's connection is closed."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(module, "credentials", lambda connection: (1, uid))
    asking = Asking()
    await_request()
    waiters.accept()
    waiters.tell(SERVES)
    assert asking.end().startswith(outcome)


def test_name_that_is_taken_leaves_a_daemon_without_waiters(
    waiters: Waiters, caplog: pytest.LogCaptureFixture
) -> None:
    """The daemon still serves, and logs that nobody can wait for it."""
    second = Waiters.open()
    assert "`reload` cannot reach this daemon: Address already in use" in caplog.text
    assert (second.request_fd, second.fds) == (-1, ())
    second.accept()
    second.close("over")


def test_who_waits_is_told_with_no_descriptor_free(waiters: Waiters) -> None:
    """A reserved descriptor is used for the answer, and then reserved again."""
    for _ in range(2):
        with _no_descriptor_free():
            # Nobody has asked: the one in reserve is kept.
            waiters.accept()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.settimeout(GIVE_UP_S)
            asking.connect(address_of(os.getpid()))
            with _no_descriptor_free():
                waiters.accept()
                waiters.tell(f"{REFUSED}no descriptor")
            assert asking.recv(100) == b"refused: no descriptor\n"


@contextlib.contextmanager
def _no_descriptor_free() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.ExitStack() as taken:
        fd = os.dup(0)
        taken.callback(os.close, fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (fd + 1, hard))
        taken.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        with contextlib.suppress(OSError):
            while True:
                taken.callback(os.close, os.dup(0))
        yield


def test_reason_that_is_no_utf_8_is_told(waiters: Waiters) -> None:
    """A reason may contain any bytes, from a file's name."""
    asking = Asking()
    await_request()
    waiters.accept()
    waiters.tell(f"{REFUSED}{os.fsdecode(bytes([255]))}")
    assert asking.end() == r"refused: \udcff"
