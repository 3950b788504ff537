"""Who is served first in a turn, and who has to wait."""

from __future__ import annotations

import math
import os
import select
import socket
import sys
from collections.abc import Sequence

import pytest

from pacemaker.core.accounts.account import KEYS_AND_LISTS_PER_CHARGE, Account
from pacemaker.server.io import fair_turns, limits
from pacemaker.server.io.connection import Connection
from pacemaker.server.io.fairness import newcomers, spending
from pacemaker.server.io.fairness.cost_classes import NEW_CLASS
from pacemaker.server.io.fairness.spending import CROWD_S, FADE_S
from pacemaker.server.io.fairness.turn_lengths import MANY_ENDED, TURN_S, UNEVEN_FROM_S
from pacemaker.server.io.io_states import IoState
from pacemaker.server.io.sockets import set_reset_on_close
from pacemaker.server.upgrade_state import PeerAddress
from tests.server.io.hand import Hand, TickingClock
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type

pytestmark = pytest.mark.io

GIVE_UP_S = 10.0
BUSY_TIME_ENDS_S = fair_turns._BUSY_TIME_ENDS_S
PULSE = wire.send_pulse("/w/t/1", b"beat", 5)
ACK = wire.ack(Type.SEND_PULSE_RESPONSE, 5)
READS = b"".join(wire.path_request(Type.GET_PULSE, "/a", id_) for id_ in range(400))
THREE_READS = READS[: 3 * len(READS) // 400]
MISSES = b"".join(wire.pulse_reply("/a", None, id_) for id_ in range(400))
NONSENSE = wire.framed(b"\xff" * 8)


def _receive_all(hand: Hand, peer: wire.Wire, size: int) -> bytes:
    received = b""
    while len(received) < size:
        hand.turn_until_readable(peer)
        received += peer.socket.recv(size - len(received))
    return received


def _send_all(
    peers: Sequence[tuple[wire.Wire, Connection]], cost_class: int, data: bytes = PULSE
) -> None:
    """Send the same from each peer, whose connection gets a cost class."""
    for peer, connection in peers:
        connection.cost_class = cost_class
        peer.send(data)


def _turn_shared(hand: Hand, other: Connection) -> None:
    """Take a turn that is shared, because a connection waits in the backlog.

    It counts as a busy one, as if somebody were left waiting.
    """
    hand.thread.backlog.put(other)
    hand.thread.turn()
    hand.thread._turns._last_busy_s = hand.thread.now()


def _spend(hand: Hand, connection: Connection, seconds: float) -> None:
    """Charge time to the account of a connection."""
    hand.thread._turns._spending.charge(connection.account, seconds)


def _defer(
    hand: Hand, peer: wire.Wire, connection: Connection, other: Connection
) -> None:
    """Have a pulse of a connection wait while another connection is served."""
    hand.thread.now = TickingClock(2 * TURN_S)
    connection.cost_class = 5
    other.account.spent_s = -1.0  # so it comes first, and ends the turn
    peer.send(PULSE)
    _turn_shared(hand, other)
    assert connection.is_deferred


def test_request_does_not_wait_for_all_that_another_has_sent() -> None:
    """Another peer's request is answered between two slices of one peer's requests."""
    with Hand() as hand:
        greedy, connection = hand.connect(host="10.0.0.1")
        other, _ = hand.connect(host="10.0.0.2")
        hand.thread.now = TickingClock(TURN_S)
        greedy.send(READS)
        hand.thread.turn()
        assert connection in hand.thread.backlog
        other.send(PULSE)
        hand.thread.turn()
        assert connection in hand.thread.backlog
        assert other.receive() == ACK
        assert _receive_all(hand, greedy, len(MISSES)) == MISSES
        assert connection not in hand.thread.backlog


def test_cheap_requests_are_served_first() -> None:
    """A worker does not wait for the requests of other peers at its own address."""
    with Hand() as hand:
        dear = [hand.connect(host="10.0.0.1") for _ in range(30)]
        worker, _ = hand.connect(host="10.0.0.1")
        _send_all(dear, 3, READS)
        hand.thread.now = TickingClock(TURN_S)
        hand.turn_until(lambda: len(hand.thread.backlog) == len(dear))
        worker.send(PULSE)
        hand.thread.turn()
        assert worker.receive() == ACK


@pytest.mark.parametrize(
    ("event_s", "hosts", "are_workers", "is_any_put_off"),
    [
        (110e-6, 50, True, False),
        (130e-6, 50, True, True),
        (110e-6, 10, True, True),
        (110e-6, 50, False, True),
    ],
)
def test_cheap_batches_of_lone_workers_are_not_put_off(
    event_s: float, hosts: int, are_workers: bool, is_any_put_off: bool
) -> None:
    """To put off fifty pulses that come at once takes as long as to answer fifteen."""
    with Hand() as hand:
        peers = [hand.connect(host=f"10.0.1.{number % hosts}") for number in range(50)]
        _, other = hand.connect(host="10.0.0.2")
        if are_workers:
            _send_all(peers, 0, PULSE * 2)
            hand.turn_until(lambda: hand.figures.pulses == 2 * len(peers))
        _send_all(peers, 3, PULSE * 50)
        hand.thread.now = TickingClock(event_s)
        hand.thread.cpu_now = TickingClock(0.0)
        interests = []
        set_interest = hand.thread.set_interest

        def note_interest(fd: int, interest: int) -> None:
            interests.append(interest)
            set_interest(fd, interest)

        hand.thread.set_interest = note_interest  # type: ignore[method-assign]
        _turn_shared(hand, other)
        assert (select.EPOLLET in interests) == is_any_put_off


def test_who_has_had_least_time_is_served_in_the_second_half() -> None:
    """Endless cheap requests do not keep out an address with costly ones."""
    with Hand() as hand:
        greedy = [hand.connect(host="10.0.0.1") for _ in range(30)]
        other, connection = hand.connect(host="10.0.0.2")
        greedy[0][1].account.spent_s = 1.0
        connection.cost_class = 3
        _send_all(greedy, 0, READS)
        hand.thread.now = TickingClock(TURN_S)
        hand.turn_until(lambda: len(hand.thread.backlog) == len(greedy))
        other.send(PULSE)
        hand.thread.turn()
        assert other.receive() == ACK
        assert len(hand.thread.backlog) == len(greedy)


def test_backlog_gets_as_much_time_as_the_cheap_if_nobody_is_a_crowd() -> None:
    """A thousand new workers do not wait for seconds behind a thousand old ones."""
    with Hand() as hand:
        waiting = [hand.connect(host=f"10.0.1.{number}") for number in range(30)]
        workers = [hand.connect(host=f"10.0.2.{number}") for number in range(20)]
        _send_all(waiting, 3)
        hand.thread.now = clock = TickingClock(TURN_S)
        hand.thread.cpu_now = cpu_clock = TickingClock(TURN_S)
        hand.thread.turn()
        waiting_before = len(hand.thread.backlog)
        _send_all(workers, 0)
        clock.step_s = TURN_S / 4
        cpu_clock.step_s = 0.0
        hand.thread.turn()
        assert [peer.receive() for peer, _ in workers] == [ACK] * len(workers)
        assert waiting_before - len(hand.thread.backlog) >= len(workers) / 2


def test_backlog_gets_that_much_whatever_the_cheap_turn_out_to_cost() -> None:
    """Three reads that arrive together put Nimbus into the next class."""
    with Hand() as hand:
        readers = [hand.connect(host=f"10.0.1.{number}") for number in range(5)]
        others = [hand.connect(host=f"10.0.2.{number}") for number in range(20)]
        for _, connection in others:
            hand.thread.backlog.put(connection)
        _send_all(readers, 0, THREE_READS)
        hand.thread.now = TickingClock(2 * TURN_S)
        hand.thread.cpu_now = TickingClock(0.0)
        hand.thread.turn()
        assert [connection.cost_class for _, connection in readers] == [1] * 5
        assert len(hand.thread.backlog) == 15


def test_shared_turn_finds_no_more_than_it_serves_while_nobody_is_uneven() -> None:
    """Otherwise a whole cluster that connects at once keeps filling the backlog."""
    with Hand() as hand:
        _, connection = hand.connect()
        hand.thread.backlog.put(connection)
        turns = hand.thread._turns
        assert turns.max_events == fair_turns.MAX_EVENTS
        _spend(hand, connection, 2 * UNEVEN_FROM_S)
        # The connections and the wake-up.
        assert turns.max_events == len(hand.thread.connections) + 1


def test_host_that_becomes_a_crowd_in_a_turn_does_not_take_all_of_it() -> None:
    """The cheapest requests come first for 50 ms only while nobody is uneven."""
    with Hand() as hand:
        peers = [hand.connect(host="10.0.0.1") for _ in range(60)]
        _, other = hand.connect(host="10.0.0.2")
        _send_all(peers, 0)
        hand.thread.now = TickingClock(0.0005)
        hand.thread.cpu_now = TickingClock(UNEVEN_FROM_S / 4)
        _turn_shared(hand, other)
        assert 0 < hand.figures.pulses < len(peers) / 2


def test_costly_requests_do_not_wait_if_no_cheap_one_is_ready() -> None:
    """Waiting would help nobody, and a shared turn takes longer than another."""
    with Hand() as hand:
        peers = [hand.connect(host=f"10.0.1.{number}") for number in range(30)]
        hand.thread.now = clock = TickingClock(TURN_S)
        hand.thread.cpu_now = TickingClock(TURN_S)
        served = []
        for _ in range(2):
            _send_all(peers, 3)
            before = hand.figures.pulses
            hand.thread.turn()
            served.append(hand.figures.pulses - before)
            clock.step_s = TURN_S / 4
        assert served[1] >= 2 * TURN_S / clock.step_s


def test_busy_connections_are_charged_alike_in_whatever_order_epoll_reports(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise some of a hundred busy workers look like a crowd."""
    monkeypatch.setattr(spending, "CROWD_S", math.inf)
    with Hand() as hand:
        connections = [hand.connect(host=f"10.0.0.{n}")[1] for n in range(48)]
        ready = [(each.fd, select.EPOLLIN) for each in connections]
        hand.thread.now = TickingClock(fair_turns._SAMPLE_S / 4, hand.clock.now_s)
        hand.thread._turns._spending._next_fade_s = math.inf
        for _ in range(1000):
            hand.thread._turns.serve(ready)
        spent_s = [each.account.spent_s for each in connections[:32]]
        assert min(spent_s) > 0
        assert max(spent_s) < 3 * sum(spent_s) / len(spent_s)


def test_connection_that_has_cost_little_is_not_new_for_long() -> None:
    """When an attack begins, most workers have never been in a shared turn."""
    with Hand() as hand:
        known, costly = (hand.connect()[1] for _ in range(2))
        costly.cost_class = 3
        hand.clock.now_s += limits.NEW_S
        new = hand.connect()[1]
        assert [each.cost_class for each in (known, costly, new)] == [0, 3, NEW_CLASS]


def test_guess_about_a_new_connection_is_forgotten_likewise() -> None:
    """A worker whose first heartbeat was large is not served last from then on."""
    with Hand() as hand:
        connection = hand.connect(host="10.0.0.1")[1]
        connection.cost_class = NEW_CLASS + 1
        hand.clock.now_s += limits.NEW_S
        hand.connect()
        assert connection.cost_class == 0


def test_new_connection_that_ends_is_freed_at_once() -> None:
    """If thousands were kept for a second, collections of garbage would be slow."""
    with Hand() as hand:
        peer, connection = hand.connect(host="10.0.0.1")
        set_reset_on_close(peer.socket, True)
        peer.close()
        hand.turn_until(lambda: connection.is_closed)
        assert sys.getrefcount(connection) == 2, "this variable and the argument"


def test_costs_of_an_earlier_busy_time_are_forgotten() -> None:
    """Nimbus read while a whole cluster connected; days later, it is served first."""
    with Hand() as hand:
        nimbus, connection = hand.connect(host="10.0.0.1")
        hand.clock.now_s += limits.NEW_S
        _, busy = hand.connect(host="10.0.0.2")
        for cost_class in (0, 2):
            nimbus.send(PULSE)
            _turn_shared(hand, busy)
            assert connection.cost_class == cost_class
            connection.cost_class = 3
        hand.clock.now_s += BUSY_TIME_ENDS_S + 1.0
        new = hand.connect(host="10.0.0.3")
        for peer in (nimbus, new[0]):
            peer.send(PULSE)
        _turn_shared(hand, busy)
        assert (connection.cost_class, new[1].cost_class) == (0, NEW_CLASS - 1)


def test_request_is_not_charged_what_an_earlier_one_has_cost() -> None:
    """Nimbus once sent three reads together, and single ones ever since."""
    with Hand() as hand:
        nimbus, connection = hand.connect(host="10.0.0.1")
        _, other = hand.connect(host="10.0.0.2")
        nimbus.send(THREE_READS)
        hand.thread.turn()
        connection.cost_class = 0
        nimbus.send(wire.path_request(Type.GET_PULSE, "/a", 7))
        _turn_shared(hand, other)
        assert connection.cost_class == 0


def test_turn_that_fails_loses_no_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next turn serves what it has not reached."""

    def fail(_: Connection) -> float:
        raise RuntimeError

    with Hand() as hand:
        peers = [hand.connect(host="10.0.0.1")[0] for _ in range(3)]
        _, other = hand.connect(host="10.0.0.2")
        for peer in peers:
            peer.send(PULSE)
        with monkeypatch.context() as broken:
            broken.setattr(hand.thread._turns, "_serve_and_charge", fail)
            with pytest.raises(RuntimeError):
                _turn_shared(hand, other)
        _turn_shared(hand, other)
        assert [peer.receive() for peer in peers] == [ACK] * len(peers)


def test_connection_is_established_if_it_was_there_before_a_busy_time() -> None:
    """It comes before those of its class that an attacker opens meanwhile."""
    with Hand() as hand:
        (worker, established), (_, busy) = (
            hand.connect(host=host) for host in ("10.0.0.1", "10.0.0.2")
        )
        hand.clock.now_s += limits.NEW_S
        _turn_shared(hand, busy)
        other, newer = hand.connect(host="10.0.0.1")
        for peer in (worker, other):
            peer.send(PULSE)
        hand.clock.now_s += limits.NEW_S / 2
        _turn_shared(hand, busy)
        assert established.is_established
        assert not newer.is_established


def test_turns_that_leave_nobody_waiting_are_no_busy_time() -> None:
    """An address with a whole cluster may be a crowd for hours before an attack."""
    with Hand() as hand:
        _, crowd = hand.connect(host="10.0.0.2")
        worker, connection = hand.connect(host="10.0.0.1")
        for _ in range(4):
            _spend(hand, crowd, 4 * CROWD_S)
            worker.send(PULSE)
            hand.thread.turn()
            hand.clock.now_s += limits.NEW_S / 2
        assert hand.thread._turns._spending.is_crowded
        assert connection.is_established


def test_new_connection_that_has_sent_much_has_a_more_costly_class() -> None:
    """Thousands that begin a large frame do not delay a new worker."""
    with Hand() as hand:
        peer, sock = hand.accept()
        peer.send(READS[: 8 * 1024])
        address = PeerAddress("10.0.0.1", 1)
        account = hand.accounts.add_connection(*address)
        hand.thread.add_connection(sock, address, account)
        fd = sock.fileno()
        hand.thread._open_until(hand.clock())
        assert hand.thread.connections[fd].cost_class == NEW_CLASS + 1
        assert hand.connect(host="10.0.0.1")[1].cost_class == NEW_CLASS


def test_least_spent_is_served_first_among_equally_cheap_requests() -> None:
    """Nimbus does not wait for a thousand cheap requests of busy addresses."""
    with Hand() as hand:
        busy = [hand.connect(host="10.0.0.1") for _ in range(40)]
        worker, connection = hand.connect(host="10.0.0.2")
        for _, each in busy:
            each.cost_class = 0
        connection.cost_class = 0
        _spend(hand, busy[0][1], UNEVEN_FROM_S * 2)
        for peer, _ in busy:
            peer.send(PULSE)
        worker.send(PULSE)
        hand.thread.now = TickingClock(TURN_S)
        _turn_shared(hand, busy[0][1])
        assert worker.receive() == ACK
        assert hand.figures.pulses < len(busy), "the turn was not cut"


def test_newest_connection_is_served_first_of_those_that_are_new() -> None:
    """A new worker does not wait for many that have connected just before it."""
    with Hand() as hand:
        _, busy = hand.connect(host="10.0.0.1")
        earlier = [hand.connect(host="10.0.0.2")[0] for _ in range(40)]
        worker, connection = hand.connect(host="10.0.0.2")
        for peer in (*earlier, worker):
            peer.send(PULSE)
        _spend(hand, busy, CROWD_S * 2)
        hand.thread.now = TickingClock(TURN_S / 8)
        hand.thread.turn()
        assert worker.receive() == ACK
        assert hand.figures.pulses < len(earlier), "the turn was not cut"
        assert connection.newness == 0, "its cost is known"
        assert connection.cost_class == NEW_CLASS - 1


def test_newest_connection_comes_first_of_those_that_a_turn_has_not_reached() -> None:
    """The backlog serves the one that was put there last."""
    with Hand() as hand:
        _, busy = hand.connect(host="10.0.0.1")
        peers = [hand.connect(host="10.0.0.2") for _ in range(6)]
        for peer, _ in peers:
            peer.send(PULSE)
        _spend(hand, busy, CROWD_S * 2)
        # The turn serves two, one of them from the backlog.
        hand.thread.now = TickingClock(TURN_S)
        hand.thread.turn()
        waiting = [hand.thread.backlog.pop() for _ in range(hand.thread.backlog.size)]
        assert waiting == [connection for _, connection in reversed(peers[:-2])]


def test_newest_connection_of_a_shared_address_does_not_come_first() -> None:
    """A whole cluster may connect from there, and the oldest would wait longest."""
    with Hand() as hand:
        _, busy = hand.connect(host="10.0.0.1")
        oldest, _ = hand.connect(host="127.0.0.1")
        others = [hand.connect(host="127.0.0.1")[0] for _ in range(40)]
        for peer in (oldest, *others):
            peer.send(PULSE)
        _spend(hand, busy, CROWD_S * 2)
        hand.thread.now = TickingClock(TURN_S / 8)
        hand.thread.turn()
        assert oldest.receive() == ACK
        newest = others[-1].socket
        assert not select.select([newest], [], [], 0)[0], "it was answered first"


def test_end_of_a_deferred_connection_is_reported_once() -> None:
    """With thousands of them, fetching their ends in every turn takes milliseconds."""
    with Hand() as hand:
        peer, connection = hand.connect(host="10.0.0.1")
        _, other = hand.connect(host="10.0.0.2")
        _defer(hand, peer, connection, other)
        set_reset_on_close(peer.socket, True)
        peer.close()
        fds = [fd for fd, _ in hand.thread._epoll.poll(GIVE_UP_S)]
        assert connection.fd in fds
        assert connection.fd not in [fd for fd, _ in hand.thread._epoll.poll(0)]


def test_turn_with_many_new_connections_is_shared() -> None:
    """What they cost is not known yet, so the requests of known workers come first."""
    for known in (40, 39):
        with Hand() as hand:
            hosts = [f"10.0.1.{number}" for number in range(newcomers.MANY + 40)]
            peers = [hand.connect(host=host)[0] for host in hosts[:known]]
            hand.clock.now_s += limits.NEW_S
            peers += [hand.connect(host=host)[0] for host in hosts[known:]]
            for peer in peers:
                peer.send(PULSE)
            # Much time for a turn, and little for each event.
            hand.thread.cpu_now = TickingClock(0.0005)
            hand.thread.now = TickingClock(TURN_S / 4)
            hand.thread.turn()
            assert bool(hand.thread.backlog) == (known == 39)


def test_turn_that_takes_long_ends_for_the_calls_of_other_threads() -> None:
    """Even if each of its events is cheap; epoll reports the rest again."""
    with Hand() as hand:
        peers = [hand.connect(host=f"10.0.1.{number}")[0] for number in range(60)]
        for peer in peers:
            peer.send(PULSE)
        hand.thread.cpu_now = TickingClock(0.0)
        hand.thread.now = TickingClock(0.02, hand.clock.now_s)
        done: list[int] = []
        hand.thread.call(lambda: done.append(hand.figures.pulses))
        hand.thread.turn()
        assert 0 < done[0] < len(peers)
        assert not hand.thread.backlog
        hand.thread.now = hand.clock
        hand.turn_until(lambda: hand.figures.pulses == len(peers))


def test_rest_of_a_turn_is_shared_once_somebody_is_a_crowd() -> None:
    """A host that closes 3,000 connections at once does not take all of the turn."""
    for hosts in (["10.0.0.1"] * 200, [f"10.0.1.{number}" for number in range(200)]):
        with Hand() as hand:
            peers = [hand.connect(host=host) for host in hosts]
            for peer, _ in peers:
                peer.close()
            ready = [(connection.fd, select.EPOLLIN) for _, connection in peers]
            hand.thread.now = TickingClock(2 * fair_turns._SAMPLE_S, hand.clock.now_s)
            # Otherwise the turn would be shared because many have ended.
            hand.thread.cpu_now = TickingClock(0.0)
            hand.thread._turns.serve(ready)
            assert bool(hand.thread.backlog) == (hosts[0] == hosts[1])


def test_turn_in_which_many_connections_end_is_shared() -> None:
    """A request does not wait until thousands of connections are closed."""
    for ended in (MANY_ENDED + 40, MANY_ENDED):
        with Hand() as hand:
            hosts = [f"10.0.1.{number}" for number in range(MANY_ENDED + 40)]
            peers = [hand.connect(host=host)[0] for host in hosts]
            hand.clock.now_s += limits.NEW_S
            hand.connect()
            for peer in peers[:ended]:
                peer.close()
            for peer in peers[ended:]:
                peer.send(PULSE)
            # Much time for a turn, and little for each event.
            hand.thread.cpu_now = TickingClock(0.0005)
            hand.thread.now = TickingClock(TURN_S / 4, hand.clock.now_s)
            hand.thread.turn()
            is_shared = hand.thread._turns._busy_time == 1
            assert is_shared == (ended > MANY_ENDED)


def test_turn_ends_in_time_and_the_rest_is_served_later() -> None:
    """A turn serves what its time allows, and the other requests are not lost."""
    with Hand() as hand:
        peers = [hand.connect(host=f"10.0.0.{number}")[0] for number in range(60)]
        hand.thread.now = TickingClock(TURN_S)
        hand.thread.cpu_now = TickingClock(TURN_S)
        for peer in peers:
            peer.send(PULSE)
        hand.thread.turn()
        assert 0 < hand.figures.pulses < len(peers)
        hand.turn_until(lambda: hand.figures.pulses == len(peers))
        assert [peer.receive() for peer in peers] == [ACK] * len(peers)


def test_turn_that_was_interrupted_is_not_shared() -> None:
    """Time in which no thread ran is no reason to let its peers wait."""
    with Hand() as hand:
        peers = [hand.connect(host=f"10.0.0.{number}")[0] for number in range(60)]
        hand.thread.now = TickingClock(TURN_S)
        hand.thread.cpu_now = TickingClock(0.0)
        for peer in peers:
            peer.send(PULSE)
        hand.thread.turn()
        assert hand.figures.pulses == len(peers)
        assert len(hand.thread.backlog) == 0


def test_what_was_spent_fades() -> None:
    """After some seconds, a greedy address is equal to the others again."""
    with Hand() as hand:
        peer, connection = hand.connect(host="10.0.0.1")
        _, other = hand.connect(host="10.0.0.2")
        peer.send(READS)
        hand.thread.turn()
        hand.thread.now = clock = TickingClock()
        hand.turn_until(lambda: not hand.thread.backlog)
        assert connection.account.spent_s > 0
        for _ in range(20):
            clock.now_s += FADE_S
            _turn_shared(hand, other)
        assert connection.account.spent_s == 0.0


def test_lane_in_the_backlog_is_charged_what_its_connection_took(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Costly connections would otherwise get more of the host's time than others."""
    with Hand() as hand:
        _, connection = hand.connect()
        charged: list[float] = []
        monkeypatch.setattr(hand.thread.backlog, "charge", charged.append)
        monkeypatch.setattr(hand.thread, "cpu_now", TickingClock(0.25))
        hand.thread.backlog.put(connection)
        hand.thread.turn()
        assert charged == [0.25]


def test_peer_that_ends_leaves_the_backlog() -> None:
    """A connection that is reset while it waits is removed, with its requests."""
    with Hand() as hand:
        peer, connection = hand.connect()
        peer.send(READS)
        hand.thread.turn()
        assert connection in hand.thread.backlog
        set_reset_on_close(peer.socket, True)
        peer.close()
        hand.turn_until(lambda: connection.is_closed)
        assert not hand.thread.backlog
        assert not hand.accounts.connections


def test_deferred_connection_is_served_what_it_waits_for_then() -> None:
    """If its replies cannot be sent when its turn comes, it is not read."""
    with Hand() as hand:
        peer, connection = hand.connect(host="10.0.0.1")
        _, other = hand.connect(host="10.0.0.2")
        _defer(hand, peer, connection, other)
        hand.turn_until(lambda: not hand.thread.backlog)
        assert peer.receive() == ACK
        _defer(hand, peer, connection, other)
        connection.interest = select.EPOLLOUT
        hand.turn_until(lambda: not hand.thread.backlog)
        assert hand.figures.pulses == 1


def test_deferred_connection_that_is_read_meanwhile_is_served_its_rest() -> None:
    """A stop reads whatever has arrived, which may be more than a slice."""
    with Hand() as hand:
        peer, connection = hand.connect(host="10.0.0.1")
        _, other = hand.connect(host="10.0.0.2")
        _defer(hand, peer, connection, other)
        peer.send(READS)
        assert not connection.drain()
        assert connection in hand.thread.backlog
        expected = ACK + MISSES
        assert _receive_all(hand, peer, len(expected)) == expected
        assert connection.drain()


def test_deferred_connection_that_lacks_credit_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stop may read more lists than the account may ask for."""
    monkeypatch.setattr(Account, "charge_work", lambda *_: 5.0)
    with Hand() as hand:
        peer, connection = hand.connect(host="10.0.0.1")
        _, other = hand.connect(host="10.0.0.2")
        _defer(hand, peer, connection, other)
        connection.protocol._charges = KEYS_AND_LISTS_PER_CHARGE
        peer.send(wire.path_request(Type.GET_ALL_NODES_FOR_PATH, "/a", 1))
        assert not connection.drain()
        assert connection not in hand.thread.backlog
        hand.thread.call(lambda: None)
        hand.thread.turn()
        states = [connection.io_state]
        hand.thread.now = hand.clock
        hand.after(6.0)
        hand.thread.turn()
        states.append(connection.io_state)
        assert states == [IoState.WAITING, IoState.READING]


def test_deferred_connection_of_a_crowd_is_narrowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The kernel keeps little of what a crowd sends, and much of what others do."""
    monkeypatch.setattr(limits, "SMALL_RECEIVE_BUFFER_BYTES", 16 * 1024)
    monkeypatch.setattr(limits, "SMALL_BUFFER_FROM_CONNECTIONS", 2)
    with Hand() as hand:
        _, other = hand.connect(host="10.0.0.2")
        sizes = {}
        hand.connect(host="crowd")
        for host in ("crowd", "busy", "worker"):
            peer, connection = hand.connect(host=host)
            connection.account.spent_s = 2 * CROWD_S * (host != "worker")
            _defer(hand, peer, connection, other)
            with socket.socket(fileno=os.dup(connection.fd)) as sock:
                sizes[host] = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        assert sizes["crowd"] == 2 * limits.SMALL_RECEIVE_BUFFER_BYTES
        assert sizes["worker"] == sizes["busy"] > sizes["crowd"]


def test_deferred_connection_that_ends_is_forgotten() -> None:
    """A reset is noticed although no events are requested, and ends the wait."""
    with Hand() as hand:
        peer, connection = hand.connect(host="10.0.0.1")
        _, other = hand.connect(host="10.0.0.2")
        _defer(hand, peer, connection, other)
        set_reset_on_close(peer.socket, True)
        peer.close()
        hand.turn_until(lambda: connection.is_closed)
        assert not hand.thread.backlog
