"""Held misses over real sockets: the deadline, the end, the stop."""

from __future__ import annotations

import pytest

from pacemaker.core.protocol import miss_holder
from pacemaker.server.io import limits
from tests.server.io.hand import Hand
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type, Wire

pytestmark = pytest.mark.io

HOLD_S = 20.0
KEY = "/w/t/1"
PULSE = wire.send_pulse(KEY, b"beat", 5)
ACK = wire.ack(Type.SEND_PULSE_RESPONSE, 5)
GET = wire.path_request(Type.GET_PULSE, KEY, 7)
HIT = wire.pulse_reply(KEY, b"beat", 7)
MISS = wire.pulse_reply(KEY, None, 7)


def hold(hand: Hand, peer: Wire, request: bytes = GET) -> None:
    """Send a read, and turn the loop until it is held."""
    before_bytes = hand.miss_holder.held_read_bytes
    peer.send(request)
    hand.turn_until(lambda: hand.miss_holder.held_read_bytes > before_bytes)


def test_connection_with_a_held_read_is_not_idle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its peer is silent because it waits for us, for up to 100 s."""
    monkeypatch.setattr(limits, "IDLE_S", 0.0)
    with Hand(hold_s=HOLD_S) as hand:
        peer, connection = hand.connect()
        hold(hand, peer)
        assert not connection.is_idle
        hand.store.put(KEY, b"beat")
        hand.turn_until_readable(peer)
        assert peer.receive() == HIT
        assert connection.is_idle


def test_replies_that_are_kept_back_count_as_buffered() -> None:
    """While misses are held, a batch is answered as a whole: its replies wait."""
    with Hand(hold_s=HOLD_S) as hand:
        hand.store.put(KEY, b"x" * 10_000)
        peer, _ = hand.connect()
        reads = [wire.path_request(Type.GET_PULSE, KEY, id_) for id_ in range(200)]
        peer.send(b"".join(reads))
        hand.turn_until(lambda: bool(hand.thread.backlog))
        assert hand.budget.total_bytes > 10 * 10_000


def is_clear(hand: Hand) -> bool:
    """Whether no held read has left anything behind."""
    return not hand.miss_holder.held_read_bytes and not hand.store._awaited


def test_held_read_is_answered_when_another_connection_stores_its_key() -> None:
    """A held read of Nimbus is answered once, when the worker writes."""
    with Hand(hold_s=HOLD_S) as hand:
        nimbus, _ = hand.connect()
        worker, _ = hand.connect()
        hold(hand, nimbus)
        assert hand.ask(worker, PULSE) == ACK
        hand.turn_until_readable(nimbus)
        assert nimbus.receive() == HIT
        hand.after(HOLD_S)
        assert hand.ask(nimbus, GET) == HIT
        assert is_clear(hand)


def test_connection_that_holds_a_read_is_served() -> None:
    """Its other requests are answered at once, and it has no timeout."""
    with Hand(hold_s=HOLD_S) as hand:
        peer, connection = hand.connect()
        hold(hand, peer)
        assert hand.ask(peer, wire.path_request(Type.EXISTS, KEY, 8))
        assert connection not in hand.thread.watched
        hand.after(HOLD_S - 1)
        assert not connection.is_closed


def test_held_read_is_a_miss_at_the_deadline_not_before() -> None:
    """All held reads share one deadline, whenever they arrived."""
    with Hand(hold_s=HOLD_S) as hand:
        peer, _ = hand.connect()
        hand.after(HOLD_S - 1)
        hold(hand, peer)
        hand.after(0.9)
        assert hand.miss_holder.is_on
        hand.after(0.2)
        hand.turn_until_readable(peer)
        assert peer.receive() == MISS
        assert hand.ask(peer, GET) == MISS
        assert is_clear(hand)


def test_deadline_counts_the_time_that_the_machine_was_suspended() -> None:
    """The deadline is on the boot clock, which also advances during a suspend."""
    with Hand(hold_s=HOLD_S) as hand:
        peer, _ = hand.connect()
        hold(hand, peer)
        hand.boot_clock.now_s += 1000.0
        hand.after(limits.SWEEP_S)
        hand.turn_until_readable(peer)
        assert peer.receive() == MISS


def test_held_read_dies_with_its_connection() -> None:
    """An ended connection leaves nothing behind, and nothing is sent on it."""
    with Hand(hold_s=HOLD_S) as hand:
        peer, connection = hand.connect()
        hold(hand, peer)
        peer.close()
        hand.turn_until(lambda: connection.is_closed)
        assert is_clear(hand)
        other, _ = hand.connect()
        assert hand.ask(other, PULSE) == ACK
        hand.after(HOLD_S)


def test_held_read_dies_with_the_peers_own_end_of_stream() -> None:
    """A peer that has closed its side expects no more replies."""
    with Hand(hold_s=HOLD_S) as hand:
        peer, connection = hand.connect()
        hold(hand, peer)
        peer.socket.shutdown(1)
        hand.turn_until(lambda: connection.is_closed)
        assert peer.ended() == "eof"
        assert is_clear(hand)


def test_held_reads_are_answered_behind_replies_that_are_unsent() -> None:
    """A connection that is sending answers them after its peer has read."""
    details = b"x" * 9_000_000
    with Hand(hold_s=HOLD_S) as hand:
        hand.store.put("/large", details)
        peer, connection = hand.connect()
        hold(hand, peer)
        large = wire.path_request(Type.GET_PULSE, "/large", 1)
        peer.send(large + wire.path_request(Type.GET_PULSE, "/large", 2))
        hand.turn_until(lambda: bool(connection.unsent_bytes))
        hand.store.put(KEY, b"beat")
        hand.thread.turn()
        hand.thread.turn()
        expected = b"".join(wire.pulse_reply("/large", details, n) for n in (1, 2))
        taken = bytearray()
        while len(taken) < len(expected + HIT):
            hand.turn_until_readable(peer)
            taken += peer.socket.recv(1 << 20)
        assert bytes(taken).replace(HIT, b"") == expected
        assert bytes(taken).count(HIT) == 1


@pytest.mark.parametrize("is_deadline_near", [False, True])
def test_stop_resets_a_connection_with_held_reads(is_deadline_near: bool) -> None:
    """A daemon that stops answers no misses, not even at the deadline."""
    with Hand(hold_s=HOLD_S) as hand:
        peer, connection = hand.connect()
        hold(hand, peer)
        if is_deadline_near:
            hand.after(HOLD_S - limits.STOP_POLL_S)
        hand.thread.stop(2.0)
        hand.clock.now_s += limits.STOP_POLL_S
        hand.turn_until(lambda: connection.is_closed)
        assert peer.ended() == "reset"
        assert is_clear(hand)


def test_ten_thousand_held_reads_cost_others_nothing() -> None:
    """A pulse is answered in one turn, while they are held and while answered."""
    with Hand(hold_s=HOLD_S) as hand:
        nimbus, holder = hand.connect()
        worker, _ = hand.connect()
        for first in range(0, 10_000, 500):
            reads = [
                wire.path_request(Type.GET_PULSE, f"/w/t/{number}", number)
                for number in range(first, first + 500)
            ]
            nimbus.send(b"".join(reads))
            hand.turn_until(lambda first=first: _held(hand) == first + 500)  # type: ignore[misc]
        assert holder not in hand.thread.watched
        assert hand.ask(worker, wire.send_pulse("/w/t/1", b"beat", 5)) == ACK
        hand.turn_until_readable(nimbus)
        assert nimbus.receive() == wire.pulse_reply("/w/t/1", b"beat", 1)
        hand.clock.now_s += HOLD_S
        hand.boot_clock.now_s += HOLD_S
        answered = {1}
        while hand.miss_holder.held_read_bytes:
            before = _held(hand)
            worker.send(PULSE)
            hand.turn_until_readable(worker)
            assert worker.receive() == ACK
            assert before - _held(hand) <= 2 * miss_holder.RELEASED_PER_TURN
        for _ in range(10_000 - 1):
            answered.add(int.from_bytes(nimbus.receive()[-5:-1], "big"))
        assert answered == set(range(10_000))
        assert is_clear(hand)


def _held(hand: Hand) -> int:
    return sum(len(reads) for reads in hand.miss_holder._by_key.values()) + len(
        hand.miss_holder._to_release
    )
