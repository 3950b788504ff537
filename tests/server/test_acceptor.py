"""The acceptor over a real listening socket."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pacemaker.server import limits
from pacemaker.server.acceptor import Acceptor

GIVE_UP_S = 10.0


class Adopter:
    """Stands for an I/O thread: keeps what it is given, and tells of each."""

    def __init__(self, load: int = 0) -> None:
        self.load = load
        self.adopted: list[tuple[socket.socket, str]] = []
        self.is_adopted = threading.Semaphore(0)

    def adopt(self, sock: socket.socket, peer: str) -> None:
        """Keep a connection."""
        self.adopted.append((sock, peer))
        self.load += 1
        self.is_adopted.release()

    def wait(self) -> None:
        """Wait for one more connection."""
        assert self.is_adopted.acquire(timeout=GIVE_UP_S)

    def close(self) -> None:
        """Close what was adopted."""
        for sock, _ in self.adopted:
            sock.close()


class FailingListener:
    """A listening socket whose first calls of `accept` fail, and that tells of it."""

    def __init__(self, listener: socket.socket, *errnos: int) -> None:
        self._listener = listener
        self._errnos = list(errnos)
        self.has_failed = threading.Semaphore(0)

    def fileno(self) -> int:
        """Return the real descriptor."""
        return self._listener.fileno()

    def accept(self) -> Any:
        """Fail as often as was asked for, then accept."""
        try:
            if self._errnos:
                raise OSError(self._errnos.pop(0), "as asked for")
            return self._listener.accept()
        except OSError:
            self.has_failed.release()
            raise


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Give a socket that listens and does not block."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.setblocking(False)
        yield sock


def _run(listener: Any, *adopters: Adopter) -> Acceptor:
    acceptor = Acceptor([listener], adopters)  # type: ignore[arg-type]
    acceptor.start()
    return acceptor


def _end(acceptor: Acceptor, *adopters: Adopter) -> None:
    acceptor.stop()
    acceptor.stop()
    acceptor.join(GIVE_UP_S)
    assert not acceptor.is_alive()
    acceptor.close()
    for adopter in adopters:
        adopter.close()


def test_acceptor_names_peer_and_does_not_block(listener: socket.socket) -> None:
    """A connection is handed over not blocking, under its address."""
    adopter = Adopter()
    acceptor = _run(listener, adopter)
    with socket.create_connection(listener.getsockname()) as peer:
        adopter.wait()
        sock, name = adopter.adopted[0]
        assert name == f"127.0.0.1:{peer.getsockname()[1]}"
        assert not sock.getblocking()
    _end(acceptor, adopter)


def test_acceptor_prefers_thread_with_fewest_connections(
    listener: socket.socket,
) -> None:
    """Connections are spread, so that no thread has all of a cluster."""
    busy, idle = Adopter(load=3), Adopter()
    acceptor = _run(listener, busy, idle)
    peers = [socket.create_connection(listener.getsockname()) for _ in range(5)]
    for _ in range(4):
        idle.wait()
    busy.wait() if busy.load > 3 else idle.wait()
    assert {busy.load, idle.load} == {4}
    for peer in peers:
        peer.close()
    _end(acceptor, busy, idle)


@pytest.mark.parametrize(
    "code",
    [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ECONNABORTED],
)
def test_acceptor_survives_failing_accept(listener: socket.socket, code: int) -> None:
    """No room, or a peer that is gone already, does not end the acceptor."""
    adopter = Adopter()
    acceptor = _run(FailingListener(listener, code, code), adopter)
    with socket.create_connection(listener.getsockname()):
        adopter.wait()
    _end(acceptor, adopter)


def test_acceptor_pauses_where_nothing_can_be_accepted(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listening socket that was shut down does not keep a core busy."""
    monkeypatch.setattr(limits, "ACCEPT_PAUSE_S", 60.0)
    failing = FailingListener(listener)
    listener.shutdown(socket.SHUT_RDWR)
    acceptor = _run(failing)
    assert failing.has_failed.acquire(timeout=GIVE_UP_S)
    assert not failing.has_failed.acquire(timeout=0.1)
    _end(acceptor)


def test_acceptor_stops_while_it_has_no_room(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop does not wait until there is room again."""
    monkeypatch.setattr(limits, "ACCEPT_PAUSE_S", 2 * GIVE_UP_S)
    failing = FailingListener(listener, errno.EMFILE)
    acceptor = _run(failing)
    with socket.create_connection(listener.getsockname()):
        assert failing.has_failed.acquire(timeout=GIVE_UP_S)
        _end(acceptor)


def test_acceptor_runs_calls_of_others_in_order(listener: socket.socket) -> None:
    """Functions given by `call` run on the acceptor's thread, as they came."""
    acceptor = _run(listener)
    done: list[tuple[int, str]] = []
    finished = threading.Event()
    for number in range(100):
        acceptor.call(
            lambda number=number: done.append(  # type: ignore[misc]
                (number, threading.current_thread().name)
            )
        )
    acceptor.call(finished.set)
    assert finished.wait(GIVE_UP_S)
    assert done == [(number, acceptor.name) for number in range(100)]
    _end(acceptor)
