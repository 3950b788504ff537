"""SASL steps on a real connection: who waits for them, and for how long."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import pytest

from pacemaker.errors import LimitError, ServerFaultError
from pacemaker.sasl.mechanism import ServerMechanism
from pacemaker.server.io import limits
from pacemaker.server.io.connection import Connection
from pacemaker.server.io.endings import Ending
from pacemaker.server.io.sasl_backoff import (
    FREE_FAILURES,
    MAX_DELAY_S,
    MAX_RIGHT_DELAY_S,
)
from pacemaker.server.io.sasl_steps import HELPER_THREADS
from pacemaker.server.io.sockets import set_reset_on_close
from tests.fake_mechanisms import (
    REFUSED,
    ScriptedMechanism,
    like_digest,
    like_kerberos,
)
from tests.server.io.hand import GIVE_UP_S, Hand
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type, Wire, binary, message

pytestmark = pytest.mark.io

REQUEST = message(Type.CONTROL_MESSAGE, binary(7, b"\xff\x36"))
COMPLETE = message(Type.CONTROL_MESSAGE, binary(7, b"\xff\x35"))
PULSE = wire.send_pulse("/w/t/1", b"beat", 5)
ACK = wire.ack(Type.SEND_PULSE_RESPONSE, 5)
GET = wire.path_request(Type.GET_PULSE, "/w/t/1", 7)


def _token(token: bytes) -> bytes:
    blob = b"\xfe\x0c" + len(token).to_bytes(4, "big") + token
    return message(Type.SASL_MESSAGE_TOKEN, binary(7, blob))


class HeldMechanism(ScriptedMechanism):
    """A slow mechanism whose first step waits until the test releases it."""

    def __init__(self, is_let_go: threading.Event) -> None:
        super().__init__(
            [None], begins_with_request=False, completion_count=2, is_slow=True
        )
        self.is_begun = threading.Event()
        self._is_let_go = is_let_go

    def step(self, token: bytes) -> bytes | None:
        """Wait, then return the next answer."""
        self.is_begun.set()
        assert self._is_let_go.wait(GIVE_UP_S)
        return super().step(token)


def _guess(hand: Hand, name: str) -> Wire:
    """Fail to authenticate, and leave the end of the connection unread."""
    peer, _ = hand.connect(name)
    assert hand.ask(peer, REQUEST) == _token(b"challenge")
    peer.send(_token(REFUSED))
    hand.thread.turn()
    return peer


def test_short_steps_are_taken_at_once() -> None:
    """A DIGEST exchange needs no thread, and allows reads afterwards."""
    with Hand(mechanism_factory=like_digest) as hand:
        peer, _ = hand.connect()
        assert hand.ask(peer, REQUEST) == _token(b"challenge")
        assert hand.ask(peer, _token(b"response")) == _token(b"rspauth")
        assert peer.receive() == COMPLETE
        assert hand.ask(peer, GET) == wire.pulse_reply("/w/t/1", None, 7)


def test_slow_steps_come_back_to_the_io_thread() -> None:
    """A KERBEROS exchange uses the helpers, and allows reads afterwards."""
    with Hand(mechanism_factory=like_kerberos) as hand:
        peer, _ = hand.connect()
        assert hand.ask(peer, _token(b"AP-REQ")) == _token(b"offer")
        assert hand.ask(peer, _token(b"choice")) == COMPLETE
        assert peer.receive() == COMPLETE
        assert hand.ask(peer, GET) == wire.pulse_reply("/w/t/1", None, 7)


def test_step_that_is_held_holds_up_nobody_else() -> None:
    """While one exchange is blocked, pulses of others are answered."""
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
    """A request sent right after the last token is handled as authenticated."""
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
    """A client that disconnects while its step runs leaves nothing behind."""
    is_let_go = threading.Event()
    mechanism = HeldMechanism(is_let_go)
    with Hand(mechanism_factory=lambda: mechanism) as hand:
        peer, connection = hand.connect()
        peer.send(_token(b"AP-REQ"))
        hand.thread.turn()
        assert mechanism.is_begun.wait(GIVE_UP_S)
        connection.end(Ending.STOPPED)
        is_let_go.set()
        hand.thread.turn()
        assert not hand.thread.connections
        assert not connection.protocol.authenticated
        peer.close()


@pytest.mark.parametrize(
    "end",
    [
        lambda each: each.end(Ending.STOPPED),
        lambda each: each.end(Ending.OVERDUE, LimitError("out of time")),
    ],
    ids=["closed", "refused"],
)
def test_step_that_nobody_waits_for_is_not_taken(
    end: Callable[[Connection], None],
) -> None:
    """A queued step does not run once its connection has ended."""
    is_let_go = threading.Event()
    made: list[HeldMechanism] = []

    def make() -> ServerMechanism:
        made.append(HeldMechanism(is_let_go))
        return made[-1]

    with Hand(mechanism_factory=make) as hand:
        # As many as are taken at a time; the two below have to wait.
        for number in range(HELPER_THREADS):
            peer, _ = hand.connect(f"10.0.0.{number}:1")
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
        assert made[HELPER_THREADS].tokens_rcvd == []


def test_reset_ends_a_connection_while_its_step_is_taken() -> None:
    """While a step runs, nothing is read, but a reset is noticed."""
    is_let_go = threading.Event()
    with Hand(mechanism_factory=partial(HeldMechanism, is_let_go)) as hand:
        peer, connection = hand.connect()
        peer.send(_token(b"AP-REQ"))
        hand.thread.turn()
        set_reset_on_close(peer.socket, True)
        peer.close()
        hand.turn_until(lambda: connection.is_closed)
        is_let_go.set()


def test_stop_waits_for_a_step() -> None:
    """A step that runs when a stop begins is still answered."""
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
    """Bytes that wait for a step count in the budget; the outcome is dropped."""
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
    """The failure is logged even if the peer resets before the delayed refusal."""
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
        set_reset_on_close(guesser.socket, True)
        guesser.close()
        hand.turn_until(lambda: connection.is_closed)
        hand.after(1.0)
    assert "10.0.0.1:99: closed: refused by the script" in caplog.text


def test_step_that_fails_by_an_error_of_ours_is_a_refusal(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An unexpected exception in a mechanism ends only its connection."""

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
    """An exchange has ten seconds; a connection without one has no limit."""
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
    """A failed attempt is one line in the log, and nothing is sent after the token."""
    with Hand(mechanism_factory=like_digest) as hand, caplog.at_level(logging.INFO):
        peer = _guess(hand, "10.0.0.1:5")
        hand.turn_until_readable(peer)
        assert peer.ended() == "eof"
    assert "10.0.0.1:5: closed: refused by the script" in caplog.text


def test_success_is_logged_with_its_user(caplog: pytest.LogCaptureFixture) -> None:
    """The log names the user who may read now."""
    with Hand(mechanism_factory=like_digest) as hand, caplog.at_level(logging.INFO):
        peer, _ = hand.connect("10.0.0.1:5")
        hand.ask(peer, REQUEST)
        hand.ask(peer, _token(b"response"))
    assert "10.0.0.1:5: authenticated as nimbus" in caplog.text


def _begin(hand: Hand, name: str) -> tuple[Wire, Connection]:
    """Connect a peer and send it the challenge."""
    peer, connection = hand.connect(name)
    assert hand.ask(peer, REQUEST) == _token(b"challenge")
    return peer, connection


def _fail_often(hand: Hand, names: Iterable[str]) -> list[Connection]:
    """Send a wrong response on one connection per name; do not wait for refusals."""
    guessing = []
    for name in names:
        peer, connection = _begin(hand, name)
        peer.send(_token(REFUSED))
        hand.thread.turn()
        guessing.append(connection)
    return guessing


def _told(guessing: Iterable[Connection]) -> int:
    return sum(each.protocol.error is not None for each in guessing)


def _named(count: int) -> list[str]:
    return [f"10.0.0.1:{port}" for port in range(count)]


def test_wrong_guesses_of_an_address_are_told_one_at_a_time() -> None:
    """After a few free guesses, one refusal per second is sent to an address."""
    with Hand(mechanism_factory=like_digest) as hand:
        guessing = _fail_often(hand, _named(40))
        assert _told(guessing) == FREE_FAILURES
        counts = []
        for _ in range(10):
            for _ in range(10):
                hand.after(MAX_DELAY_S / 10)
            counts.append(_told(guessing))
        # The delay doubles from one eighth of a second; from then on one a second.
        assert counts[0] <= FREE_FAILURES + 3
        assert counts[-1] <= FREE_FAILURES + 3 + 9
        while _told(guessing) < len(guessing):
            hand.after(MAX_DELAY_S)
            hand.thread.turn()
        assert (hand.steps.failed, hand.steps.delayed) == (40, 40 - FREE_FAILURES)


@pytest.mark.parametrize(
    "names",
    [
        ["10.0.0.1:1", "[::ffff:10.0.0.1]:2"],
        ["[2001:db8::1]:1", "[2001:db8::ffff:2]:1"],
    ],
)
def test_addresses_of_one_guesser_are_one(names: list[str]) -> None:
    """A mapped address, or another one of the same /64, counts as the same guesser."""
    with Hand(mechanism_factory=like_digest) as hand:
        assert _told(_fail_often(hand, names * FREE_FAILURES)) == FREE_FAILURES


def test_guessing_is_slow_for_the_guesser_alone() -> None:
    """While refusals of one address wait, those of another are sent at once."""
    with Hand(mechanism_factory=like_digest) as hand:
        _fail_often(hand, _named(20))
        assert _told(_fail_often(hand, ["10.0.0.2:1"])) == 1


def test_right_secret_is_not_kept_behind_wrong_ones() -> None:
    """A right secret is answered after one delay, however many guesses wait."""
    with Hand(mechanism_factory=like_digest) as hand:
        guessing = _fail_often(hand, _named(30))
        for _ in range(8):
            hand.after(MAX_DELAY_S)
            hand.thread.turn()
        peer, connection = _begin(hand, "10.0.0.1:999")
        peer.send(_token(b"response"))
        hand.thread.turn()
        hand.after(MAX_RIGHT_DELAY_S / 2)
        assert not connection.protocol.authenticated, "silence would tell a guesser"
        hand.after(MAX_RIGHT_DELAY_S / 2)
        assert connection.protocol.authenticated
        assert [peer.receive(), peer.receive()] == [_token(b"rspauth"), COMPLETE]
        assert _told(guessing) < len(guessing)


def test_success_forgives_nothing_while_wrong_guesses_wait() -> None:
    """Another peer's success at its address gives a guesser no more tries."""
    with Hand(mechanism_factory=like_digest) as hand:
        guessing = _fail_often(hand, _named(20))
        peer, connection = _begin(hand, "10.0.0.1:999")
        peer.send(_token(b"response"))
        hand.thread.turn()
        hand.after(MAX_DELAY_S)
        assert connection.protocol.authenticated
        told = _told(guessing)
        more = _fail_often(hand, (f"10.0.0.1:{port}" for port in range(500, 510)))
        assert _told(guessing + more) == told


def test_refusal_that_waits_is_not_overdue() -> None:
    """The timeout of an exchange does not apply while its refusal waits."""
    with Hand(mechanism_factory=like_digest) as hand:
        guessing = _fail_often(hand, _named(60))
        hand.after(2 * limits.SASL_TIMEOUT_S)
        assert _told(guessing) < 30
        assert not any(isinstance(each.protocol.error, LimitError) for each in guessing)


@pytest.mark.parametrize("reset", [False, True])
def test_guesser_that_goes_gives_its_turn_to_the_next(reset: bool) -> None:
    """A guesser that disconnects delays no others, and keeps no descriptor."""
    with Hand(mechanism_factory=like_digest) as hand:
        _fail_often(hand, _named(FREE_FAILURES))
        peer, gone = _begin(hand, "10.0.0.1:100")
        peer.send(_token(REFUSED))
        hand.thread.turn()
        (following,) = _fail_often(hand, ["10.0.0.1:101"])
        set_reset_on_close(peer.socket, reset)
        peer.close()
        hand.turn_until(lambda: gone.is_closed)
        hand.thread.turn()
        hand.after(MAX_DELAY_S)
        assert following.protocol.error is not None


def test_stop_waits_for_no_refusal() -> None:
    """A stop resets a guesser whose refusal waits."""
    with Hand(mechanism_factory=like_digest) as hand:
        _fail_often(hand, _named(10))
        hand.thread.stop(limits.STOP_TIMEOUT_S)
        hand.turn_until(lambda: not hand.thread.connections)


def test_slow_steps_of_an_address_are_taken_one_at_a_time() -> None:
    """While one runs, others of its address wait; those of other addresses do not."""
    is_let_go = threading.Event()
    made: list[HeldMechanism] = []

    def make() -> ServerMechanism:
        made.append(HeldMechanism(is_let_go))
        return made[-1]

    with Hand(mechanism_factory=make) as hand:
        for name in ("10.0.0.1:1", "10.0.0.1:2", "10.0.0.2:1"):
            peer, _ = hand.connect(name)
            peer.send(_token(b"AP-REQ"))
            hand.thread.turn()
        first, second, other = made
        assert first.is_begun.wait(GIVE_UP_S)
        assert other.is_begun.wait(GIVE_UP_S)
        assert not second.is_begun.is_set()
        is_let_go.set()
        assert second.is_begun.wait(GIVE_UP_S)


def _errors_beside_a_slow_step(names: Sequence[str]) -> list[str]:
    """Begin further exchanges during a slow step; return the error of each."""
    is_let_go = threading.Event()
    mechanism = HeldMechanism(is_let_go)
    with Hand(mechanism_factory=lambda: mechanism) as hand:
        peer, _ = hand.connect("10.0.0.1:1")
        peer.send(_token(b"AP-REQ"))
        hand.thread.turn()
        assert mechanism.is_begun.wait(GIVE_UP_S)
        connections = []
        for name in names:
            peer, connection = hand.connect(name)
            peer.send(_token(b"AP-REQ"))
            hand.thread.turn()
            connections.append(connection)
        errors = [str(each.protocol.error) for each in connections]
        is_let_go.set()
    assert hand.steps.failed == 0
    return errors


def test_slow_steps_past_the_bound_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If too many of an address wait, the next one is closed, and may try again."""
    monkeypatch.setattr("pacemaker.server.io.sasl_steps.MAX_SLOW_STEPS_OF_ADDRESS", 1)
    errors = _errors_beside_a_slow_step(("10.0.0.1:2", "10.0.0.1:3", "10.0.0.2:1"))
    assert errors == ["None", "too many SASL steps of its address wait", "None"]


def test_slow_steps_past_the_bound_of_all_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If too many of all addresses wait, the refusal does not blame its address."""
    monkeypatch.setattr("pacemaker.server.io.sasl_steps.MAX_SLOW_STEPS", 1)
    errors = _errors_beside_a_slow_step(("10.0.0.1:2", "10.0.0.2:1"))
    assert errors == ["None", "too many SASL steps of all addresses wait"]


class _Refusing(threading.Thread):
    """A thread that the system refuses to start."""

    def start(self) -> None:
        raise RuntimeError("can't start new thread")


@pytest.mark.parametrize("started", [0, 1])
def test_helper_that_cannot_start_is_tried_again(
    started: int, caplog: pytest.LogCaptureFixture
) -> None:
    """If a helper cannot start, the others serve, and the next step tries again."""
    room = started

    def make_thread(run: Callable[[], None], name: str) -> threading.Thread:
        nonlocal room
        room -= 1
        kind = threading.Thread if room >= 0 else _Refusing
        return kind(target=run, name=name, daemon=True)

    with Hand(mechanism_factory=like_kerberos, make_thread=make_thread) as hand:
        peer, connection = hand.connect("10.0.0.1:1")
        peer.send(_token(b"AP-REQ"))
        hand.turn_until_readable(peer)
        if started:
            assert peer.receive() == _token(b"offer")
        else:
            assert peer.ended() == "eof"
            assert "10.0.0.1:1: closed: the server has no thread" in caplog.text
        assert f"can't start new thread; {started} of 4 run" in caplog.text
        room = HELPER_THREADS
        again, connection = hand.connect("10.0.0.1:2")
        assert hand.ask(again, _token(b"AP-REQ")) == _token(b"offer")
        assert hand.ask(again, _token(b"choice")) == COMPLETE
        assert connection.protocol.authenticated
    assert hand.steps.failed == 0


def test_fault_of_ours_is_no_guess() -> None:
    """A step that the server cannot run is refused at once, and is not a guess."""

    class Faulty(ScriptedMechanism):
        def step(self, token: bytes) -> bytes | None:
            raise ServerFaultError("the disk is full")

    def make() -> ServerMechanism:
        return Faulty([b""], begins_with_request=True, completion_count=1)

    with Hand(mechanism_factory=make) as hand:
        for port in range(2 * FREE_FAILURES):
            peer, connection = hand.connect(f"10.0.0.1:{port}")
            peer.send(REQUEST)
            hand.thread.turn()
            assert str(connection.protocol.error) == "the disk is full"
    assert hand.steps.failed == 0


def test_guesser_that_knows_the_password_is_forgiven() -> None:
    """A success clears its host's failures."""
    with Hand(mechanism_factory=like_digest) as hand:
        for port in range(FREE_FAILURES - 1):
            hand.turn_until_readable(_guess(hand, f"10.0.0.1:{port}"))
        peer, _ = hand.connect("10.0.0.1:50")
        hand.ask(peer, REQUEST)
        hand.ask(peer, _token(b"response"))
        hand.turn_until_readable(_guess(hand, "10.0.0.1:51"))
        again, _ = hand.connect("10.0.0.1:52")
        assert hand.ask(again, REQUEST) == _token(b"challenge")
