"""The stop of an I/O thread, with connections over real sockets."""

from __future__ import annotations

import contextlib
import threading

import pytest

from pacemaker.core.protocol import outgoing
from pacemaker.server.io import limits
from pacemaker.server.io.connection import Connection
from tests.server.io.hand import Hand
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type

pytestmark = pytest.mark.io

MALFORMED = b"\0\0\0\1\0"
PULSE = wire.send_pulse("/w/t/1", b"beat", 5)
ACK = wire.ack(Type.SEND_PULSE_RESPONSE, 5)
GET = wire.path_request(Type.GET_PULSE, "/w/t/1", 7)


def test_stop_answers_what_came_and_resets() -> None:
    """A stop answers a request that is still in the socket, and then resets."""
    with Hand() as hand:
        peer, connection = hand.connect()
        idle, _ = hand.connect()
        peer.send(PULSE)
        hand.thread.stop(limits.STOP_TIMEOUT_S)
        hand.turn_until(lambda: connection.is_closed)
        assert peer.receive() == ACK
        assert peer.ended() == "reset"
        assert idle.ended() == "reset"
        assert not hand.thread.connections


def test_stop_does_not_wait_for_a_peer_that_was_refused() -> None:
    """A stop closes a lingering connection, whose last replies were delivered."""
    with Hand() as hand:
        peer, connection = hand.connect()
        peer.send(PULSE + MALFORMED)
        hand.turn_until_readable(peer)
        assert not connection.is_closed
        hand.thread.stop(limits.STOP_TIMEOUT_S)
        hand.turn_until(lambda: connection.is_closed)
        assert peer.receive() == ACK
        assert peer.ended() == "eof"


def test_stop_answers_all_that_came_however_much() -> None:
    """A stop reads as long as there are requests in the socket, and then resets."""
    count = 10 * limits.READ_BYTES // len(PULSE)
    with Hand() as hand:
        peer, connection = hand.connect()
        taken = bytearray()

        def take() -> None:
            with contextlib.suppress(ConnectionResetError):
                while data := peer.socket.recv(1 << 16):
                    taken.extend(data)

        # Whoever takes its replies at once has them acknowledged at once.
        taker = threading.Thread(target=take)
        taker.start()
        peer.send(PULSE * count)
        hand.thread.stop(limits.STOP_TIMEOUT_S)
        hand.turn_until(lambda: connection.is_closed)
        taker.join()
        assert len(taken) == count * len(ACK)


def test_stop_answers_what_waits_behind_the_bound_on_replies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stop does not reset a connection before its read requests are answered."""
    monkeypatch.setattr(outgoing, "MAX_OUTGOING_BYTES", 10 * len(ACK))
    # Pulses to one key would be answered together.
    other = wire.send_pulse("/w/t/2", b"beat", 5)
    with Hand() as hand:
        peer, connection = hand.connect()
        peer.send((PULSE + other) * 15)
        hand.thread.turn()
        # What was sent so far is delivered, and no turn comes between.
        assert peer.exactly(10 * len(ACK)) == ACK * 10
        assert connection.protocol.frames.unread_bytes == 20 * len(PULSE)
        assert not connection.drain()
        hand.thread.stop(limits.STOP_TIMEOUT_S)
        hand.turn_until(lambda: connection.is_closed)
        assert peer.exactly(20 * len(ACK)) == ACK * 20


def connect_stuck(hand: Hand) -> Connection:
    """Return a connection whose peer does not take a large reply."""
    hand.store.put("/w/t/1", b"x" * 9_000_000)
    peer, connection = hand.connect()
    peer.send(GET)
    hand.turn_until(lambda: bool(connection.unsent_bytes))
    return connection


def test_stop_waits_for_replies_until_its_time_is_over() -> None:
    """Replies that a peer does not read delay a stop, but only until its timeout."""
    with Hand() as hand:
        connection = connect_stuck(hand)
        hand.thread.stop(limits.STOP_TIMEOUT_S)
        for _ in range(3):
            hand.thread.turn()
        assert not connection.is_closed
        hand.after(limits.STOP_TIMEOUT_S)
        assert connection.is_closed


def test_second_stop_shortens_the_first() -> None:
    """A second signal forces the stop."""
    with Hand() as hand:
        connection = connect_stuck(hand)
        hand.thread.stop(limits.STOP_TIMEOUT_S)
        hand.thread.turn()
        hand.thread.stop(0.0)
        hand.turn_until(lambda: connection.is_closed)


def test_stop_resets_all_that_are_left_when_its_time_is_over() -> None:
    """Each of them is counted, and whoever is in the middle of a request is told."""
    with Hand() as hand:
        peers = [hand.connect() for _ in range(3)]
        for peer, _ in peers:
            peer.send(PULSE[:10])
        hand.thread.stop(0.0)
        hand.turn_until(lambda: not hand.thread.connections)
        assert [connection.is_closed for _, connection in peers] == [True] * 3
        assert [peer.ended() for peer, _ in peers] == ["reset"] * 3
        assert hand.figures.connections == 0
        assert (hand.figures.ended, hand.figures.ended_by_stop) == (3, 3)


def test_stop_ends_although_a_connection_cannot_be_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bug of ours in the last turn does not keep the thread alive."""
    with Hand() as hand:
        peer, connection = hand.connect()
        peer.send(PULSE[:10])
        with monkeypatch.context() as patched:
            patched.setattr(Connection, "abandon", None)
            hand.thread.stop(0.0)
            with pytest.raises(TypeError):
                hand.turn_until(lambda: not hand.thread.connections)
        assert not hand.thread.connections
        connection._sock.close()
