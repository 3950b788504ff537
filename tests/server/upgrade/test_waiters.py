"""Who wait for an outcome, and who ask for it."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import threading
from collections.abc import Iterator

import pytest

from pacemaker.errors import UpgradeError
from pacemaker.server.process.local_socket import address_of
from pacemaker.server.upgrade import waiters as module
from pacemaker.server.upgrade.request import request_upgrade
from pacemaker.server.upgrade.waiters import REFUSED, SERVES, Waiters

pytestmark = pytest.mark.io

GIVE_UP_S = 10.0


@pytest.fixture
def asked() -> Iterator[None]:
    """Keep the signal that asks for an upgrade."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    yield
    while signal.sigtimedwait({signal.SIGUSR2}, 0) is not None:
        pass
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.fixture
def waiters(asked: None) -> Iterator[Waiters]:
    """Listen in the name of this process."""
    waiters = Waiters.open()
    yield waiters
    waiters.close("over")


class Asking(threading.Thread):
    """Asks this process, from a thread, and keeps what came of it."""

    def __init__(self) -> None:
        super().__init__()
        self.outcome = "not over"
        self.start()

    def run(self) -> None:
        """Ask."""
        try:
            request_upgrade(os.getpid(), GIVE_UP_S)
        except UpgradeError as exc:
            self.outcome = str(exc)
        else:
            self.outcome = "upgraded"

    def end(self) -> str:
        """Wait for what comes of it."""
        self.join(GIVE_UP_S)
        return self.outcome


def _await_request() -> None:
    assert signal.sigtimedwait({signal.SIGUSR2}, GIVE_UP_S) is not None


@pytest.mark.parametrize(
    ("told", "outcome"),
    [
        (SERVES, "upgraded"),
        (f"{REFUSED}no such\nfile", "refused: no such file"),
        ("", "the daemon closed the connection without an outcome"),
    ],
)
def test_asking_waits_for_the_outcome(
    waiters: Waiters, told: str, outcome: str
) -> None:
    """The signal comes once the asker can be told; then one line is the outcome."""
    asking = Asking()
    _await_request()
    waiters.accept()
    waiters.tell(told)
    assert asking.end().startswith(outcome)


def test_asking_goes_over_to_the_next_process(waiters: Waiters) -> None:
    """Who waits, and who is about to, is told by whoever has the descriptors."""
    first = Asking()
    _await_request()
    waiters.accept()
    second = Asking()
    _await_request()
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
    _await_request()
    waiters.accept()
    waiters.tell(SERVES)
    assert asking.end().startswith(outcome)


def test_asking_ends_when_the_daemon_stops(waiters: Waiters) -> None:
    """Who is still in the backlog is told, too."""
    asking = Asking()
    _await_request()
    waiters.close(f"{REFUSED}the daemon is stopping")
    assert asking.end() == "refused: the daemon is stopping"


def test_asking_gives_up_in_time(waiters: Waiters) -> None:
    """A daemon that says nothing does not hold up who asks."""
    with pytest.raises(UpgradeError, match="no outcome in time"):
        request_upgrade(os.getpid(), 0.05)


def test_asking_sends_nothing_to_a_process_that_is_no_daemon(asked: None) -> None:
    """SIGUSR2 would end another program, so it is not sent to one."""
    with pytest.raises(UpgradeError, match="is not a running storm-pacemaker-py"):
        request_upgrade(os.getpid(), GIVE_UP_S)
    assert signal.sigtimedwait({signal.SIGUSR2}, 0) is None


def test_asking_trusts_nobody_who_answers_for_another(asked: None) -> None:
    """Who listens in the name of another process is found out by the kernel."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as impostor:
        impostor.bind(address_of(1))
        impostor.listen()
        with pytest.raises(UpgradeError, match="another process listens"):
            request_upgrade(1, GIVE_UP_S)


def test_name_that_is_taken_leaves_a_daemon_without_waiters(
    waiters: Waiters, caplog: pytest.LogCaptureFixture
) -> None:
    """The daemon serves all the same, and says that nobody can wait for it."""
    second = Waiters.open()
    assert "`reload` cannot reach this daemon: Address already in use" in caplog.text
    assert (second.request_fd, second.fds) == (-1, ())
    second.accept()
    second.close("over")


def test_who_waits_is_told_with_no_descriptor_free(waiters: Waiters) -> None:
    """One is kept for that; it is taken back for the next one."""
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
    """The name of a file may hold any byte."""
    asking = Asking()
    _await_request()
    waiters.accept()
    waiters.tell(f"{REFUSED}{os.fsdecode(bytes([255]))}")
    assert asking.end() == r"refused: \udcff"
