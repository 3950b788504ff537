"""The links' thread with Pacemakers that lie, disconnect, hang and refuse."""

from __future__ import annotations

import errno
import queue
import re
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest

from pacemaker.client.address import ServerAddress
from pacemaker.client.tcp import TcpNetwork
from pacemaker.core.accounts.account import Account
from pacemaker.core.store.store import Store
from pacemaker.relay.core.question import Answer, Question, QuestionKind
from pacemaker.relay.inbox import Inbox
from pacemaker.relay.links_thread import LinksThread
from pacemaker.wire import messages
from pacemaker.wire.messages import Message
from tests.client.fake_server import FakeServer, Peer, Script

pytestmark = pytest.mark.io

KEY = "/workerbeats/words-1-1700000000/7a4e-6700"
TIMEOUT_S = 30.0


class Running:
    """Running links, and calls to them."""

    def __init__(self, *addresses: ServerAddress, **options: Any) -> None:
        self.store = Store()
        make_inbox = partial(Inbox, self.store)
        self.links = LinksThread(addresses, make_inbox, "an-id", 10485760, **options)
        self.links.open_pulses()
        self.links.start()

    def pulse(self, value: bytes) -> None:
        """Write a heartbeat."""
        self.links.inbox.put(KEY, value, None, Account("a"), "worker")

    def ask(self, kind: QuestionKind = QuestionKind.PULSE, path: str = KEY) -> Answer:
        """Ask something and wait for the answer."""
        answers: queue.Queue[Answer] = queue.Queue()
        self.links.inbox.ask(Question(kind, path, answers.put))
        return answers.get(timeout=TIMEOUT_S)

    def ask_until(
        self, wanted: Answer, kind: QuestionKind = QuestionKind.PULSE
    ) -> None:
        """Ask until the answer is the expected one."""
        for _ in range(2000):
            if self.ask(kind) == wanted:
                return
        raise AssertionError(f"never {wanted!r}")

    def close(self) -> None:
        """Stop the links."""
        self.links.stop()
        self.links.join()
        self.links.close()


@pytest.fixture
def parts() -> Iterator[ExitStack]:
    """Close everything at the end, in reverse order."""
    with ExitStack() as stack:
        yield stack


def run(parts: ExitStack, *servers: FakeServer) -> Running:
    """Run links to these servers."""
    running = Running(*(server.address for server in servers))
    parts.callback(running.close)
    return running


def garbage(peer: Peer, request: Message) -> None:
    """Answer with bytes that are not a message."""
    peer.send(struct.pack(">i", 5) + b"\xff\xff\xff\xff\xff")
    peer.receive()


def endless_frame(peer: Peer, request: Message) -> None:
    """Announce a frame above the maximum size."""
    peer.send(struct.pack(">i", 2**31 - 1))
    peer.receive()


def half_a_frame(peer: Peer, request: Message) -> None:
    """Disconnect within a reply."""
    reply = Message(messages.CREATE_PATH_RESPONSE, None, request.message_id)
    peer.send(messages.encode(reply)[:7])


def another_id(peer: Peer, request: Message) -> None:
    """Answer a request that nobody has sent."""
    peer.send(messages.encode(Message(messages.CREATE_PATH_RESPONSE, None, 4711)))
    peer.receive()


def another_type(peer: Peer, request: Message) -> None:
    """Answer with the reply to another request."""
    reply = Message(messages.EXISTS_RESPONSE, True, request.message_id)
    peer.send(messages.encode(reply))
    peer.receive()


def no_id(peer: Peer, request: Message) -> None:
    """Answer without an id."""
    peer.send(messages.encode(Message(messages.CREATE_PATH_RESPONSE)))
    peer.receive()


def hang_up(peer: Peer, request: Message) -> None:
    """Disconnect without an answer."""


def reset(peer: Peer, request: Message) -> None:
    """Reset the connection."""
    peer.reset()


def after_a_request(act: Callable[[Peer, Message], None]) -> Script:
    """Act once the first request has arrived, if it arrives."""

    def script(peer: Peer) -> None:
        request = peer.receive()
        if request is not None:
            act(peer, request)

    return script


BAD: dict[str, Script] = {
    act.__name__: after_a_request(act)
    for act in (
        garbage,
        endless_frame,
        half_a_frame,
        another_id,
        another_type,
        no_id,
        hang_up,
        reset,
    )
}


@pytest.mark.parametrize("script", BAD.values(), ids=BAD)
def test_bad_pacemaker_costs_a_reconnect(parts: ExitStack, script: Script) -> None:
    """After a bad reply, the next connection to the Pacemaker works as usual."""
    server = parts.enter_context(FakeServer(script, script))
    running = run(parts, server)
    running.pulse(b"x")
    running.ask_until(b"x")
    assert running.links.pulse_senders[0].link.is_up


@pytest.mark.parametrize("script", BAD.values(), ids=BAD)
def test_bad_pacemaker_harms_no_other(parts: ExitStack, script: Script) -> None:
    """The good Pacemaker gets the pulses, and its answers are used."""
    bad = parts.enter_context(FakeServer(*[script] * 1000))
    good = parts.enter_context(FakeServer())
    running = run(parts, bad, good)
    running.pulse(b"x")
    running.ask_until(b"x")
    assert running.ask(QuestionKind.EXISTS) is True
    assert running.ask(QuestionKind.NODES, "/workerbeats") == ["words-1-1700000000"]
    assert running.ask(QuestionKind.DELETE, KEY) is None
    running.ask_until(False, QuestionKind.EXISTS)


@pytest.mark.parametrize("place", ["new_waiter", "begin_to_connect"])
@pytest.mark.parametrize(
    "error", [OSError(errno.EMFILE, "Too many open files"), RuntimeError("a bug")]
)
def test_failed_attempt_costs_another_one(
    parts: ExitStack, monkeypatch: pytest.MonkeyPatch, place: str, error: Exception
) -> None:
    """Whatever fails while a link connects, it tries again."""
    attempt = getattr(TcpNetwork, place)
    errors = [error, error]

    def fail_at_first(*args: Any) -> Any:
        if errors:
            raise errors.pop()
        return attempt(*args)

    monkeypatch.setattr(TcpNetwork, place, fail_at_first)
    running = run(parts, parts.enter_context(FakeServer()))
    running.pulse(b"x")
    running.ask_until(b"x")
    assert not errors


def test_failed_beginning_costs_a_reconnect(parts: ExitStack) -> None:
    """A bug after the connection is established is no endless loop."""
    errors = [RuntimeError("a bug"), RuntimeError("a bug")]

    def fail_at_first(host: str) -> Any:
        if errors:
            raise errors.pop()

    server = parts.enter_context(FakeServer())
    running = Running(server.address, mechanism_factory=fail_at_first)
    parts.callback(running.close)
    running.pulse(b"x")
    running.ask_until(b"x")
    assert not errors


def test_heartbeat_of_another_key_is_not_taken(parts: ExitStack) -> None:
    """A reply with another key's heartbeat is not used."""

    def mixed_up(peer: Peer) -> None:
        while (message := peer.receive()) is not None:
            if message.type == messages.GET_PULSE:
                pulse = messages.Pulse("/another", b"wrong")
                kind = messages.GET_PULSE_RESPONSE
                peer.send(messages.encode(Message(kind, pulse, message.message_id)))
            else:
                peer.answer(message)

    bad = parts.enter_context(FakeServer(*[mixed_up] * 1000))
    good = parts.enter_context(FakeServer())
    running = run(parts, bad, good)
    running.pulse(b"x")
    running.ask_until(b"x")


def test_refusal_of_reads_counts_as_away(parts: ExitStack) -> None:
    """NOT_AUTHORIZED never reaches Nimbus, and pulses still go there."""

    def refuse(peer: Peer) -> None:
        while (message := peer.receive()) is not None:
            if message.type in (messages.EXISTS, messages.GET_PULSE):
                kind = messages.NOT_AUTHORIZED
                peer.send(messages.encode(Message(kind, None, message.message_id)))
            else:
                peer.answer(message)

    strict = parts.enter_context(FakeServer(*[refuse] * 1000))
    good = parts.enter_context(FakeServer())
    running = run(parts, strict, good)
    running.pulse(b"x")
    running.ask_until(b"x")
    pulses = running.links.pulse_senders[0].link
    refused = running.links.read_senders[0].link
    # The good one may have answered before the strict one did either.
    for _ in range(2000):
        running.ask()
        if pulses.is_up and "refuses reads" in refused.problem:
            break
    assert pulses.is_up
    assert not refused.is_up
    assert "refuses reads" in refused.problem


def test_links_describe_each_pacemaker(parts: ExitStack) -> None:
    """The log says which Pacemakers are up, since when, and what waits."""
    server = parts.enter_context(FakeServer())
    nobody = ServerAddress("127.0.0.1", 1)
    running = Running(server.address, nobody)
    parts.callback(running.close)
    running.pulse(b"x")
    running.ask_until(b"x")
    described = running.links.describe()
    one, other = described.split("; ")[:2]
    assert re.search(rf"{server.address} up_s=\d+ complete=False reads=up", one)
    assert f"{nobody} down (" in other
    assert "waiting_pulses=1" in other


def test_links_count_for_each_pacemaker(parts: ExitStack) -> None:
    """The figures have the time since it is up, what waits, and its latency."""
    server = parts.enter_context(FakeServer())
    running = Running(server.address, ServerAddress("127.0.0.1", 1))
    parts.callback(running.close)
    running.pulse(b"x")
    # An answer to a question can overtake the acknowledgement on the other connection.
    for _ in range(2000):
        running.ask()
        one, other = running.links.measurements()
        if sum(one.latencies):
            break
    assert one.name == str(server.address)
    assert one.is_up
    assert one.up_since_s > 0
    assert sum(one.latencies) >= 1
    assert one.latencies_s > 0
    assert one.waiting_pulses == 0
    assert not other.is_up
    assert other.up_since_s == 0
    assert other.waiting_pulses == 1
    assert sum(other.latencies) == 0


def test_call_after_the_end_runs_at_once() -> None:
    """A connection that is established too late must still be closed."""
    running = Running(ServerAddress("127.0.0.1", 1))
    running.close()
    ran: list[int] = []
    running.links.call(lambda: ran.append(1))
    assert ran == [1]
