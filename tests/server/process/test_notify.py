"""Notifications to systemd, read from a socket like systemd's."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from pacemaker.server.process.notify import Notifier

pytestmark = pytest.mark.io


class Manager:
    """A fake service manager: a datagram socket, and what it received."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(10)
        self.socket.bind(address)

    def told(self) -> dict[str, str]:
        """Return the assignments of the next datagram."""
        lines = self.socket.recv(4096).decode().split("\n")
        return dict(line.split("=", 1) for line in lines)


Notifying: TypeAlias = Callable[[str], Notifier]


@pytest.fixture
def notifying() -> Iterator[Notifying]:
    """Return a function that makes a notifier for an address."""
    with contextlib.ExitStack() as closing:

        def make(address: str) -> Notifier:
            notifier = Notifier({"NOTIFY_SOCKET": address})
            closing.callback(notifier.close)
            return notifier

        yield make


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Return the path of a socket that does not exist yet."""
    return str(tmp_path / "notify")


@pytest.fixture
def manager(path: str) -> Iterator[Manager]:
    """Yield a manager that listens on the path."""
    manager = Manager(path)
    yield manager
    manager.socket.close()


def fill(path: str) -> None:
    """Send to a manager that does not read, until its queue is full."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.setblocking(False)
        other.connect(path)
        with contextlib.suppress(BlockingIOError):
            while True:
                other.send(b"WATCHDOG=1")


def drain(manager: Manager) -> None:
    """Read what `fill` has sent, and find nothing else."""
    manager.socket.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            assert manager.told() == {"WATCHDOG": "1"}


def test_notifier_tells_each_step_of_the_life(
    manager: Manager, notifying: Notifying, path: str
) -> None:
    """Each step is one datagram, in the words of sd_notify."""
    notifier = notifying(path)
    notifier.announce_ready("serving")
    assert manager.told() == {"READY": "1", "STATUS": "serving"}
    notifier.announce_status("serving on")
    assert manager.told() == {"STATUS": "serving on"}
    notifier.feed_watchdog()
    assert manager.told() == {"WATCHDOG": "1"}
    notifier.announce_stopping()
    assert manager.told() == {"STOPPING": "1", "STATUS": "stopping"}


def test_notifier_says_when_a_reload_began(
    manager: Manager, notifying: Notifying, path: str
) -> None:
    """RELOADING has the time, so that systemd knows which READY ends it."""
    before_us = time.monotonic_ns() // 1000
    notifying(path).announce_reloading()
    told = manager.told()
    assert told["RELOADING"] == "1"
    assert before_us <= int(told["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000


def test_notifier_speaks_to_an_abstract_socket(notifying: Notifying) -> None:
    """An address that begins with @ is an abstract socket."""
    name = f"storm-pacemaker-py-test-{os.getpid()}"
    manager = Manager("\0" + name)
    notifying(f"@{name}").feed_watchdog()
    assert manager.told() == {"WATCHDOG": "1"}
    manager.socket.close()


def test_notifier_keeps_a_status_in_its_line(
    manager: Manager, notifying: Notifying, path: str
) -> None:
    """A line end within a status does not start another assignment."""
    notifying(path).announce_status("refused\nMAINPID=1")
    assert manager.told() == {"STATUS": "refused MAINPID=1"}


def test_notifier_tells_a_reason_that_is_no_utf_8(
    manager: Manager, notifying: Notifying, path: str
) -> None:
    """A reason may contain any bytes, from a file's name; they are escaped."""
    notifying(path).announce_status(os.fsdecode(b"/\xff/storm.yaml"))
    assert manager.told() == {"STATUS": r"/\udcff/storm.yaml"}


def test_notifier_needs_no_descriptor_to_tell(
    manager: Manager,
    notifying: Notifying,
    path: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a free descriptor, the watchdog is still fed."""
    notifier = notifying(path)

    def fail(*args: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket, "socket", fail)
    notifier.feed_watchdog()
    assert manager.told() == {"WATCHDOG": "1"}


def test_notifier_tells_later_what_finds_no_room(
    manager: Manager, notifying: Notifying, path: str
) -> None:
    """If the queue is full, a READY is sent later; a watchdog feeding is not."""
    notifier = notifying(path)
    fill(path)
    notifier.announce_ready("serving")
    notifier.feed_watchdog()
    drain(manager)
    notifier.send_unsent()
    assert manager.told() == {"READY": "1", "STATUS": "serving"}
    notifier.feed_watchdog()
    assert manager.told() == {"WATCHDOG": "1"}


def test_notifier_never_waits_for_room(
    notifying: Notifying, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With any timeout, CPython would repeat the call and take a whole core."""
    opened: list[socket.socket] = []

    class Noted(socket.socket):
        def __init__(self, family: int, kind: int) -> None:
            super().__init__(family, kind)
            opened.append(self)

    monkeypatch.setattr(socket, "socket", Noted)
    notifying(path)
    assert [each.gettimeout() for each in opened] == [0.0]


def test_notifier_tells_at_its_end_what_found_no_room(
    manager: Manager, notifying: Notifying, path: str
) -> None:
    """No turn follows a STOPPING, so closing sends it again."""
    notifier = notifying(path)
    fill(path)
    notifier.announce_stopping()
    drain(manager)
    notifier.close()
    assert manager.told() == {"STOPPING": "1", "STATUS": "stopping"}


def test_notifier_ends_although_there_is_no_room(
    manager: Manager, notifying: Notifying, path: str
) -> None:
    """A manager that does not read does not keep the daemon from its end."""
    notifier = notifying(path)
    fill(path)
    notifier.announce_stopping()
    notifier.close()
    drain(manager)


def test_notifier_is_silent_where_nobody_listens(
    notifying: Notifying, path: str
) -> None:
    """Without a manager, or with one that is gone, nothing fails."""
    for address in ("", path, "x" * 200):
        notifying(address).announce_ready("serving")


@pytest.mark.parametrize(
    ("environ", "watchdog_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": str(os.getpid())}, 1.5),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_notifier_reads_when_the_watchdog_wants_food(
    environ: dict[str, str], watchdog_s: float | None
) -> None:
    """Only a watchdog that is meant for this process is fed."""
    assert Notifier(environ).watchdog_s == watchdog_s


def test_notifier_without_unix_sockets_is_silent(
    path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A sandbox may forbid them; the daemon serves, and the log says what to allow."""

    def refuse(*args: object) -> None:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", refuse)
    Notifier({"NOTIFY_SOCKET": path}).announce_ready("serving")
    assert "cannot notify the service manager: Address family" in caplog.text
