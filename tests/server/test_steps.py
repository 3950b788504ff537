"""SASL steps on a real connection: who waits for them, and for how long."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial

import pytest

from pacemaker.errors import LimitError
from pacemaker.sasl.mechanism import ServerMechanism
from pacemaker.server import limits
from pacemaker.server.connection import Connection
from pacemaker.server.guesses import FREE_FAILURES
from pacemaker.server.listening import end_with_reset
from pacemaker.server.steps import SLOW_STEPS
from tests import wire
from tests.fake_mechanisms import (
    REFUSED,
    ScriptedMechanism,
    like_digest,
    like_kerberos,
)
from tests.server.hand import GIVE_UP_S, Hand
from tests.wire import Type, Wire, binary, message

REQUEST = message(Type.CONTROL_MESSAGE, binary(7, b"\xff\x36"))
COMPLETE = message(Type.CONTROL_MESSAGE, binary(7, b"\xff\x35"))
PULSE = wire.send_pulse("/w/t/1", b"beat", 5)
ACK = wire.ack(Type.SEND_PULSE_RESPONSE, 5)
GET = wire.path_request(Type.GET_PULSE, "/w/t/1", 7)


def _token(token: bytes) -> bytes:
    blob = b"\xfe\x0c" + len(token).to_bytes(4, "big") + token
    return message(Type.SASL_MESSAGE_TOKEN, binary(7, blob))


class HeldMechanism(ScriptedMechanism):
    """A slow mechanism whose first step is held until the test lets it go."""

    def __init__(self, is_let_go: threading.Event) -> None:
        super().__init__(
            [None], begins_with_request=False, completion_count=2, is_slow=True
        )
        self.is_begun = threading.Event()
        self._is_let_go = is_let_go

    def step(self, token: bytes) -> bytes | None:
        """Wait, then give the next answer."""
        self.is_begun.set()
        assert self._is_let_go.wait(GIVE_UP_S)
        return super().step(token)


def _guess(hand: Hand, name: str) -> Wire:
    """Fail to authenticate, up to the refusal, and leave the end unread."""
    peer, _ = hand.connect(name)
    assert hand.ask(peer, REQUEST) == _token(b"challenge")
    peer.send(_token(REFUSED))
    hand.thread.turn()
    return peer


def test_short_steps_are_taken_at_once() -> None:
    """A DIGEST exchange needs no thread, and reads are open after it."""
    with Hand(mechanism_factory=like_digest) as hand:
        peer, _ = hand.connect()
        assert hand.ask(peer, REQUEST) == _token(b"challenge")
        assert hand.ask(peer, _token(b"response")) == _token(b"rspauth")
        assert peer.receive() == COMPLETE
        assert hand.ask(peer, GET) == wire.pulse_reply("/w/t/1", None, 7)


def test_slow_steps_come_back_to_the_io_thread() -> None:
    """A KERBEROS exchange goes through the helpers, and reads are open after it."""
    with Hand(mechanism_factory=like_kerberos) as hand:
        peer, _ = hand.connect()
        assert hand.ask(peer, _token(b"AP-REQ")) == _token(b"offer")
        assert hand.ask(peer, _token(b"choice")) == COMPLETE
        assert peer.receive() == COMPLETE
        assert hand.ask(peer, GET) == wire.pulse_reply("/w/t/1", None, 7)


def test_step_that_is_held_holds_up_nobody_else() -> None:
    """While one exchange stands still, pulses of others are answered."""
    is_let_go = threading.Event()
    with Hand(mechanism_factory=partial(HeldMechanism, is_let_go)) as hand:
        held, connection = hand.connect()
        held.send(_token(b"AP-REQ"))
        hand.thread.turn()
        worker, _ = hand.connect()
        for _ in range(100):
            assert hand.ask(worker, PULSE) == ACK
        assert not connection.protocol.authenticated
        is_let_go.set()
        hand.turn_until_readable(held)
        assert held.receive() == COMPLETE
        assert held.receive() == COMPLETE


def test_requests_behind_a_slow_step_wait_for_it() -> None:
    """What a client sends right behind its last token is read as authenticated."""
    is_let_go = threading.Event()
    with Hand(mechanism_factory=partial(HeldMechanism, is_let_go)) as hand:
        peer, _ = hand.connect()
        peer.send(_token(b"AP-REQ") + GET)
        hand.thread.turn()
        is_let_go.set()
        hand.turn_until_readable(peer)
        replies = [COMPLETE, COMPLETE, wire.pulse_reply("/w/t/1", None, 7)]
        assert [peer.receive() for _ in replies] == replies


def test_step_of_a_connection_that_is_gone_is_dropped() -> None:
    """A client that goes while its step is taken leaves nothing behind."""
    is_let_go = threading.Event()
    mechanism = HeldMechanism(is_let_go)
    with Hand(mechanism_factory=lambda: mechanism) as hand:
        peer, connection = hand.connect()
        peer.send(_token(b"AP-REQ"))
        hand.thread.turn()
        assert mechanism.is_begun.wait(GIVE_UP_S)
        connection.abort()
        is_let_go.set()
        hand.thread.turn()
        assert not hand.thread.connections
        assert not connection.protocol.authenticated
        peer.close()


@pytest.mark.parametrize(
    "end",
    [Connection.abort, lambda each: each.refuse(LimitError("out of time"))],
    ids=["closed", "refused"],
)
def test_step_that_nobody_waits_for_is_not_taken(
    end: Callable[[Connection], None],
) -> None:
    """A step that waits for its turn is not taken once its connection has ended."""
    is_let_go = threading.Event()
    made: list[HeldMechanism] = []

    def make() -> ServerMechanism:
        made.append(HeldMechanism(is_let_go))
        return made[-1]

    with Hand(mechanism_factory=make) as hand:
        # As many as are taken at a time; the two below have to wait.
        for _ in range(SLOW_STEPS):
            peer, _ = hand.connect()
            peer.send(_token(b"AP-REQ"))
            hand.thread.turn()
        peer, connection = hand.connect()
        peer.send(_token(b"AP-REQ"))
        hand.thread.turn()
        end(connection)
        last, _ = hand.connect()
        last.send(_token(b"AP-REQ"))
        hand.thread.turn()
        is_let_go.set()
        hand.turn_until_readable(last)
        assert made[SLOW_STEPS].tokens_rcvd == []


def test_reset_ends_a_connection_while_its_step_is_taken() -> None:
    """Nothing is read meanwhile, but a peer that is killed is noticed."""
    is_let_go = threading.Event()
    with Hand(mechanism_factory=partial(HeldMechanism, is_let_go)) as hand:
        peer, connection = hand.connect()
        peer.send(_token(b"AP-REQ"))
        hand.thread.turn()
        end_with_reset(peer.socket, True)
        peer.close()
        hand.turn_until(lambda: connection.is_closed)
        is_let_go.set()


def test_stop_waits_for_a_step() -> None:
    """A step that is being taken when a stop begins is still answered."""
    is_let_go = threading.Event()
    with Hand(mechanism_factory=partial(HeldMechanism, is_let_go)) as hand:
        peer, connection = hand.connect()
        peer.send(_token(b"AP-REQ"))
        hand.thread.turn()
        hand.thread.stop(limits.STOP_TIMEOUT_S)
        for _ in range(3):
            hand.thread.turn()
        assert not connection.is_closed
        is_let_go.set()
        hand.turn_until(lambda: connection.is_closed)
        assert [peer.receive(), peer.receive()] == [COMPLETE] * 2
        assert peer.ended() == "reset"


def test_eviction_ends_a_connection_while_its_step_is_taken() -> None:
    """What waits behind a step is in the budget; the step's outcome is dropped."""
    is_let_go = threading.Event()
    make = partial(HeldMechanism, is_let_go)
    with Hand(budget_bytes=10_000, mechanism_factory=make) as hand:
        peer, connection = hand.connect()
        peer.send(_token(b"AP-REQ") + bytes(11_000))
        hand.turn_until(lambda: connection.protocol.error is not None)
        assert "buffers are full" in str(connection.protocol.error)
        assert hand.budget.total_bytes == 0
        is_let_go.set()
        hand.turn_until_readable(peer)
        assert peer.ended() == "eof"
        assert not connection.protocol.authenticated


def test_failure_of_guesser_that_did_not_wait_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Who resets before the delayed refusal is named all the same."""
    with Hand(mechanism_factory=like_digest) as hand:
        for port in range(FREE_FAILURES):
            guesser, _ = hand.connect(f"10.0.0.1:{port}")
            hand.ask(guesser, REQUEST)
            guesser.send(_token(REFUSED))
            hand.turn_until_readable(guesser)
        guesser, connection = hand.connect("10.0.0.1:99")
        guesser.send(REQUEST)
        hand.thread.turn()
        hand.after(1.0)
        hand.turn_until_readable(guesser)
        guesser.receive()
        guesser.send(_token(REFUSED))
        hand.thread.turn()
        end_with_reset(guesser.socket, True)
        guesser.close()
        hand.turn_until(lambda: connection.is_closed)
        hand.after(1.0)
    assert "10.0.0.1:99: closed: refused by the script" in caplog.text


def test_step_that_fails_by_an_error_of_ours_is_a_refusal(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An exception that no mechanism may raise ends its connection alone."""

    class Broken(ScriptedMechanism):
        def step(self, token: bytes) -> bytes | None:
            raise RuntimeError("ours")

    def make() -> ServerMechanism:
        return Broken(
            [None], begins_with_request=False, completion_count=2, is_slow=True
        )

    with Hand(mechanism_factory=make) as hand:
        peer, _ = hand.connect()
        peer.send(_token(b"AP-REQ"))
        hand.turn_until_readable(peer)
        assert peer.ended() == "eof"
    assert any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize("factory", [like_digest, like_kerberos])
def test_exchange_that_is_not_finished_is_closed(
    factory: Callable[[], ServerMechanism],
) -> None:
    """An exchange has ten seconds; a connection that began none has for ever."""
    with Hand(mechanism_factory=factory) as hand:
        silent, _ = hand.connect()
        peer, connection = hand.connect()
        begin = REQUEST if factory is like_digest else _token(b"AP-REQ")
        hand.ask(peer, begin)
        hand.after(limits.SASL_TIMEOUT_S - 1)
        assert connection.protocol.error is None
        hand.after(limits.SWEEP_S + 1)
        assert str(connection.protocol.error) == (
            "out of time: SASL exchange not finished"
        )
        hand.turn_until_readable(peer)
        assert peer.ended() == "eof"
        hand.after(86400)
        assert hand.ask(silent, PULSE) == ACK


def test_exchange_that_is_finished_is_not_timed() -> None:
    """An authenticated connection stays open, however long it is silent."""
    with Hand(mechanism_factory=like_digest) as hand:
        peer, _ = hand.connect()
        hand.ask(peer, REQUEST)
        hand.ask(peer, _token(b"response"))
        peer.receive()
        hand.after(86400)
        assert hand.ask(peer, PULSE) == ACK


def test_refusal_is_logged_with_peer_and_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A failed attempt is one line, and nothing is sent after the token."""
    with Hand(mechanism_factory=like_digest) as hand, caplog.at_level(logging.INFO):
        peer = _guess(hand, "10.0.0.1:5")
        hand.turn_until_readable(peer)
        assert peer.ended() == "eof"
    assert "10.0.0.1:5: closed: refused by the script" in caplog.text


def test_success_is_logged_with_its_user(caplog: pytest.LogCaptureFixture) -> None:
    """Who may read is in the log."""
    with Hand(mechanism_factory=like_digest) as hand, caplog.at_level(logging.INFO):
        peer, _ = hand.connect("10.0.0.1:5")
        hand.ask(peer, REQUEST)
        hand.ask(peer, _token(b"response"))
    assert "10.0.0.1:5: authenticated as nimbus" in caplog.text


def test_guessing_is_slow_for_the_guesser_alone() -> None:
    """After some failures of a host its next answers wait; those of others do not."""
    with Hand(mechanism_factory=like_digest) as hand:
        for port in range(FREE_FAILURES):
            peer = _guess(hand, f"10.0.0.1:{port}")
            hand.turn_until_readable(peer)
        guesser, guessing = hand.connect("10.0.0.1:99")
        guesser.send(REQUEST)
        hand.thread.turn()
        other, _ = hand.connect("10.0.0.2:5")
        assert hand.ask(other, REQUEST) == _token(b"challenge")
        assert guessing.interest == 0, "its answer still waits"
        hand.after(1.0)
        hand.turn_until_readable(guesser)
        assert guesser.receive() == _token(b"challenge")


def test_guesser_that_knows_the_password_is_forgiven() -> None:
    """A success takes the failures of its host off the book."""
    with Hand(mechanism_factory=like_digest) as hand:
        for port in range(FREE_FAILURES - 1):
            hand.turn_until_readable(_guess(hand, f"10.0.0.1:{port}"))
        peer, _ = hand.connect("10.0.0.1:50")
        hand.ask(peer, REQUEST)
        hand.ask(peer, _token(b"response"))
        hand.turn_until_readable(_guess(hand, "10.0.0.1:51"))
        again, _ = hand.connect("10.0.0.1:52")
        assert hand.ask(again, REQUEST) == _token(b"challenge")
