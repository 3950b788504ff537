"""The loop of an I/O thread: calls from others, timers, errors."""

from __future__ import annotations

import errno
import math
import os
import select
import socket
import threading

import pytest

from pacemaker.core.accounts.account import (
    BURST_S,
    DEFAULT_LIMITS,
    KEYS_AND_LISTS_PER_CHARGE,
    Account,
)
from pacemaker.errors import LimitError
from pacemaker.sasl.mechanism import ServerMechanism
from pacemaker.server.io import io_thread, limits
from pacemaker.server.io.connection import Connection
from pacemaker.server.io.endings import Ending
from pacemaker.server.io.fairness import newcomers
from pacemaker.server.io.fairness.cost_classes import COSTLY_FROM_CLASS
from pacemaker.server.io.fairness.turn_lengths import TURN_S
from pacemaker.server.io.handoff import Replaced
from pacemaker.server.io.io_states import IoState
from pacemaker.server.io.sockets import set_reset_on_close
from pacemaker.server.process import memory
from pacemaker.server.upgrade_state import PeerAddress
from tests.server.io.hand import Hand, TickingClock
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type

pytestmark = pytest.mark.io

GIVE_UP_S = 10.0
PULSE = wire.send_pulse("/w/t/1", b"beat", 5)
ACK = wire.ack(Type.SEND_PULSE_RESPONSE, 5)
NONSENSE = wire.framed(b"\xff" * 8)


def test_thread_runs_calls_of_others_in_order() -> None:
    """Functions passed to `call` run on the thread, in order."""
    with Hand() as hand:
        done: list[int] = []
        finished = threading.Event()
        hand.thread.start()
        for number in range(100):
            hand.thread.call(lambda number=number: done.append(number))  # type: ignore[misc]
        hand.thread.call(finished.set)
        assert finished.wait(GIVE_UP_S)
        assert done == list(range(100))
        hand.thread.stop(0.0)
        hand.thread.join(GIVE_UP_S)


def test_thread_calls_later_in_order_of_time() -> None:
    """Timers run at their times, the earliest first."""
    with Hand() as hand:
        done: list[str] = []
        hand.thread.call_later(2.0, lambda: done.append("second"))
        hand.thread.call_later(1.0, lambda: done.append("first"))
        hand.after(0.5)
        assert done == []
        hand.after(0.5)
        assert done == ["first"]
        hand.after(1.0)
        assert done == ["first", "second"]


def test_thread_survives_error_of_a_call(caplog: pytest.LogCaptureFixture) -> None:
    """A function that fails is logged, and the later ones are called."""

    def fail() -> None:
        raise RuntimeError("ours")

    with Hand() as hand:
        finished = threading.Event()
        hand.thread.start()
        hand.thread.call(fail)
        hand.thread.call(finished.set)
        assert finished.wait(GIVE_UP_S)
        hand.thread.stop(0.0)
        hand.thread.join(GIVE_UP_S)
    assert "a call failed" in caplog.text


def test_thread_ignores_calls_once_it_is_closed() -> None:
    """A SASL step that ends after the daemon does not write to a reused descriptor."""
    hand = Hand()
    hand.close()
    hand.thread.call(lambda: None)


def test_thread_gives_no_connection_the_events_of_another() -> None:
    """A descriptor reused within a turn does not get the old connection's events."""
    with Hand() as hand:
        old_peer, old = hand.connect()
        # As while a SASL step is taken: nothing but its end is awaited.
        hand.thread.set_interest(old.fd, 0)
        new_peer, waiting = hand.accept()

        def end_and_add() -> None:
            old.end(Ending.STOPPED)
            os.dup2(waiting.fileno(), old.fd)
            waiting.close()
            hand.thread.add_connection(
                socket.socket(fileno=old.fd),
                PeerAddress("new", 1),
                hand.accounts.add_connection("new", 1),
            )

        # The loop is told of the call first, of the reset behind it.
        hand.thread.call(end_and_add)
        set_reset_on_close(old_peer.socket, True)
        old_peer.close()
        hand.thread.turn()
        hand.thread.turn()
        assert old.fd in hand.thread.connections
        assert hand.ask(new_peer, PULSE) == ACK


def test_eviction_does_not_wait_for_the_end_of_a_turn() -> None:
    """A connection that another thread evicts is not read, even if it is readable."""
    unfinished = wire.send_pulse("/w/t/2", b"beat", 5)
    with Hand() as hand:
        other, _ = hand.connect()
        peer, connection = hand.connect()
        peer.send(unfinished[:-1])
        hand.thread.turn()
        # Who was heard last is first among those that can be heard in the next turn.
        assert hand.ask(other, PULSE) == ACK
        other.send(PULSE)
        peer.send(unfinished[-1:])
        hand.thread.request_eviction(connection)
        hand.thread.turn()
        assert other.receive() == ACK
        assert isinstance(connection.protocol.error, LimitError)
        assert hand.store.get("/w/t/2") is None


def test_pages_of_evicted_buffers_are_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Pages are returned once evicted bytes reach an eighth of the budget."""
    given_back: list[int] = []
    monkeypatch.setattr(memory, "return_free_pages", lambda: given_back.append(1))
    with Hand(budget_bytes=100_000) as hand:
        for times in (1, 2):
            peer, connection = hand.connect()
            peer.send(wire.send_pulse("/w/t/2", bytes(200_000), 5)[:-1])
            hand.turn_until(lambda: connection.protocol.error is not None)  # noqa: B023
            assert len(given_back) == times
        peer, connection = hand.connect()
        peer.send(PULSE[:-1])
        hand.thread.turn()
        hand.thread.request_eviction(connection)
        hand.thread.turn()
        assert isinstance(connection.protocol.error, LimitError)
        assert len(given_back) == 2


def test_thread_closes_connection_that_it_cannot_serve(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """If SASL cannot begin, the peer is reset and not counted."""

    def fail() -> ServerMechanism:
        raise RuntimeError("ours")

    with Hand(mechanism_factory=fail) as hand:
        peer = hand.accept_late()
        hand.thread.turn()
        assert peer.ended() == "reset"
        assert hand.thread.load == 0
    assert "127.0.0.1:1: closed: internal error" in caplog.text


def test_thread_closes_connection_that_the_kernel_does_not_watch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Beyond fs.epoll.max_user_watches, a connection is reset, not left unserved."""

    class Full:
        def register(self, fd: int, interest: int) -> None:
            raise OSError(errno.ENOSPC, "as asked for")

    with Hand() as hand:
        peer = hand.accept_late()
        with monkeypatch.context() as patched:
            patched.setattr(hand.thread, "_epoll", Full())
            hand.thread._open_until(hand.clock())
        assert peer.ended() == "reset"
        assert hand.thread.load == 0
        assert not hand.thread.connections


def test_thread_ends_each_overdue_connection(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug in ending one connection does not prevent ending the others."""

    def fail(connection: Connection, now_s: float) -> str | None:
        raise RuntimeError("ours")

    monkeypatch.setattr(Connection, "overdue", fail)
    with Hand() as hand:
        for name in ("10.0.0.1:5", "10.0.0.2:5"):
            peer, connection = hand.connect(name)
            peer.send(PULSE[:-1])
            hand.turn_until(lambda: connection in hand.thread.watched)  # noqa: B023
        hand.after(2 * limits.FRAME_TIMEOUT_S)
        assert not hand.thread.connections
    assert "10.0.0.1:5: closed: internal error" in caplog.text
    assert "10.0.0.2:5: closed: internal error" in caplog.text


def test_thread_refuses_connections_once_it_stops() -> None:
    """A connection accepted at the last moment is reset, not forgotten."""
    with Hand() as hand:
        peer, _ = hand.connect()
        peer.send(wire.send_pulse("/w", b"x" * 100, 1)[:-1])
        hand.thread.stop(10.0)
        hand.thread.turn()
        late = hand.accept_late()
        hand.thread.turn()
        assert late.ended() == "reset"


# --- fair turns -------------------------------------------------------------

READS = b"".join(wire.path_request(Type.GET_PULSE, "/a", id_) for id_ in range(400))
MISSES = b"".join(wire.pulse_reply("/a", None, id_) for id_ in range(400))


def test_calls_of_others_wait_for_one_turn_at_most() -> None:
    """A stop or an upgrade does not wait until the backlog is empty."""
    with Hand() as hand:
        peer, connection = hand.connect()
        hand.thread.now = TickingClock(TURN_S)
        peer.send(READS)
        hand.thread.turn()
        done: list[bool] = []
        hand.thread.call(lambda: done.append(connection.protocol._has_more))
        hand.thread.turn()
        assert done == [True]


def test_connection_does_not_wait_for_what_the_others_of_its_address_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nimbus lists seldom, and may share its address with somebody who does not."""
    wait_s = 0.01
    monkeypatch.setattr(Account, "charge_work", lambda *_: wait_s)
    a_list = wire.path_request(Type.GET_ALL_NODES_FOR_PATH, "/a", 1)
    with Hand() as hand:
        nimbus, connection = hand.connect(host="10.0.0.1")
        hand.connect(host="10.0.0.1")
        share_s = connection.account.share_s(DEFAULT_LIMITS)
        delays = []
        for age_s in (0.0, share_s):
            hand.clock.now_s += age_s
            nimbus.send(a_list * KEYS_AND_LISTS_PER_CHARGE)
            before = hand.figures.delays
            for _ in range(KEYS_AND_LISTS_PER_CHARGE):
                hand.thread.turn()
                if not hand.thread.backlog:
                    break
            delays.append(hand.figures.delays - before)
            hand.after(wait_s)
        assert delays == [1, 0]


def test_new_keys_beyond_the_rate_are_delayed() -> None:
    """An account that has used up its rate continues when it has earned credit."""
    pulses = [wire.send_pulse(f"/w/t/{number}", b"x", 1) for number in range(6_000)]
    with Hand() as hand:
        peer, connection = hand.connect()
        peer.send(b"".join(pulses))
        hand.turn_until(lambda: bool(hand.figures.delays))
        stored = len(hand.store)
        assert BURST_S * DEFAULT_LIMITS.new_keys_per_s <= stored < 6_000
        assert connection.interest == 0
        hand.thread.call(lambda: None)
        hand.thread.turn()
        assert len(hand.store) == stored
        while len(hand.store) < len(pulses):
            hand.leap(0.5)


def test_delay_of_an_account_leaves_its_other_connections_alone() -> None:
    """A worker that rewrites its key never waits for its neighbours' new keys."""
    pulses = [wire.send_pulse(f"/w/t/{number}", b"x", 1) for number in range(6_000)]
    with Hand() as hand:
        greedy, _ = hand.connect(host="10.0.0.1")
        worker, _ = hand.connect(host="10.0.0.1")
        assert hand.ask(worker, PULSE) == ACK
        greedy.send(b"".join(pulses))
        hand.turn_until(lambda: bool(hand.figures.delays))
        assert hand.ask(worker, PULSE) == ACK


def test_time_in_which_the_process_was_stopped_is_not_the_peers() -> None:
    """A frame whose rest arrived while the daemon was paused is answered."""
    with Hand() as hand:
        peer, connection = hand.connect()
        peer.send(PULSE[:-1])
        hand.turn_until(lambda: bool(connection.protocol.frames.unread_bytes))
        hand.leap(10 * limits.FRAME_TIMEOUT_S)
        hand.leap(limits.SWEEP_S)
        assert hand.ask(peer, PULSE[-1:]) == ACK


def test_silent_connection_is_ended_first() -> None:
    """The oldest connection without a byte is closed; others stay."""
    with Hand() as hand:
        speaker, _ = hand.connect()
        silent = [hand.connect()[1] for _ in range(3)]
        assert hand.ask(speaker, PULSE) == ACK
        assert hand.thread.expendable_count == 3
        hand.thread.make_room()
        hand.thread.turn()
        assert isinstance(silent[0].protocol.error, LimitError)
        assert [each.protocol.error for each in silent[1:]] == [None, None]
        assert hand.ask(speaker, PULSE) == ACK


def test_idle_connection_is_ended_if_none_was_silent_from_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One request must not be enough to hold a descriptor for ever."""
    for idle_s, is_ended in ((limits.IDLE_S, False), (0.0, True)):
        monkeypatch.setattr(limits, "IDLE_S", idle_s)
        with Hand() as hand:
            peer, connection = hand.connect()
            assert hand.ask(peer, PULSE) == ACK
            assert not hand.thread.expendable_count
            hand.thread.look_for_idle()
            hand.thread.turn()
            assert hand.thread.expendable_count == is_ended
            hand.thread.make_room()
            hand.thread.turn()
            assert connection.is_closed == is_ended
            assert hand.figures.closed_for_room == is_ended


def test_costly_connection_is_ended_for_a_new_one() -> None:
    """If all have sent something lately, whoever makes others wait goes."""
    with Hand() as hand:
        connections = [hand.connect(host=f"10.0.0.{number}")[1] for number in range(3)]
        _, relay, costly = connections
        for connection in connections:
            connection.newness = 0
        costly.cost_class, costly.is_established = COSTLY_FROM_CLASS, False
        relay.cost_class, relay.is_established = COSTLY_FROM_CLASS, True
        for connection in connections:
            hand.thread.backlog.put(connection)
        _, stays = hand.replace(Replaced.COSTLY)
        assert stays
        assert [each.is_closed for each in connections] == [False, False, True]
        _, stays = hand.replace(Replaced.COSTLY)
        assert not stays
        assert hand.figures.closed_for_room == 2


def test_idle_connection_that_speaks_again_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The search may have found it a while ago."""
    for has_waited in (False, True):
        monkeypatch.setattr(limits, "IDLE_S", 0.0)
        with Hand() as hand:
            peer, connection = hand.connect()
            assert hand.ask(peer, PULSE) == ACK
            hand.thread.look_for_idle()
            hand.thread.turn()
            monkeypatch.setattr(limits, "IDLE_S", 3600.0)
            peer.send(PULSE)
            if has_waited:
                hand.turn_until_readable(peer)
            hand.thread._expendable.promise()
            hand.thread._make_room(None)
            assert not connection.is_closed
            assert not hand.thread.expendable_count


def test_connection_that_only_checks_our_health_is_expendable() -> None:
    """CREATE_PATH changes nothing, and is answered at once."""
    with Hand() as hand:
        peer, connection = hand.connect()
        create = wire.path_request(Type.CREATE_PATH, "/", 1)
        assert hand.ask(peer, create) == wire.ack(Type.CREATE_PATH_RESPONSE, 1)
        hand.thread.make_room()
        hand.thread.turn()
        assert connection.is_closed


def test_silent_connection_of_an_account_is_ended() -> None:
    """An address at its share makes room for its own connections only."""
    with Hand() as hand:
        (_, other), (_, own) = hand.connect(), hand.connect(host="10.0.0.1")
        assert hand.thread.can_make_room(own.account)
        hand.thread.make_room(own.account)
        hand.thread.turn()
        assert not hand.thread.can_make_room(own.account)
        assert isinstance(own.protocol.error, LimitError)
        assert other.protocol.error is None


def test_connection_that_replaces_another_goes_if_no_other_can() -> None:
    """An address at its share gets no connection more, however late it is read."""
    with Hand() as hand:
        _, silent = hand.connect()
        assert hand.thread.can_make_room(silent.account)
        worker, stays = hand.replace()
        assert stays
        assert silent.is_closed
        worker.send(PULSE)
        _, stays = hand.replace()
        assert not stays
        assert len(hand.thread.connections) == 1
        hand.turn_until_readable(worker)
        assert worker.receive() == ACK
        assert not hand.thread.can_make_room(silent.account)


def test_room_promised_to_one_address_is_none_of_another() -> None:
    """A flood from one address takes no silent connection's place from another."""
    with Hand() as hand:
        (_, own), (_, other) = hand.connect(host="10.0.0.1"), hand.connect()
        hand.thread.make_room(own.account)
        hand.thread.make_room(own.account)
        assert hand.thread.can_make_room(other.account)
        assert hand.thread.expendable_count == 0
        hand.thread.turn()
        assert hand.thread.expendable_count == 1
        assert own.is_closed


def test_room_is_promised_only_once() -> None:
    """A connection that is to be closed already makes room for no other one."""
    with Hand() as hand:
        _, connection = hand.connect()
        hand.thread.make_room(connection.account)
        assert not hand.thread.can_make_room(connection.account)
        assert hand.thread.expendable_count == 0
        hand.thread.turn()
        assert connection.is_closed
        assert hand.thread.expendable_count == 0


def test_connection_whose_first_bytes_were_not_read_yet_stays() -> None:
    """They may be a worker's first pulse."""
    with Hand() as hand:
        worker, connection = hand.connect()
        worker.send(PULSE)
        assert not connection.close_if_expendable()
        hand.turn_until_readable(worker)
        assert worker.receive() == ACK


def test_refused_connection_that_lingers_makes_room() -> None:
    """Its peer was told already, and must only close its end."""
    with Hand() as hand:
        peer, connection = hand.connect()
        peer.send(NONSENSE)
        hand.turn_until(lambda: connection.io_state is IoState.LINGERING)
        assert hand.thread.can_make_room(connection.account)
        hand.thread.make_room()
        hand.thread.turn()
        assert connection.is_closed


def test_new_connections_are_opened_by_accounts_in_turn() -> None:
    """A new worker does not wait for all connections from another address.

    Nor does it wait for those of its own that came before it.
    """
    with Hand() as hand:
        arrivals = []
        for number, host in enumerate(["10.0.0.1"] * 3 + ["10.0.0.2"]):
            _, sock = hand.accept()
            account = hand.accounts.add_connection(host, number)
            hand.thread.add_connection(sock, PeerAddress(host, number), account)
            arrivals.append(f"{host}:{number}")
        hand.thread.turn()
        opened = [each.protocol.peer for each in hand.thread.connections.values()]
        assert opened == [arrivals[each] for each in (2, 3, 1, 0)]


def test_many_new_connections_are_opened_in_several_turns() -> None:
    """Those that are connected are served in between, and no wake-up is lost."""
    with Hand() as hand:
        for _ in range(3):
            hand.accept_late()
        hand.thread.now = TickingClock(TURN_S)
        for number in range(1, 4):
            assert select.select([hand.thread._calls.fd], [], [], 0)[0]
            hand.thread.turn()
            assert hand.figures.connections == number


def test_connection_that_cannot_be_opened_delays_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody would wake the thread for the others."""

    def fail(sock: socket.socket, *arguments: object) -> None:
        monkeypatch.undo()
        sock.close()
        raise RuntimeError("as asked for")

    with Hand() as hand:
        for _ in range(3):
            hand.accept_late()
        monkeypatch.setattr(hand.thread, "_open", fail)
        hand.thread.turn()
        assert hand.figures.connections == 2
    assert "pacemaker-io-0: a call failed" in caplog.messages


def test_newest_connection_is_the_one_that_was_accepted_last() -> None:
    """They are opened in another order."""
    with Hand() as hand:
        for number in range(1, 4):
            _, sock = hand.accept()
            account = hand.accounts.add_connection("10.0.0.1", number)
            address = PeerAddress("10.0.0.1", number)
            hand.thread.add_connection(sock, address, account)
        hand.thread.turn()
        by_age = sorted(hand.thread.connections.values(), key=lambda each: each.newness)
        assert [each.protocol.peer[-1] for each in by_age] == ["3", "2", "1"]


def test_what_is_attended_is_called_after_the_events_of_a_turn() -> None:
    """A descriptor that it closes or opens is in no event of that turn any more."""
    seen: list[str] = []
    with Hand() as hand, socket.create_server(("127.0.0.1", 0)) as listener:
        peer, _ = hand.connect()
        peer.send(wire.path_request(Type.EXISTS, "/w", 1))
        hand.thread.call(lambda: seen.append("call"))
        with socket.create_connection(listener.getsockname()):
            fd = listener.fileno()
            requests = hand.figures.requests
            hand.thread.attend(fd, lambda _: seen.append(f"{sum(requests)}"))
            hand.thread.turn()
            assert seen == ["1", "call"]
            hand.thread.turn()
            assert seen == ["1", "call", "1"]
            hand.thread.ignore(fd)
            hand.thread.call(lambda: seen.append("call"))
            hand.thread.turn()
            assert seen == ["1", "call", "1", "call"]


def test_what_is_attended_may_take_as_long_as_the_turn_has_served() -> None:
    """At least `ACCEPT_S`, and no more than `MAX_ACCEPT_S`, if it was stopped, say."""
    seen: list[float] = []
    least_s, most_s = limits.ACCEPT_S, limits.MAX_ACCEPT_S
    with Hand() as hand:
        peer, _ = hand.connect()
        fd = os.eventfd(1)
        hand.thread.attend(fd, seen.append)
        for step_s in (least_s / 2, most_s / 2, most_s * 2):
            peer.send(wire.path_request(Type.EXISTS, "/w", 1))
            hand.thread.now = TickingClock(step_s)
            hand.thread.turn()
        hand.thread.ignore(fd)
        os.close(fd)
        assert seen == pytest.approx([least_s, most_s / 2, most_s])


def test_accepting_is_given_no_more_time_while_many_connections_are_new() -> None:
    """Each makes the next turn longer, which would then accept even more of them."""
    seen: list[float] = []
    with Hand() as hand:
        peer, _ = hand.connect()
        for number in range(newcomers.MANY + 1):
            hand.connect(host=f"10.0.1.{number}")
        fd = os.eventfd(1)
        hand.thread.attend(fd, seen.append)
        for age_s in (0.0, limits.NEW_S):
            hand.clock.now_s += age_s
            hand.thread._turns._new.trust_aged(hand.clock.now_s)
            hand.thread.now = TickingClock(limits.ACCEPT_S, hand.clock.now_s)
            peer.send(wire.path_request(Type.EXISTS, "/w", 1))
            hand.thread.turn()
            assert (seen[-1] == limits.ACCEPT_S) == (age_s == 0.0)
        hand.thread.ignore(fd)
        os.close(fd)


def test_more_are_opened_if_more_may_be_accepted() -> None:
    """Those that were accepted after it do not wait for the next ones."""
    with Hand() as hand:
        counts = []
        for accept_s in (limits.ACCEPT_S, limits.MAX_ACCEPT_S):
            for _ in range(30):
                hand.accept_late()
            hand.thread.now = TickingClock(limits.ACCEPT_S / 8, hand.clock.now_s)
            before = hand.figures.connections
            hand.thread._end_turn(accept_s)
            counts.append(hand.figures.connections - before)
            hand.thread._open_until(math.inf)
        assert counts[1] >= 3 * counts[0] > 0


def test_full_turn_does_what_other_threads_have_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With more events than a turn fetches, the wake-up may be among the rest."""
    monkeypatch.setattr(io_thread, "MAX_EVENTS", 1)
    with Hand() as hand:
        peers = [hand.connect()[0] for _ in range(2)]
        epoll = hand.thread._epoll
        # Forget what was ready before.  Then epoll reports in the order of arrival.
        epoll.poll(0)
        for peer in peers:
            peer.send(PULSE)
        seen: list[None] = []
        hand.thread.call(lambda: seen.append(None))
        hand.thread.turn()
        assert seen == [None]
        assert hand.figures.pulses == 1, "the turn was not full"


def test_connection_that_comes_while_the_thread_is_parked_is_carried_over() -> None:
    """Another thread may hand it over until that is parked as well."""
    with Hand() as hand:
        hand.connect()
        hand.accept_late()
        assert len(hand.thread.carried_states()) == 2
        assert hand.thread.load == 2


def test_connection_that_comes_after_the_end_of_the_thread_is_reset() -> None:
    """The acceptor is on another thread, which may end later."""
    with Hand() as hand:
        peer = hand.accept_late()
        hand.thread.close()
        assert peer.ended() == "reset"
        assert hand.accounts.connections == 0
        assert hand.thread.load == 0


def test_sweep_is_done_over_several_turns() -> None:
    """Thousands of expired connections are not closed in a single turn."""
    with Hand() as hand:
        for _ in range(30):
            peer, connection = hand.connect()
            peer.send(PULSE[:-1])
            hand.turn_until(lambda each=connection: each in hand.thread.watched)  # type: ignore[misc]
        hand.after(limits.FRAME_TIMEOUT_S)
        hand.clock.now_s += limits.SWEEP_S
        hand.thread.now = TickingClock(TURN_S / 4, hand.clock.now_s)
        hand.thread.turn()
        refused = [
            each
            for each in hand.thread.connections.values()
            if each.protocol.error is not None
        ]
        assert 0 < len(refused) < 30
        hand.turn_until(
            lambda: all(
                each.protocol.error is not None
                for each in hand.thread.connections.values()
            )
        )


def test_calls_are_done_over_several_turns() -> None:
    """Thousands of calls, such as for new connections, leave time for events."""
    with Hand() as hand:
        done: list[int] = []
        for number in range(30):
            hand.thread.call(lambda number=number: done.append(number))  # type: ignore[misc]
        hand.thread.now = TickingClock(TURN_S / 4)
        hand.thread.turn()
        assert 0 < len(done) < 30
        hand.turn_until(lambda: len(done) == 30)
        assert done == list(range(30))
