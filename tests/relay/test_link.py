"""One link, with a Pacemaker that the test plays and a clock that it moves."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from pacemaker.client import connection_limits, requests
from pacemaker.client.address import ServerAddress
from pacemaker.relay.link import MAX_UNSENT_BYTES, Link, ProofRequests
from pacemaker.relay.link_probes import PROBE_AFTER_S, PROBE_TIMEOUT_S
from pacemaker.sasl.mechanism import ClientMechanismFactory
from pacemaker.wire import control, messages
from pacemaker.wire.messages import Message

pytestmark = pytest.mark.io

KEY = "/workerbeats/words-1-1700000000/7a4e-6700"
ANNOUNCEMENT = requests.create_path("/a-relay")
BEGAN_S = 1000.0
TIMEOUT_S = 30.0


class Owner:
    """The links' thread, and the threads of slow steps, as the test runs them."""

    def __init__(self) -> None:
        self.now_s = BEGAN_S
        self.slow_steps: list[Callable[[], None]] = []
        self.calls: list[Callable[[], None]] = []
        self.started: list[str] = []
        self.events = 0
        self.poll = select.poll()

    def now(self) -> float:
        """Return what the test has set."""
        return self.now_s

    def call(self, function: Callable[[], None]) -> None:
        """Keep a call for `run_calls`."""
        self.calls.append(function)

    def run_aside(self, function: Callable[[], None], name: str) -> None:
        """Keep a slow step for `run_slow_steps`."""
        self.started.append(name)
        self.slow_steps.append(function)

    def run_slow_steps(self) -> None:
        """Do what the other threads do."""
        while self.slow_steps:
            self.slow_steps.pop()()

    def run_calls(self) -> None:
        """Do what the links' thread does next."""
        while self.calls:
            self.calls.pop()()

    def register(self, link: Link, fd: int) -> None:
        """Note the first events."""
        self.events = select.EPOLLIN
        self.poll.register(fd, select.POLLIN)

    def set_interest(self, fd: int, events: int) -> None:
        """Note other events."""
        self.events = events

    def unregister(self, fd: int) -> None:
        """Note that there are none."""
        self.events = 0
        self.poll.unregister(fd)


class User:
    """Records what a link reports."""

    def __init__(self) -> None:
        self.reported: list[Any] = []

    def on_up(self) -> None:
        """Record it."""
        self.reported.append("up")

    def on_down(self, reason: str) -> None:
        """Record it."""
        self.reported.append(reason)

    def on_reply(self, token: Any, value: Any) -> None:
        """Record it."""
        self.reported.append((token, value))

    def on_room(self) -> None:
        """Do nothing."""


class Pacemaker:
    """A listener on loopback; the test writes its replies."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = ServerAddress(*self.listener.getsockname())
        self.peer = socket.socket()

    def accept(self) -> None:
        """Accept the link's connection."""
        self.peer.close()
        self.listener.settimeout(TIMEOUT_S)
        self.peer = self.listener.accept()[0]
        self.peer.settimeout(TIMEOUT_S)

    def reply(self, kind: int, message_id: int, data: Any = None) -> None:
        """Send a reply."""
        self.peer.sendall(messages.encode(Message(kind, data, message_id)))

    def close(self) -> None:
        """Close both sockets."""
        self.peer.close()
        self.listener.close()


class Linked:
    """A link, its thread, its user and its Pacemaker."""

    def __init__(
        self,
        pacemaker: Pacemaker,
        proof: ProofRequests,
        mechanism_factory: ClientMechanismFactory | None = None,
    ) -> None:
        self.pacemaker = pacemaker
        self.owner = Owner()
        self.user = User()
        self.link = Link(
            "pm1",
            pacemaker.address,
            self.owner,
            self.user,
            proof,
            1000,
            mechanism_factory,
        )

    def connect(self) -> None:
        """Establish the connection; nothing is answered yet."""
        self.link.open()
        self.pass_s(0)
        self.pacemaker.accept()

    def come_up(self) -> None:
        """Connect, and answer the announcement."""
        self.connect()
        self.pacemaker.reply(messages.CREATE_PATH_RESPONSE, 0)
        self.receive()

    def receive(self) -> None:
        """Wait for what the Pacemaker has just sent, and handle it."""
        assert self.owner.poll.poll(TIMEOUT_S * 1000)
        self.link.on_event(select.EPOLLIN)

    def pass_s(self, seconds: float) -> None:
        """Move the clock, and give the link its turn."""
        self.owner.now_s += seconds
        self.link.tick(self.owner.now_s)
        self.owner.run_slow_steps()
        self.owner.run_calls()


@pytest.fixture
def pacemaker() -> Iterator[Pacemaker]:
    """Listen, and close everything afterwards."""
    with closing(Pacemaker()) as pacemaker:
        yield pacemaker


@pytest.fixture
def linked(pacemaker: Pacemaker) -> Iterator[Linked]:
    """Return a link that only writes."""
    linked = Linked(pacemaker, ProofRequests(ANNOUNCEMENT))
    with closing(linked.link):
        yield linked


def test_link_is_up_once_the_announcement_is_answered(linked: Linked) -> None:
    """An established connection alone is not enough: anything could listen there."""
    linked.connect()
    assert not linked.link.is_up
    linked.pacemaker.reply(messages.CREATE_PATH_RESPONSE, 0)
    linked.receive()
    assert linked.link.is_up
    assert linked.user.reported == ["up"]
    assert linked.link.problem == ""


def test_unanswered_announcement_ends_the_connection(linked: Linked) -> None:
    """The Pacemaker accepted the connection and hangs."""
    linked.connect()
    linked.pass_s(connection_limits.PROOF_TIMEOUT_S)
    assert linked.user.reported == ["no answer within 5 s"]
    assert linked.link.losses == 0


def test_unanswered_probe_ends_the_connection(linked: Linked) -> None:
    """A silent link asks first, and connects again without an answer."""
    linked.come_up()
    linked.pass_s(PROBE_AFTER_S)
    assert linked.link.is_up
    linked.pass_s(PROBE_TIMEOUT_S)
    assert linked.user.reported == ["up", "no answer within 3 s"]
    assert linked.link.losses == 1
    assert linked.owner.events == 0
    linked.pass_s(10)
    assert linked.owner.started == ["pacemaker-connect-pm1"] * 2


def test_answered_probe_keeps_the_connection(linked: Linked) -> None:
    """The Pacemaker answers, so it is only idle."""
    linked.come_up()
    linked.pass_s(PROBE_AFTER_S)
    linked.pacemaker.reply(messages.CREATE_PATH_RESPONSE, 1)
    linked.receive()
    linked.pass_s(PROBE_TIMEOUT_S)
    assert linked.user.reported == ["up"]


def test_pause_of_this_process_ends_no_connection(linked: Linked) -> None:
    """The Pacemaker is not to blame for it."""
    linked.connect()
    linked.link.postpone(60)
    linked.pass_s(60)
    assert linked.user.reported == []


def test_reply_reaches_the_user_with_its_token(linked: Linked) -> None:
    """The user knows its requests by tokens."""
    linked.come_up()
    linked.link.send(requests.send_pulse(KEY, b"x"), "a pulse")
    linked.link.flush()
    linked.pacemaker.reply(messages.SEND_PULSE_RESPONSE, 1)
    linked.receive()
    assert linked.user.reported == ["up", ("a pulse", None)]


def test_reply_to_an_abandoned_request_is_discarded(linked: Linked) -> None:
    """Nobody waits for it, and the connection stays."""
    linked.come_up()
    linked.link.send(requests.send_pulse(KEY, b"x"), "a pulse")
    linked.link.flush()
    late: list[bool] = []
    linked.link.abandon("a pulse", lambda: late.append(True))
    linked.pacemaker.reply(messages.SEND_PULSE_RESPONSE, 1)
    linked.receive()
    assert (linked.user.reported, late) == (["up"], [True])
    assert linked.link.is_up


def test_lost_connection_forgets_its_requests(linked: Linked) -> None:
    """Their ids mean other requests on the next connection."""
    linked.come_up()
    linked.link.send(requests.send_pulse(KEY, b"x"), "a pulse")
    linked.link.reset("for a test")
    linked.pass_s(10)
    linked.pacemaker.accept()
    linked.pacemaker.reply(messages.CREATE_PATH_RESPONSE, 0)
    linked.receive()
    assert linked.user.reported == ["up", "for a test", "up"]


def test_full_link_has_no_room(linked: Linked) -> None:
    """Bytes that were queued count before they are sent."""
    linked.come_up()
    assert linked.link.has_room
    linked.link.send(requests.send_pulse(KEY, bytes(MAX_UNSENT_BYTES)), "a pulse")
    assert not linked.link.has_room


def test_link_for_reads_is_up_once_it_may_read(pacemaker: Pacemaker) -> None:
    """An answered announcement does not show the right to read."""
    linked = Linked(pacemaker, ProofRequests(ANNOUNCEMENT, requests.exists("/a-relay")))
    with closing(linked.link):
        linked.come_up()
        assert not linked.link.is_up
        pacemaker.reply(messages.EXISTS_RESPONSE, 1, True)
        linked.receive()
        assert linked.user.reported == ["up"]


def test_refused_read_ends_the_connection(pacemaker: Pacemaker) -> None:
    """The reason names the key to look at."""
    linked = Linked(pacemaker, ProofRequests(ANNOUNCEMENT, requests.exists("/a-relay")))
    with closing(linked.link):
        linked.come_up()
        pacemaker.reply(messages.NOT_AUTHORIZED, 1)
        linked.receive()
        assert not linked.link.is_up
        assert "pacemaker.auth.method" in linked.link.problem


def test_end_before_any_answer_names_the_likely_reason(linked: Linked) -> None:
    """A relay would close a connection that announces a relay."""
    linked.connect()
    linked.pacemaker.peer.shutdown(socket.SHUT_WR)
    linked.receive()
    (reason,) = linked.user.reported
    assert "is it a Pacemaker, and not a relay?" in reason


def test_bug_in_a_call_resets_the_link(linked: Linked) -> None:
    """An exception does not reach the thread, which has other links."""
    linked.come_up()

    def fail() -> None:
        raise RuntimeError("a bug")

    linked.link.guard(fail)
    assert linked.user.reported == ["up", "an internal error of this relay"]


def test_connection_that_comes_after_the_close_is_closed(linked: Linked) -> None:
    """An attempt to connect cannot be ended, so its outcome may come too late."""
    linked.link.open()
    linked.link.tick(BEGAN_S)
    linked.owner.run_slow_steps()
    linked.link.close()
    linked.owner.run_calls()
    linked.pacemaker.accept()
    assert linked.pacemaker.peer.recv(1) == b""
    assert linked.user.reported == []


def test_refused_connection_is_tried_again(linked: Linked) -> None:
    """Nothing listens there, so the next attempt waits a little."""
    linked.pacemaker.listener.close()
    linked.link.open()
    linked.pass_s(0)
    next_s = linked.link.next_s
    assert next_s is not None
    assert next_s > BEGAN_S
    linked.pass_s(next_s - BEGAN_S)
    assert len(linked.owner.started) == 2
    assert linked.link.losses == 0


class OneStep:
    """A mechanism whose step takes as long as the test lets it."""

    name = "ONE-STEP"
    begins_with_request = True
    completion_count = 1
    complete = False

    def step(self, token: bytes) -> bytes:
        """Answer the server's token."""
        self.complete = True
        return b"response"


def test_one_step_of_sasl_runs_at_a_time(pacemaker: Pacemaker) -> None:
    """What the server sends during a step starts no other, and is not even read."""
    linked = Linked(pacemaker, ProofRequests(ANNOUNCEMENT), lambda host: OneStep())
    with closing(linked.link):
        linked.connect()
        pacemaker.peer.sendall(messages.encode(control.token_message(b"challenge")))
        linked.receive()
        assert linked.owner.started[1:] == ["pacemaker-sasl-pm1"]
        assert not linked.owner.events & select.EPOLLIN
        for _ in range(3):
            pacemaker.peer.sendall(b"\0")
            linked.receive()
        assert len(linked.owner.slow_steps) == 1
        linked.owner.run_slow_steps()
        linked.owner.run_calls()
        assert linked.owner.events & select.EPOLLIN
