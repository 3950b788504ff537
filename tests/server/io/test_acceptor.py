"""The acceptor over a real listening socket."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from pacemaker.core.accounts.account import Account, AddressLimits
from pacemaker.core.accounts.admission import AdmissionControl
from pacemaker.core.accounts.registry import AccountRegistry
from pacemaker.server.io import acceptor as acceptor_module
from pacemaker.server.io import limits
from pacemaker.server.io.acceptor import Acceptor
from pacemaker.server.io.handoff import Replaced
from pacemaker.server.upgrade_state import PeerAddress
from tests.server.io.hand import TickingClock

pytestmark = pytest.mark.io

GIVE_UP_S = 10.0


class FakeIoThread:
    """A fake I/O thread: keeps what it is given, and takes turns when the test says."""

    def __init__(self, load: int = 0) -> None:
        self.load = load
        self.expendable_count = 0
        self.costly_count = 0
        self.replaced: list[Replaced | None] = []
        self.is_opening = False
        self.made_room = 0
        self.searches = 0
        self.failures = 0
        self.added: list[tuple[socket.socket, PeerAddress]] = []
        self.calls: list[Callable[[], None]] = []
        self.later: list[tuple[float, Callable[[], None]]] = []
        self.attended: dict[int, Callable[[float], None]] = {}
        self.accept_s = limits.ACCEPT_S
        self.has_room_in_epoll = True

    def add_connection(
        self,
        sock: socket.socket,
        peer: PeerAddress,
        account: Account,
        replaces: Replaced | None = None,
    ) -> None:
        """Keep a connection, or fail as often as the test asked for."""
        assert account.connections
        if self.failures:
            self.failures -= 1
            raise RuntimeError("as asked for")
        self.added.append((sock, peer))
        self.replaced.append(replaces)
        self.load += 1

    def look_for_idle(self) -> None:
        """Count how often idle connections are looked for."""
        self.searches += 1

    def make_room(self) -> None:
        """Count how often another connection has to make room."""
        self.made_room += 1

    def call(self, function: Callable[[], None]) -> None:
        """Keep a call for the next turn."""
        self.calls.append(function)

    def call_later(self, delay_s: float, function: Callable[[], None]) -> None:
        """Keep a call for `pass_time`."""
        self.later.append((delay_s, function))

    def attend(self, fd: int, function: Callable[[float], None]) -> None:
        """Call a function in each turn, or fail if the test asked for it."""
        if not self.has_room_in_epoll:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        assert fd not in self.attended
        self.attended[fd] = function

    def ignore(self, fd: int) -> None:
        """Undo `attend`."""
        del self.attended[fd]

    def turn(self) -> None:
        """Accept, then run the calls that are there."""
        for function in tuple(self.attended.values()):
            function(self.accept_s)
        calls, self.calls = self.calls, []
        for call in calls:
            call()

    def pass_time(self) -> None:
        """Let the time of what is to be called later come."""
        later, self.later = self.later, []
        for _, function in later:
            function()

    def close(self) -> None:
        """Close the added connections."""
        for sock, _ in self.added:
            sock.close()


class FailingListener:
    """A listening socket whose first calls of `accept` fail."""

    def __init__(self, listener: socket.socket, *errnos: int) -> None:
        self._listener = listener
        self._errnos = list(errnos)
        self.calls = 0

    def fileno(self) -> int:
        """Return the real descriptor."""
        return self._listener.fileno()

    def accept(self) -> Any:
        """Fail as often as the test asked for, then accept."""
        self.calls += 1
        if self._errnos:
            raise OSError(self._errnos.pop(0), "as asked for")
        return self._listener.accept()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Yield a non-blocking listening socket."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.setblocking(False)
        yield sock


def _accepting(
    listeners: Sequence[Any], *threads: FakeIoThread, capacity: int = 1000
) -> Acceptor:
    """Return an acceptor that waits for connections on the first of the threads."""
    accounts = AccountRegistry()
    acceptor = Acceptor(
        *(listeners, threads, accounts),  # type: ignore[arg-type]
        AdmissionControl(accounts, capacity),
    )
    acceptor.start()
    threads[0].turn()
    return acceptor


def _end(acceptor: Acceptor, *threads: FakeIoThread) -> None:
    acceptor.stop()
    acceptor.stop()
    threads[0].turn()
    threads[0].pass_time()
    assert not threads[0].attended
    acceptor.close()
    for thread in threads:
        thread.close()


def test_acceptor_names_peer_and_does_not_block(listener: socket.socket) -> None:
    """A connection is handed over non-blocking, with its peer's address."""
    thread = FakeIoThread()
    acceptor = _accepting([listener], thread)
    with socket.create_connection(listener.getsockname()) as peer:
        thread.turn()
        sock, address = thread.added[0]
        assert address == ("127.0.0.1", peer.getsockname()[1])
        assert not sock.getblocking()
    _end(acceptor, thread)


def test_acceptor_prefers_thread_with_fewest_connections(
    listener: socket.socket,
) -> None:
    """Connections are spread, so that no thread gets the whole cluster."""
    busy, idle = FakeIoThread(load=3), FakeIoThread()
    acceptor = _accepting([listener], busy, idle)
    peers = [socket.create_connection(listener.getsockname()) for _ in range(5)]
    busy.turn()
    assert (busy.load, idle.load) == (4, 4)
    for peer in peers:
        peer.close()
    _end(acceptor, busy, idle)


def test_those_that_are_connected_are_served_between_many_new_ones(
    listener: socket.socket,
) -> None:
    """Accepting takes a limited time of each turn, and accepts at least one."""
    thread = FakeIoThread()
    thread.accept_s = 0.0
    acceptor = _accepting([listener], thread)
    with contextlib.ExitStack() as peers:
        for _ in range(3):
            peers.enter_context(socket.create_connection(listener.getsockname()))
        for number in range(1, 4):
            thread.turn()
            assert len(thread.added) == number
    _end(acceptor, thread)


def test_room_is_made_on_the_thread_with_the_most_to_spare(
    listener: socket.socket,
) -> None:
    """Other threads may have no connection that may be closed."""
    threads = [FakeIoThread(), FakeIoThread(), FakeIoThread()]
    threads[1].expendable_count = 2
    threads[2].expendable_count = 1
    acceptor = _accepting([listener], *threads, capacity=0)
    with socket.create_connection(listener.getsockname()):
        threads[0].turn()
    assert [each.made_room for each in threads] == [0, 1, 0]
    _end(acceptor, *threads)


def test_costly_connection_is_replaced_if_none_is_expendable(
    listener: socket.socket,
) -> None:
    """A new worker comes before whoever makes others wait."""
    threads = [FakeIoThread(), FakeIoThread(), FakeIoThread()]
    threads[1].costly_count = 2
    threads[2].costly_count = 1
    acceptor = _accepting([listener], *threads, capacity=0)
    with socket.create_connection(listener.getsockname()):
        threads[0].turn()
    assert [each.replaced for each in threads] == [[], [Replaced.COSTLY], []]
    _end(acceptor, *threads)


def test_connection_is_refused_if_none_is_expendable(listener: socket.socket) -> None:
    """A peer that has sent something is not closed for a new one."""
    thread = FakeIoThread()
    acceptor = _accepting([listener], thread, capacity=0)
    with socket.create_connection(listener.getsockname()) as peer:
        peer.settimeout(GIVE_UP_S)
        thread.turn()
        with pytest.raises(ConnectionResetError):
            peer.recv(1)
    assert not thread.added
    assert not thread.made_room
    assert thread.searches == 1, "the next one finds no room either"
    _end(acceptor, thread)


def test_acceptor_goes_on_as_soon_as_a_thread_has_made_room(
    listener: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It does not pause for longer than closing the silent connections takes."""
    host, other = FakeIoThread(load=10), FakeIoThread()
    other.expendable_count = 1
    acceptor = _accepting([listener], host, other, capacity=0)
    with contextlib.ExitStack() as peers:
        peers.enter_context(socket.create_connection(listener.getsockname()))
        host.turn()
        monkeypatch.setattr(acceptor_module, "_room_ends", lambda _: 0)
        peers.enter_context(socket.create_connection(listener.getsockname()))
        host.turn()
        assert "cannot accept" not in caplog.text
        assert not host.attended
        monkeypatch.undo()
        other.turn()
        host.turn()
        host.turn()
        assert len(other.added) == 2
    _end(acceptor, host, other)


def test_acceptor_goes_on_while_connections_are_opened_that_replace_others(
    listener: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The room that they make may be there after one turn, or after some."""
    thread = FakeIoThread()
    thread.is_opening = True
    acceptor = _accepting([listener], thread)
    monkeypatch.setattr(acceptor_module, "_room_ends", lambda _: 0)
    with socket.create_connection(listener.getsockname()):
        for _ in range(4):
            thread.turn()
        assert not caplog.records
        monkeypatch.undo()
        for _ in range(3):
            thread.turn()
        assert len(thread.added) == 1
    _end(acceptor, thread)


def test_pause_that_has_ended_early_does_not_shorten_the_next_one(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise each pause would add attempts, which never become fewer."""
    thread = FakeIoThread()
    thread.is_opening = True
    acceptor = _accepting([listener], thread)
    attempts: list[int] = []

    def find_no_room(reserved: int) -> int:
        attempts.append(reserved)
        return 0

    monkeypatch.setattr(acceptor_module, "_room_ends", find_no_room)
    with socket.create_connection(listener.getsockname()):
        for _ in range(20):
            thread.turn()
        thread.is_opening = False
        thread.turn()
        thread.turn()
        for _ in range(5):
            attempts.clear()
            thread.pass_time()
            thread.turn()
            thread.turn()
            assert len(attempts) == 1
    _end(acceptor, thread)


@pytest.mark.parametrize(
    "code", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM]
)
def test_acceptor_pauses_if_there_is_no_room(
    listener: socket.socket, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    """It accepts again later, and is no busy loop until then."""
    thread = FakeIoThread()
    failing = FailingListener(listener, code, code)
    acceptor = _accepting([failing], thread)
    with socket.create_connection(listener.getsockname()):
        for number in range(1, 3):
            thread.turn()
            thread.turn()
            assert failing.calls == number
            assert [delay_s for delay_s, _ in thread.later] == [limits.ACCEPT_PAUSE_S]
            thread.pass_time()
        assert not thread.added
        thread.turn()
        assert len(thread.added) == 1
    assert caplog.messages == ["cannot accept connections: as asked for"] * 2
    _end(acceptor, thread)


@pytest.mark.parametrize(
    "code", [errno.ECONNABORTED, errno.EPROTO, errno.ENETDOWN, errno.ETIMEDOUT]
)
def test_acceptor_does_not_pause_for_an_error_of_one_connection(
    listener: socket.socket, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The next connection is accepted at once, and nothing is logged."""
    thread = FakeIoThread()
    acceptor = _accepting([FailingListener(listener, code, code)], thread)
    with socket.create_connection(listener.getsockname()):
        thread.turn()
        assert len(thread.added) == 1
    _end(acceptor, thread)
    assert not caplog.records


def test_acceptor_pauses_where_nothing_can_be_accepted(listener: socket.socket) -> None:
    """A listening socket that was shut down does not cause a busy loop."""
    thread = FakeIoThread()
    failing = FailingListener(listener)
    listener.shutdown(socket.SHUT_RDWR)
    acceptor = _accepting([failing], thread)
    thread.turn()
    thread.turn()
    assert failing.calls == 1
    _end(acceptor, thread)


def test_acceptor_that_stops_leaves_who_waits_in_the_backlog(
    listener: socket.socket,
) -> None:
    """A stop closes the listening sockets, which resets them."""
    thread = FakeIoThread()
    acceptor = _accepting([listener], thread)
    with socket.create_connection(listener.getsockname()):
        acceptor.stop()
        thread.turn()
        assert not thread.added
    _end(acceptor, thread)


def test_acceptor_tries_again_if_epoll_has_no_room(
    listener: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    """The kernel limits how many descriptors a user may wait for."""
    thread = FakeIoThread()
    thread.has_room_in_epoll = False
    acceptor = _accepting([listener], thread)
    assert caplog.messages == ["cannot accept connections: No space left on device"]
    thread.has_room_in_epoll = True
    thread.pass_time()
    with socket.create_connection(listener.getsockname()):
        thread.turn()
        assert len(thread.added) == 1
    _end(acceptor, thread)


def test_acceptor_survives_a_connection_that_cannot_be_handed_over(
    listener: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    """Only that connection is closed, and the log says why."""
    thread = FakeIoThread()
    thread.failures = 1
    acceptor = _accepting([listener], thread)
    with socket.socket() as peer, socket.socket() as other:
        peer.settimeout(GIVE_UP_S)
        peer.connect(listener.getsockname())
        thread.turn()
        name = peer.getsockname()[1]
        assert f"127.0.0.1:{name}: closed: internal error" in caplog.messages
        with pytest.raises(ConnectionResetError):
            peer.recv(1)
        other.connect(listener.getsockname())
        thread.turn()
        assert len(thread.added) == 1
    _end(acceptor, thread)


def test_acceptor_pauses_after_an_internal_error(
    listener: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It does not end its host's turn, and an acceptor that fails is no busy loop."""
    failures: list[int] = []

    def fail(reserved: int) -> int:
        failures.append(reserved)
        raise RuntimeError("as asked for")

    monkeypatch.setattr(acceptor_module, "_room_ends", fail)
    thread = FakeIoThread()
    acceptor = _accepting([listener], thread)
    with socket.create_connection(listener.getsockname()):
        thread.turn()
        thread.turn()
        assert len(failures) == 1
        assert caplog.messages == ["cannot accept connections: internal error"]
        monkeypatch.undo()
        thread.pass_time()
        thread.turn()
        assert len(thread.added) == 1
    _end(acceptor, thread)


def test_acceptor_leaves_some_descriptors_to_others(
    listener: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """At the limit, connections wait in the backlog until another one ends."""
    thread = FakeIoThread()
    acceptor = _accepting([listener], thread)
    address = listener.getsockname()
    with contextlib.ExitStack() as peers:
        for _ in range(2):
            peers.enter_context(socket.create_connection(address))
        thread.turn()
        last = thread.added[1][0].fileno()
        monkeypatch.setattr(acceptor_module, "_room_ends", lambda _: last)
        peers.enter_context(socket.create_connection(address))
        thread.turn()
        assert len(thread.added) == 2
        assert f"{last} descriptors are in use" in caplog.text
        thread.added[0][0].close()
        thread.pass_time()
        thread.turn()
        assert len(thread.added) == 3
        # That connection got a low number, but there is no other one.
        peers.enter_context(socket.create_connection(address))
        thread.pass_time()
        thread.turn()
        assert len(thread.added) == 3
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
    thread.accept_s = 0.0
    with contextlib.ExitStack() as peers:
        for _ in range(3):
            peers.enter_context(socket.create_connection(address))
        acceptor = _accepting([listener], thread)
        for _ in range(2):
            thread.turn()
        thread.accept_s = limits.ACCEPT_S
        # This one finds the backlog empty after it.
        thread.turn()
        early = [sock for sock, _ in thread.added]
        # This listener has none to inherit, so it shows who pays for them.
        peers.enter_context(socket.create_connection(address))
        thread.turn()
        late = thread.added[-1][0]
        assert len(early) == 3
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
    acceptor.start()
    thread.turn()
    with contextlib.ExitStack() as peers:
        for _ in range(3):
            peers.enter_context(socket.create_connection(listener.getsockname()))
        thread.turn()
    _end(acceptor, thread)
    assert acceptor.refused == 1
    assert caplog.messages[-1].endswith(
        ": refused: its address has as many connections as --address-limit allows:"
        " connections=2 for 127.0.0.1"
    )


def test_busy_listener_leaves_time_for_the_others(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster on one address does not wait for a flood on another."""
    thread = FakeIoThread()
    with contextlib.ExitStack() as stack:
        other = stack.enter_context(socket.create_server(("127.0.0.2", 0)))
        other.setblocking(False)
        acceptor = _accepting([listener, other], thread)
        for each in (listener, other):
            for _ in range(8):
                peer = socket.create_connection(each.getsockname())
                stack.enter_context(peer)
        monkeypatch.setattr(time, "monotonic", TickingClock(limits.ACCEPT_S / 8))
        thread.turn()
        monkeypatch.undo()
        ports = [sock.getsockname()[1] for sock, _ in thread.added]
        counts = [ports.count(each.getsockname()[1]) for each in (listener, other)]
        assert counts[0] == counts[1] > 1
        _end(acceptor, thread)


def test_more_are_accepted_if_there_is_more_time(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last of many that connect at once does not wait for many turns."""
    thread = FakeIoThread()
    with contextlib.ExitStack() as stack:
        acceptor = _accepting([listener], thread)
        for _ in range(40):
            stack.enter_context(socket.create_connection(listener.getsockname()))
        counts = []
        for accept_s in (limits.ACCEPT_S, limits.ACCEPT_S * 4):
            thread.accept_s = accept_s
            clock = TickingClock(limits.ACCEPT_S / 4)
            monkeypatch.setattr(time, "monotonic", clock)
            before = len(thread.added)
            thread.turn()
            monkeypatch.undo()
            counts.append(len(thread.added) - before)
        assert counts[1] >= 3 * counts[0] > 0
        _end(acceptor, thread)


def test_acceptor_serves_every_listener(listener: socket.socket) -> None:
    """Peers of IPv4 and IPv6 listeners are added under their addresses."""
    thread = FakeIoThread()
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        other.setblocking(False)
        acceptor = _accepting([listener, other], thread)
        for each, host in ((other, "[::1]:"), (listener, "127.0.0.1:")):
            with socket.create_connection(each.getsockname()[:2]):
                thread.turn()
            assert thread.added[-1][1].name.startswith(host)
        _end(acceptor, thread)
