"""Each way in which the server ends a connection: that it is reached, and its marks."""

from __future__ import annotations

import dataclasses
import logging
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, NoReturn

import pytest

from pacemaker.core.accounts.admission import AdmissionControl
from pacemaker.core.accounts.registry import AccountRegistry
from pacemaker.core.figures import Figures
from pacemaker.core.history.record import ConnectionEnd
from pacemaker.core.protocol.server_protocol import ServerProtocol
from pacemaker.errors import LimitError, StateError
from pacemaker.sasl.secret import Secret
from pacemaker.server.io import limits
from pacemaker.server.io.acceptor import Acceptor
from pacemaker.server.io.connection import Connection
from pacemaker.server.io.endings import (
    ENDINGS,
    OWN_FIGURES,
    CloseMode,
    Ending,
    ReplyFlush,
    count_end,
)
from pacemaker.server.io.io_states import IoState
from pacemaker.server.io.sockets import set_reset_on_close
from pacemaker.server.upgrade import inheritance
from tests.fake_mechanisms import ScriptedMechanism, like_kerberos
from tests.server.io.hand import Hand
from tests.server.upgrade.test_state_format import SMALL
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type, Wire, token

pytestmark = pytest.mark.io

DESIGN = Path(__file__).parents[3] / "docs" / "design.md"
PULSE = wire.send_pulse("/w/t/1", b"beat", 5)
ACK = wire.ack(Type.SEND_PULSE_RESPONSE, 5)
MALFORMED = b"\0\0\0\1\0"
PEER = "10.0.0.1:5"
COUNTERS = ("ended_refused", "ended_by_stop", "ended_by_fault")


# --- connections ------------------------------------------------------------


class FaultError(RuntimeError):
    """A bug in the daemon."""


class NoThread:
    """A thread that the system has no room for."""

    def __init__(self, run: Callable[[], None], name: str) -> None:
        """Ignore both."""

    def start(self) -> NoReturn:
        """Fail."""
        raise RuntimeError("can't start new thread")


def _finish(hand: Hand, peer: Wire, connection: Connection) -> None:
    assert hand.ask(peer, PULSE) == ACK
    peer.socket.shutdown(socket.SHUT_WR)


def _reset(hand: Hand, peer: Wire, connection: Connection) -> None:
    assert hand.ask(peer, PULSE) == ACK
    set_reset_on_close(peer.socket, True)
    peer.close()


def _send_malformed(hand: Hand, peer: Wire, connection: Connection) -> None:
    peer.send(MALFORMED)


def _keep_frame_unfinished(hand: Hand, peer: Wire, connection: Connection) -> None:
    peer.send(PULSE[:-1])
    hand.thread.turn()
    hand.after(limits.FRAME_TIMEOUT_S + 2 * limits.SWEEP_S)


def _fill_buffers(hand: Hand, peer: Wire, connection: Connection) -> None:
    peer.send(PULSE[:-1])
    hand.thread.turn()
    hand.thread.request_eviction(connection)


def _begin_sasl(hand: Hand, peer: Wire, connection: Connection) -> None:
    peer.send(token(b"AP-REQ"))


def _need_room(hand: Hand, peer: Wire, connection: Connection) -> None:
    hand.thread.make_room()


def _stop(hand: Hand, peer: Wire, connection: Connection) -> None:
    hand.thread.stop(limits.STOP_TIMEOUT_S)


def _send(hand: Hand, peer: Wire, connection: Connection) -> None:
    peer.send(PULSE)


def _raise(protocol: ServerProtocol, data: bytes) -> NoReturn:
    raise FaultError


class Case(NamedTuple):
    """How to bring an ending about, and what the peer then sees."""

    cause: Callable[[Hand, Wire, Connection], None]
    log: str
    seen: str | None


CASES: Mapping[Ending, Case] = {
    Ending.FINISHED: Case(_finish, "ended by the peer: end of stream", "eof"),
    Ending.PEER_LEFT: Case(_reset, "ended by the peer: ", None),
    Ending.PEER_ERROR: Case(_send_malformed, "closed: message without a type", "eof"),
    Ending.OVERDUE: Case(
        _keep_frame_unfinished, "closed: out of time: frame not complete", "eof"
    ),
    Ending.EVICTED: Case(_fill_buffers, "closed: buffers are full", "eof"),
    Ending.NO_SASL_STEP: Case(_begin_sasl, "closed: the server has no thread", "eof"),
    Ending.MADE_ROOM: Case(_need_room, "closed: no room for silent", "eof"),
    Ending.STOPPED: Case(_stop, "", "reset"),
    Ending.FAULT: Case(_send, "closed: internal error", "reset"),
}


@pytest.mark.parametrize("ending", CASES, ids=lambda ending: ending.value)
def test_ending_of_a_connection_is_what_its_rule_says(
    ending: Ending, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log, the wire, the counters and the history agree with the table."""
    case, rule = CASES[ending], ENDINGS[ending]
    needs_sasl = ending is Ending.NO_SASL_STEP
    if ending is Ending.FAULT:
        monkeypatch.setattr(ServerProtocol, "receive_data", _raise)
    with (
        caplog.at_level(logging.DEBUG),
        Hand(
            mechanism_factory=like_kerberos if needs_sasl else None,
            make_thread=NoThread,  # type: ignore[arg-type]
        ) as hand,
    ):
        peer, connection = hand.connect(PEER)
        case.cause(hand, peer, connection)
        ended = (IoState.LINGERING, IoState.CLOSED)
        hand.turn_until(lambda: connection.io_state in ended)
        assert connection.ending is ending
        assert (connection.io_state is IoState.LINGERING) is (
            rule.close is CloseMode.LINGER
        )
        if case.seen is not None:
            assert peer.ended() == case.seen
            peer.close()
        hand.turn_until(lambda: connection.is_closed)
        _check_counted(hand.figures, rule.counter)
        own = {
            each for each, name in OWN_FIGURES.items() if getattr(hand.figures, name)
        }
        assert own == {ending} & OWN_FIGURES.keys()
        assert connection.protocol.peer_record.end is rule.history
        lines = [
            (record.levelno, record.getMessage())
            for record in caplog.records
            if record.name == "pacemaker.server.io.connection"
        ]
    closing = [line for line in lines if not line[1].endswith("connected")]
    if rule.level is None:
        assert closing == []
    else:
        ((level, message),) = closing
        assert level == rule.level
        assert message.startswith(f"{PEER}: {case.log}")


def _check_counted(figures: Figures, counter: str | None) -> None:
    assert (figures.ended, figures.connections) == (1, 0)
    counted = [name for name in COUNTERS if getattr(figures, name)]
    assert counted == ([] if counter is None else [counter])


def test_fault_of_a_refused_connection_is_counted_once() -> None:
    """The counters of all endings add up to `ended`."""
    with Hand() as hand:
        peer, connection = hand.connect(PEER)
        peer.send(MALFORMED)
        hand.turn_until(lambda: connection.io_state is IoState.LINGERING)
        connection.end(Ending.FAULT)
        assert connection.is_closed
        _check_counted(hand.figures, "ended_by_fault")


def test_accepted_connections_that_have_not_ended_are_open() -> None:
    """Accepted less ended is open, also with a socket that became no connection."""

    def open_then_fail() -> ScriptedMechanism:
        if protocols:
            raise FaultError
        protocols.append(None)
        return like_kerberos()

    protocols: list[None] = []
    with Hand(mechanism_factory=open_then_fail) as hand:
        _, connection = hand.connect(PEER)
        figures = hand.figures
        hand.accept_late()
        hand.thread.turn()
        assert (figures.accepted, figures.ended, figures.connections) == (1, 0, 1)
        connection.end(Ending.FINISHED)
        assert (figures.accepted, figures.ended, figures.connections) == (1, 1, 0)


def test_connection_counted_without_an_ending_is_logged_as_a_fault(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An omission of ours is not counted in silence."""
    with Hand() as hand:
        _, connection = hand.connect(PEER)
        hand.thread._count_end(connection)
        _check_counted(hand.figures, "ended_by_fault")
    assert caplog.messages[-1] == f"{PEER}: closed: internal error: no ending was set"


def test_first_ending_is_the_one_that_counts() -> None:
    """A peer that resets before it has taken its refusal was refused all the same."""
    with Hand() as hand:
        peer, connection = hand.connect(PEER)
        peer.send(PULSE + MALFORMED)
        set_reset_on_close(peer.socket, True)
        peer.close()
        hand.turn_until(lambda: connection.is_closed)
        assert connection.ending is Ending.PEER_ERROR
        _check_counted(hand.figures, "ended_refused")


@pytest.mark.parametrize(
    "ending",
    [each for each in CASES if ENDINGS[each].replies is ReplyFlush.UNLESS_STUCK],
    ids=lambda ending: ending.value,
)
def test_refusal_by_a_limit_does_not_wait_for_stuck_replies(ending: Ending) -> None:
    """A peer that takes nothing is reset at once."""
    with Hand() as hand:
        hand.store.put("/w/t/1", b"x" * 9_000_000)
        peer, connection = hand.connect(PEER)
        peer.send(wire.path_request(Type.GET_PULSE, "/w/t/1", 7))
        hand.turn_until(lambda: bool(connection.unsent_bytes))
        connection.end(ending, LimitError("as asked for"))
        assert connection.is_closed
        _check_counted(hand.figures, "ended_refused")


@pytest.mark.parametrize("ending", Ending, ids=lambda ending: ending.value)
def test_all_but_faults_count_as_stopped_during_a_stop(ending: Ending) -> None:
    """A stop ends connections; how a peer reacts to it does not matter."""
    is_fault = ending is Ending.FAULT
    expected = ConnectionEnd.RESET if is_fault else ConnectionEnd.STOPPED
    figures = Figures(connections=2)
    assert count_end(figures, ending, is_stopping=True) is expected
    assert figures.ended_by_stop == (not is_fault)
    assert count_end(figures, ending, is_stopping=False) is ENDINGS[ending].history
    assert (figures.connections, figures.ended) == (0, 2)


# --- sockets that never became a connection ---------------------------------


class Refuser:
    """A fake I/O thread that has no room, or fails."""

    expendable_count = costly_count = load = 0

    def add_connection(self, *arguments: object) -> NoReturn:
        """Fail."""
        raise FaultError

    def look_for_idle(self) -> None:
        """Find nothing."""


@pytest.mark.parametrize(
    ("ending", "capacity"), [(Ending.NOT_ADMITTED, 0), (Ending.NOT_OPENED, 10)]
)
def test_acceptor_closes_socket_as_the_rule_says(
    ending: Ending, capacity: int, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged and reset, and its account is free of it."""
    accounts = AccountRegistry()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        acceptor = Acceptor(
            *([listener], [Refuser()], accounts),  # type: ignore[arg-type]
            AdmissionControl(accounts, capacity),
        )
        peer = Wire(listener.getsockname(), 10.0)
        acceptor._accept_some(listener.fileno(), 0.0)
        assert peer.ended() == "reset"
        peer.close()
        acceptor.close()
    assert accounts.connections == 0
    assert acceptor.refused == (ending is Ending.NOT_ADMITTED)
    ((level, message),) = [(each.levelno, each.getMessage()) for each in caplog.records]
    assert level == ENDINGS[ending].level
    assert (": refused: " if acceptor.refused else ": closed: internal") in message


@pytest.mark.parametrize("ending", [Ending.NOT_OPENED, Ending.TOO_LATE])
def test_io_thread_closes_socket_as_the_rule_says(
    ending: Ending, caplog: pytest.LogCaptureFixture
) -> None:
    """It is reset, its account is free of it, and it counts as no connection."""

    def fail() -> NoReturn:
        raise FaultError

    is_late = ending is Ending.TOO_LATE
    with Hand(mechanism_factory=None if is_late else fail) as hand:
        if is_late:
            hand.thread.stop(limits.STOP_TIMEOUT_S)
            hand.thread.turn()
        peer = hand.accept_late()
        hand.thread.turn()
        assert peer.ended() == "reset"
        assert hand.accounts.connections == hand.thread.load == 0
        figures = hand.figures
        assert (figures.accepted, figures.ended, figures.connections) == (0, 0, 0)
    expected = (
        [] if is_late else [(logging.ERROR, "127.0.0.1:1: closed: internal error")]
    )
    assert [(each.levelno, each.getMessage()) for each in caplog.records] == expected


# --- connections that an upgrade does not carry over ------------------------


def test_connections_of_other_security_settings_are_reset(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever authenticated under the old settings has to do it again."""
    ours, peer = socket.socketpair()
    fd = ours.detach()
    kept = SMALL.connections[0]._replace(fd=fd)
    state = SMALL._replace(connections=[kept], request_fd=-1, waiter_fds=())
    monkeypatch.setattr(inheritance, "read_inherited_state", lambda: state)
    inherited = inheritance.inherit(Secret("new"))
    assert inherited is not None
    inherited.waiters.close("over")
    assert peer.recv(1) == b""
    peer.close()
    assert caplog.messages == ["security settings changed: resetting 1 connection"]


def test_connections_of_a_lost_state_are_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says that everything starts from nothing, and why."""

    def fail() -> NoReturn:
        raise StateError("the checksum is wrong")

    monkeypatch.setattr(inheritance, "read_inherited_state", fail)
    lost = inheritance.inherit(Secret(""))
    assert lost is not None
    lost.waiters.close("over")
    rule = ENDINGS[Ending.STATE_LOST]
    (record,) = caplog.records
    assert record.levelno == rule.level
    assert record.getMessage() == rule.text % "the checksum is wrong"


# --- the table --------------------------------------------------------------

NOT_CONNECTIONS = {Ending.NOT_ADMITTED, Ending.NOT_OPENED, Ending.TOO_LATE}
BY_UPGRADE = {
    Ending.LEFT_BEHIND: "test_upgrade.py: test_connection_amid_sasl_is_reset",
    Ending.RIGHTS_CHANGED: "above",
    Ending.STATE_LOST: "above",
}


def test_every_ending_has_a_rule_and_is_reached() -> None:
    """A new ending is added to the table and to these tests."""
    assert list(ENDINGS) == list(Ending)
    assert set(Ending) == {*CASES, *NOT_CONNECTIONS, *BY_UPGRADE}


def test_counters_are_figures() -> None:
    """A misspelled counter would raise when a connection ends."""
    fields = {field.name for field in dataclasses.fields(Figures)}
    counters = {rule.counter for rule in ENDINGS.values()} - {None}
    assert counters <= fields


def _row(ending: Ending) -> str:
    """Return the row of an ending in the table of docs/design.md."""
    rule = ENDINGS[ending]
    level = "-" if rule.level is None else logging.getLevelName(rule.level)
    if rule.level_if_silent is not None:
        level += f" (silent peer: {logging.getLevelName(rule.level_if_silent)})"
    cells = [
        *(ending.name, rule.decided_by, rule.when, rule.replies.value),
        *(rule.close.value, level, f"`{rule.counter}`" if rule.counter else "-"),
        rule.history.name if rule.history else "-",
    ]
    return f"| {' | '.join(cells)} |"


@pytest.mark.parametrize("ending", Ending, ids=lambda ending: ending.value)
def test_documentation_has_the_row_of_each_ending(ending: Ending) -> None:
    """The table in docs/design.md is the one in the code."""
    assert _row(ending) in DESIGN.read_text()
