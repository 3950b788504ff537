"""The acceptor over a real listening socket."""

from __future__ import annotations

import contextlib
import errno
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pacemaker.core.accounts.account import Account, AddressLimits
from pacemaker.core.accounts.admission import AdmissionControl
from pacemaker.core.accounts.registry import AccountRegistry
from pacemaker.server.io import acceptor as acceptor_module
from pacemaker.server.io import limits
from pacemaker.server.io.acceptor import Acceptor
from pacemaker.server.upgrade_state import PeerAddress

pytestmark = pytest.mark.io

GIVE_UP_S = 10.0


class FakeIoThread:
    """A fake I/O thread: keeps the connections it is given, and signals each."""

    def __init__(self, load: int = 0) -> None:
        self.load = load
        self.expendable_count = 0
        self.made_room = 0
        self.failures = 0
        self.added: list[tuple[socket.socket, PeerAddress]] = []
        self.is_added = threading.Semaphore(0)
        self.calls: list[Callable[[], None]] = []
        self.is_called = threading.Semaphore(0)

    def add_connection(
        self, sock: socket.socket, peer: PeerAddress, account: Account
    ) -> None:
        """Keep a connection, or fail as often as the test asked for."""
        assert account.connections
        if self.failures:
            self.failures -= 1
            raise RuntimeError("as asked for")
        self.added.append((sock, peer))
        self.load += 1
        self.is_added.release()

    def make_room(self) -> None:
        """Count how often another connection has to make room."""
        self.made_room += 1

    def call(self, function: Callable[[], None]) -> None:
        """Keep a call, and signal it."""
        self.calls.append(function)
        self.is_called.release()

    def wait(self) -> None:
        """Wait for one more connection."""
        assert self.is_added.acquire(timeout=GIVE_UP_S)

    def close(self) -> None:
        """Close the added connections."""
        for sock, _ in self.added:
            sock.close()


class FailingListener:
    """A listening socket whose first calls of `accept` fail, and that signals it."""

    def __init__(self, listener: socket.socket, *errnos: int) -> None:
        self._listener = listener
        self._errnos = list(errnos)
        self.has_failed = threading.Semaphore(0)

    def fileno(self) -> int:
        """Return the real descriptor."""
        return self._listener.fileno()

    def accept(self) -> Any:
        """Fail as often as the test asked for, then accept."""
        try:
            if self._errnos:
                raise OSError(self._errnos.pop(0), "as asked for")
            return self._listener.accept()
        except OSError:
            self.has_failed.release()
            raise


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Yield a non-blocking listening socket."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.setblocking(False)
        yield sock


def _run(listener: Any, *threads: FakeIoThread) -> Acceptor:
    return _run_all([listener], *threads)


def _run_all(
    listeners: list[Any], *threads: FakeIoThread, capacity: int = 1000
) -> Acceptor:
    accounts = AccountRegistry()
    acceptor = Acceptor(
        *(listeners, threads, accounts),  # type: ignore[arg-type]
        AdmissionControl(accounts, capacity),
    )
    acceptor.start()
    return acceptor


def _pass_a_turn(acceptor: Acceptor) -> None:
    """Wait until the acceptor has handled everything so far."""
    is_over = threading.Event()
    acceptor.call(is_over.set)
    assert is_over.wait(GIVE_UP_S)


def _end(acceptor: Acceptor, *threads: FakeIoThread) -> None:
    acceptor.stop()
    acceptor.stop()
    acceptor.join(GIVE_UP_S)
    assert not acceptor.is_alive()
    acceptor.close()
    for thread in threads:
        thread.close()


def test_acceptor_names_peer_and_does_not_block(listener: socket.socket) -> None:
    """A connection is handed over non-blocking, with its peer's address."""
    thread = FakeIoThread()
    acceptor = _run(listener, thread)
    with socket.create_connection(listener.getsockname()) as peer:
        thread.wait()
        sock, address = thread.added[0]
        assert address == ("127.0.0.1", peer.getsockname()[1])
        assert not sock.getblocking()
    _end(acceptor, thread)


def test_acceptor_prefers_thread_with_fewest_connections(
    listener: socket.socket,
) -> None:
    """Connections are spread, so that no thread gets the whole cluster."""
    busy, idle = FakeIoThread(load=3), FakeIoThread()
    acceptor = _run(listener, busy, idle)
    peers = [socket.create_connection(listener.getsockname()) for _ in range(5)]
    for _ in range(4):
        idle.wait()
    busy.wait() if busy.load > 3 else idle.wait()
    assert {busy.load, idle.load} == {4}
    for peer in peers:
        peer.close()
    _end(acceptor, busy, idle)


def test_room_is_made_on_the_thread_with_the_most_to_spare(
    listener: socket.socket,
) -> None:
    """Other threads may have no connection that may be closed."""
    threads = [FakeIoThread(), FakeIoThread(), FakeIoThread()]
    threads[1].expendable_count = 2
    threads[2].expendable_count = 1
    acceptor = _run_all([listener], *threads, capacity=0)
    with socket.create_connection(listener.getsockname()):
        threads[0].wait()
    assert [each.made_room for each in threads] == [0, 1, 0]
    _end(acceptor, *threads)


def test_connection_is_refused_if_none_is_expendable(listener: socket.socket) -> None:
    """A peer that has sent something is not closed for a new one."""
    thread = FakeIoThread()
    acceptor = _run_all([listener], thread, capacity=0)
    with socket.create_connection(listener.getsockname()) as peer:
        peer.settimeout(GIVE_UP_S)
        with pytest.raises(ConnectionResetError):
            peer.recv(1)
    assert not thread.added
    assert not thread.made_room
    _end(acceptor, thread)


def test_acceptor_goes_on_as_soon_as_a_thread_has_made_room(
    listener: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It does not pause for longer than closing the silent connections takes."""
    monkeypatch.setattr(limits, "ACCEPT_PAUSE_S", 2 * GIVE_UP_S)
    thread = FakeIoThread()
    thread.expendable_count = 1
    acceptor = _run_all([listener], thread, capacity=0)
    with contextlib.ExitStack() as peers:
        peers.enter_context(socket.create_connection(listener.getsockname()))
        thread.wait()
        _pass_a_turn(acceptor)
        monkeypatch.setattr(acceptor_module, "_room_ends", lambda _: 0)
        peers.enter_context(socket.create_connection(listener.getsockname()))
        assert thread.is_called.acquire(timeout=GIVE_UP_S)
        assert "cannot accept" not in caplog.text
        monkeypatch.undo()
        monkeypatch.setattr(limits, "ACCEPT_PAUSE_S", 2 * GIVE_UP_S)
        thread.calls.pop()()
        thread.wait()
    _end(acceptor, thread)


@pytest.mark.parametrize(
    "code",
    [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ECONNABORTED],
)
def test_acceptor_survives_failing_accept(listener: socket.socket, code: int) -> None:
    """Neither a lack of room nor a peer that has left ends the acceptor."""
    thread = FakeIoThread()
    acceptor = _run(FailingListener(listener, code, code), thread)
    with socket.create_connection(listener.getsockname()):
        thread.wait()
    _end(acceptor, thread)


@pytest.mark.parametrize(
    "code", [errno.ECONNABORTED, errno.EPROTO, errno.ENETDOWN, errno.ETIMEDOUT]
)
def test_acceptor_does_not_pause_for_an_error_of_one_connection(
    listener: socket.socket,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The next connection is accepted at once, and nothing is logged."""
    monkeypatch.setattr(limits, "ACCEPT_PAUSE_S", 2 * GIVE_UP_S)
    thread = FakeIoThread()
    acceptor = _run(FailingListener(listener, code, code), thread)
    with socket.create_connection(listener.getsockname()):
        thread.wait()
    _end(acceptor, thread)
    assert not caplog.records


def test_acceptor_pauses_where_nothing_can_be_accepted(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listening socket that was shut down does not cause a busy loop."""
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
    """A stop does not wait until there is room."""
    monkeypatch.setattr(limits, "ACCEPT_PAUSE_S", 2 * GIVE_UP_S)
    failing = FailingListener(listener, errno.EMFILE)
    acceptor = _run(failing)
    with socket.create_connection(listener.getsockname()):
        assert failing.has_failed.acquire(timeout=GIVE_UP_S)
        _end(acceptor)


def test_acceptor_runs_calls_of_others_in_order(listener: socket.socket) -> None:
    """Functions passed to `call` run on the acceptor's thread, in order."""
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


def _connect_and_read(peer: socket.socket, address: tuple[str, int]) -> None:
    """Connect and read; the reset may arrive during either call."""
    peer.connect(address)
    peer.recv(1)


def test_acceptor_survives_a_connection_that_cannot_be_handed_over(
    listener: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    """Only that connection is closed, and the log says why."""
    thread = FakeIoThread()
    thread.failures = 1
    acceptor = _run(listener, thread)
    with socket.socket() as peer:
        peer.settimeout(GIVE_UP_S)
        peer.bind(("127.0.0.1", 0))
        name = peer.getsockname()[1]
        with pytest.raises(ConnectionResetError):
            _connect_and_read(peer, listener.getsockname())
        assert f"127.0.0.1:{name}: closed: internal error" in caplog.messages
    with socket.create_connection(listener.getsockname()):
        thread.wait()
    _end(acceptor, thread)


def test_acceptor_survives_calls_that_fail(
    listener: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    """Later calls still run, and connections are still accepted."""
    thread = FakeIoThread()
    acceptor = _run(listener, thread)

    def fail() -> None:
        raise RuntimeError("as asked for")

    acceptor.call(fail)
    _pass_a_turn(acceptor)
    assert "pacemaker-acceptor: a call failed" in caplog.messages
    with socket.create_connection(listener.getsockname()):
        thread.wait()
    _end(acceptor, thread)


def test_acceptor_pauses_after_a_turn_that_failed(
    listener: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An acceptor that keeps failing is not a busy loop, and can be stopped."""
    monkeypatch.setattr(limits, "ACCEPT_PAUSE_S", 2 * GIVE_UP_S)
    failed = threading.Semaphore(0)

    def fail(reserved: int) -> int:
        failed.release()
        raise RuntimeError("as asked for")

    monkeypatch.setattr(acceptor_module, "_room_ends", fail)
    thread = FakeIoThread()
    acceptor = _run(listener, thread)
    with socket.create_connection(listener.getsockname()):
        assert failed.acquire(timeout=GIVE_UP_S)
        assert not failed.acquire(timeout=0.1)
        assert "pacemaker-acceptor: a turn failed" in caplog.messages
        monkeypatch.undo()
        _pass_a_turn(acceptor)
        thread.wait()
    _end(acceptor, thread)


def test_acceptor_leaves_some_descriptors_to_others(
    listener: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """At the limit, connections wait in the backlog until another one ends."""
    monkeypatch.setattr(limits, "ACCEPT_PAUSE_S", 0.01)
    thread = FakeIoThread()
    acceptor = _run(listener, thread)
    address = listener.getsockname()
    with contextlib.ExitStack() as peers:
        for _ in range(2):
            peers.enter_context(socket.create_connection(address))
            thread.wait()
        _pass_a_turn(acceptor)
        last = thread.added[1][0].fileno()
        monkeypatch.setattr(acceptor_module, "_room_ends", lambda _: last)
        peers.enter_context(socket.create_connection(address))
        assert not thread.is_added.acquire(timeout=0.1)
        assert f"{last} descriptors are in use" in caplog.text
        thread.added[0][0].close()
        thread.wait()
        # That connection got a low number, but there is no other one.
        peers.enter_context(socket.create_connection(address))
        assert not thread.is_added.acquire(timeout=0.1)
    _end(acceptor, thread)


@pytest.mark.parametrize(
    ("most", "room"), [(65536, 65504), (1024, 992), (60, 30), (4, 2)]
)
def test_reserve_is_a_part_of_a_small_limit(
    monkeypatch: pytest.MonkeyPatch, most: int, room: int
) -> None:
    """The reserve is 32 descriptors, but at most half of the limit."""
    monkeypatch.setattr(resource, "getrlimit", lambda what: (most, most))
    assert acceptor_module._room_ends(limits.RESERVED_DESCRIPTORS) == room


def _is_reset_when_closed(sock: socket.socket) -> bool:
    linger = sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)
    return linger == (1).to_bytes(4, "little") + bytes(4)


def test_acceptor_gives_storms_options_to_who_waited_before_the_listener_had_them(
    listener: socket.socket,
) -> None:
    """The acceptor sets them on connections from the backlog; later ones inherit."""
    address = listener.getsockname()
    thread = FakeIoThread()
    with contextlib.ExitStack() as peers:
        for _ in range(limits.ACCEPT_BATCH + 3):
            peers.enter_context(socket.create_connection(address))
        acceptor = _run(listener, thread)
        for _ in range(limits.ACCEPT_BATCH + 3):
            thread.wait()
        _pass_a_turn(acceptor)
        early = [sock for sock, _ in thread.added]
        # This listener has none to inherit, so it shows who pays for them.
        peers.enter_context(socket.create_connection(address))
        thread.wait()
        late = thread.added[-1][0]
        assert all(map(_is_reset_when_closed, early))
        assert early[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert early[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert not _is_reset_when_closed(late)
    _end(acceptor, thread)


def test_refusal_past_a_limit_names_the_limit(
    listener: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    """An address past the administrator's limit is not told of a lack of room."""
    thread = FakeIoThread()
    accounts = AccountRegistry(shared_networks=())
    acceptor = Acceptor(
        *([listener], [thread], accounts),  # type: ignore[arg-type]
        AdmissionControl(accounts, 1000, AddressLimits(connections=2)),
    )
    with contextlib.ExitStack() as peers:
        for _ in range(3):
            peers.enter_context(socket.create_connection(listener.getsockname()))
        acceptor._accept_some(listener.fileno())
    acceptor.close()
    thread.close()
    assert acceptor.refused == 1
    assert caplog.messages[-1].endswith(
        ": refused: its address has as many connections as --address-limit allows:"
        " connections=2 for 127.0.0.1"
    )


def test_acceptor_serves_every_listener(listener: socket.socket) -> None:
    """Peers of IPv4 and IPv6 listeners are added under their addresses."""
    thread = FakeIoThread()
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        other.setblocking(False)
        acceptor = _run_all([listener, other], thread)
        for each, host in ((other, "[::1]:"), (listener, "127.0.0.1:")):
            with socket.create_connection(each.getsockname()[:2]):
                thread.wait()
            assert thread.added[-1][1].name.startswith(host)
        _end(acceptor, thread)
