"""Asking a daemon for its status, and why there may be no answer."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from pacemaker.errors import StatusError
from pacemaker.server import status, status_client
from pacemaker.server.process.local_socket import address_of
from pacemaker.server.status import PURPOSE, StatusSocket
from pacemaker.server.status_client import ask

TIMEOUT_S = 10.0


@pytest.fixture
def sock() -> Iterator[StatusSocket]:
    """Open the socket of this process."""
    opened = StatusSocket()
    yield opened
    opened.close()


@contextlib.contextmanager
def answering(sock: StatusSocket, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Answer once, when a command has connected."""
    asked = threading.Event()
    read_all = status_client._read_all

    def noted(connection: socket.socket, deadline_s: float) -> bytes:
        asked.set()
        return read_all(connection, deadline_s)

    monkeypatch.setattr(status_client, "_read_all", noted)

    def answer() -> None:
        asked.wait(TIMEOUT_S)
        sock.answer_waiting(lambda: {"keys": 1})

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield
    finally:
        asked.set()
        thread.join()


@contextlib.contextmanager
def full_queue() -> Iterator[None]:
    """Connect as often as the socket of this process allows, and ask nothing."""
    with contextlib.ExitStack() as opened:
        with contextlib.suppress(BlockingIOError):
            while True:
                idle = opened.enter_context(socket.socket(socket.AF_UNIX))
                idle.setblocking(False)
                idle.connect(address_of(os.getpid(), PURPOSE))
        yield


@pytest.mark.io
def test_a_command_is_told_why_there_is_no_answer(sock: StatusSocket) -> None:
    """No daemon, no answer in time, and not allowed are three different errors."""
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    with pytest.raises(StatusError, match="is not a serving storm-pacemaker-py"):
        ask(child.pid, TIMEOUT_S)
    with pytest.raises(StatusError, match="did not answer in time"):
        ask(os.getpid(), 0.01)


@pytest.mark.io
def test_a_command_that_is_refused_says_who_may_ask(
    sock: StatusSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty answer means that this user may not ask."""
    monkeypatch.setattr(status, "_answer", lambda *_: None)
    refused = pytest.raises(StatusError, match="answers only root and its own user")
    with answering(sock, monkeypatch), refused:
        ask(os.getpid(), TIMEOUT_S)


@pytest.mark.io
def test_a_full_queue_delays_the_answer(
    sock: StatusSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any local user can fill the queue; the daemon's next turn empties it."""
    monkeypatch.setattr(time, "sleep", lambda _: sock.answer_waiting(dict))
    with full_queue(), answering(sock, monkeypatch):
        assert ask(os.getpid(), TIMEOUT_S) == {"keys": 1}


@pytest.mark.io
def test_a_queue_that_stays_full_is_an_error(sock: StatusSocket) -> None:
    """At the deadline the command says what kept it out."""
    full = pytest.raises(StatusError, match="in time: its status socket is full")
    with full_queue(), full:
        ask(os.getpid(), 0.01)


@pytest.mark.io
@pytest.mark.parametrize(
    ("problem", "told"),
    [
        (TimeoutError(), r"did not answer in time"),
        (
            PermissionError(errno.EACCES, "Permission denied"),
            r"cannot ask.*\(Permission",
        ),
        (OSError(errno.EMFILE, "Too many open files"), r"cannot ask.*\(Too many"),
    ],
)
def test_a_system_that_does_not_let_a_command_ask_is_named(
    monkeypatch: pytest.MonkeyPatch, problem: OSError, told: str
) -> None:
    """A sandbox may hide /proc or forbid to connect, and descriptors may run out."""

    def fail(*_: object) -> str:
        raise problem

    monkeypatch.setattr(status_client, "address_of", fail)
    with pytest.raises(StatusError, match=told):
        ask(os.getpid(), TIMEOUT_S)


@pytest.mark.io
@pytest.mark.parametrize("answer", [b"{", b"\xff", b"[" * 60_000, b"[]"])
def test_an_answer_that_is_no_status_is_an_error(
    sock: StatusSocket, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    """Any program can open a socket of this name with its own process id."""
    monkeypatch.setattr(status_client, "_read_all", lambda *_: answer)
    with pytest.raises(StatusError, match="is not a status"):
        ask(os.getpid(), TIMEOUT_S)
