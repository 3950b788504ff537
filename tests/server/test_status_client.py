"""Asking a daemon for its status, and why there may be no answer."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from pacemaker.errors import StatusError
from pacemaker.server import status, status_client
from pacemaker.server.status import StatusSocket
from pacemaker.server.status_client import ask

TIMEOUT_S = 10.0


@pytest.fixture
def sock() -> Iterator[StatusSocket]:
    """Open the socket of this process."""
    opened = StatusSocket()
    yield opened
    opened.close()


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
    asked = threading.Event()
    read_all = status_client._read_all

    def noted(connection: socket.socket, deadline_s: float) -> bytes:
        asked.set()
        return read_all(connection, deadline_s)

    monkeypatch.setattr(status_client, "_read_all", noted)
    monkeypatch.setattr(status, "_answer", lambda *_: None)

    def answer() -> None:
        asked.wait(TIMEOUT_S)
        sock.answer_waiting(dict)

    thread = threading.Thread(target=answer)
    thread.start()
    with pytest.raises(StatusError, match="answers only root and its own user"):
        ask(os.getpid(), TIMEOUT_S)
    thread.join()
