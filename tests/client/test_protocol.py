"""Tests of pacemaker.client.protocol: two protocol objects, and no I/O."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacemaker.client import protocol as module
from pacemaker.client import requests
from pacemaker.client.protocol import ClientPhase, ClientProtocol, Reply
from pacemaker.client.requests import MAX_MESSAGE_ID, Request
from pacemaker.core.figures import Figures
from pacemaker.core.protocol.dispatch import Dispatcher
from pacemaker.core.store.store import Store
from pacemaker.errors import (
    AuthenticationError,
    FrameError,
    MalformedError,
    OutOfPlaceError,
    PeerError,
)
from pacemaker.sasl.digest import DigestClient, DigestServer, digest_secret
from pacemaker.sasl.mechanism import ClientMechanism, ServerMechanism
from pacemaker.sasl.secret import Secret
from pacemaker.wire import control, messages
from pacemaker.wire.messages import Message
from tests.core.protocol.collecting import Collecting
from tests.cutting import same_however_it_arrives
from tests.fake_mechanisms import like_digest, like_kerberos, like_mutual_kerberos
from tests.golden import GOLDEN
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type

MAX_BODY_BYTES = 10_000
TOKEN_REQUEST = GOLDEN["control: token request"][1]
COMPLETE = GOLDEN["control: SASL complete"][1]


def new_server(mechanism: ServerMechanism | None = None) -> Collecting:
    """Make the server's half over an empty store."""
    dispatcher = Dispatcher(Store(2**20), Figures(), MAX_BODY_BYTES)
    return Collecting(dispatcher, MAX_BODY_BYTES, mechanism, "peer")


def token(data: bytes) -> bytes:
    """Return the frame of a SASL token."""
    return messages.encode(control.token_message(data))


def take_steps(protocol: ClientProtocol) -> None:
    """Take the SASL steps that are due."""
    while protocol.phase is ClientPhase.STEPPING:
        protocol.finish_step(protocol.run_step())


def phase_of(protocol: ClientProtocol) -> ClientPhase:
    """Return the phase as it is now."""
    return protocol.phase


def talk(client: ClientProtocol, server: Collecting, cut_bytes: int = 0) -> None:
    """Carry bytes between the two until both are silent.

    Args:
        cut_bytes: how many at a time; 0 for all at once.
    """
    while True:
        take_steps(client)
        upward = client.data_to_send()
        downward = b""
        for piece in pieces(upward, cut_bytes):
            server.receive_data(piece)
            downward += server.settle()
        for piece in pieces(downward, cut_bytes):
            client.receive_data(piece)
            take_steps(client)
        if not upward and not downward:
            return


def pieces(data: bytes, size_bytes: int) -> Iterable[bytes]:
    """Cut some bytes into pieces of one size."""
    size_bytes = size_bytes or len(data) or 1
    return [data[at : at + size_bytes] for at in range(0, len(data), size_bytes)]


def ask(client: ClientProtocol, server: Collecting, request: Request[Any]) -> Any:
    """Carry one request and its answer."""
    message_id = client.request(request)
    talk(client, server)
    (reply,) = client.replies()
    assert reply.message_id == message_id
    return reply.value


def test_client_and_server_agree_on_every_request() -> None:
    """What one half asks the other answers, over a store that does it."""
    client, server = ClientProtocol(MAX_BODY_BYTES), new_server()
    assert ask(client, server, requests.send_pulse("/w/t/1", b"one")) is None
    assert ask(client, server, requests.send_pulse("/w/t/2", b"")) is None
    assert ask(client, server, requests.get_pulse("/w/t/1")) == b"one"
    assert ask(client, server, requests.get_pulse("/w/t/2")) == b""
    assert ask(client, server, requests.get_pulse("/w/t")) is None
    assert ask(client, server, requests.exists("/w/t/1")) is True
    assert ask(client, server, requests.exists("/w/t")) is False
    assert sorted(ask(client, server, requests.list_nodes("/w/t"))) == ["1", "2"]
    assert ask(client, server, requests.create_path("/w/x")) is None
    assert ask(client, server, requests.delete_pulse("/w/t/1")) is None
    assert ask(client, server, requests.exists("/w/t/1")) is False
    assert ask(client, server, requests.delete_path("/w")) is None
    assert ask(client, server, requests.list_nodes("/w")) == []


@given(
    beats=st.lists(st.tuples(st.sampled_from("abc"), st.binary(max_size=300))),
    cut_bytes=st.integers(0, 40),
)
def test_replies_are_the_same_however_bytes_are_cut(
    beats: list[tuple[str, bytes]], cut_bytes: int
) -> None:
    """Any number of requests in flight, in segments of any size, get their own."""
    client, server = ClientProtocol(MAX_BODY_BYTES), new_server()
    wanted: dict[int, bytes | None] = {}
    for path, details in beats:
        wanted[client.request(requests.send_pulse(path, details))] = None
        wanted[client.request(requests.get_pulse(path))] = details
    talk(client, server, cut_bytes)
    assert {reply.message_id: reply.value for reply in client.replies()} == wanted


def test_reply_is_the_same_however_it_arrives() -> None:
    """Golden replies are read whole, byte by byte and cut at each place."""
    names = ("SEND_PULSE_RESPONSE", "GET_PULSE_RESPONSE, hit")
    stream = b"".join(GOLDEN[name][1] for name in names)

    def outcome(data: Iterable[bytes]) -> list[Reply]:
        client = ClientProtocol(MAX_BODY_BYTES, next_id=5)
        client.request(requests.send_pulse("/a", b"xy"))
        client.request(requests.create_path("/a"))
        client.request(requests.get_pulse("/a"))
        for piece in data:
            client.receive_data(piece)
        return client.replies()

    assert same_however_it_arrives(stream, outcome) == [Reply(5, None), Reply(7, b"xy")]


def test_refusal_is_told_apart() -> None:
    """NOT_AUTHORIZED is the answer to one request, and the connection stays open."""
    client = ClientProtocol(MAX_BODY_BYTES, next_id=9)
    client.request(requests.exists("/a"))
    client.receive_data(GOLDEN["NOT_AUTHORIZED"][1])
    assert client.replies() == [Reply(9, None, is_refused=True)]
    assert phase_of(client) is ClientPhase.OPEN


def test_replies_may_come_in_any_order() -> None:
    """A server that holds reads answers others first; each gets its own reply."""
    client = ClientProtocol(MAX_BODY_BYTES)
    client.request(requests.get_pulse("/a"))
    client.request(requests.get_pulse("/b"))
    client.receive_data(wire.pulse_reply("/b", b"2", 1))
    client.receive_data(wire.pulse_reply("/a", b"1", 0))
    assert client.replies() == [Reply(1, b"2"), Reply(0, b"1")]


def test_late_reply_is_nobodys() -> None:
    """A request that was given up keeps its id, and what comes for it is dropped."""
    client = ClientProtocol(MAX_BODY_BYTES)
    late = client.request(requests.get_pulse("/a"))
    client.abandon(late)
    client.abandon(late)
    assert client.abandoned == 1
    again = client.request(requests.get_pulse("/a"))
    client.receive_data(wire.pulse_reply("/a", b"old", late))
    assert client.replies() == []
    assert (client.abandoned, client.replies_received) == (0, 1)
    client.receive_data(wire.pulse_reply("/a", b"new", again))
    assert client.replies() == [Reply(again, b"new")]


def test_abandoning_an_answered_request_is_nothing() -> None:
    """The reply and the deadline may cross."""
    client = ClientProtocol(MAX_BODY_BYTES)
    message_id = client.request(requests.create_path("/"))
    client.receive_data(wire.ack(Type.CREATE_PATH_RESPONSE, message_id))
    client.abandon(message_id)
    assert client.abandoned == 0


def test_id_is_not_given_again_while_its_reply_may_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When the counter comes round, ids that are still owed a reply are left out."""
    client = ClientProtocol(MAX_BODY_BYTES, next_id=MAX_MESSAGE_ID)
    last = client.request(requests.create_path("/"))
    first = client.request(requests.create_path("/"))
    assert (last, first) == (MAX_MESSAGE_ID, 0)
    monkeypatch.setattr(module, "MAX_MESSAGE_ID", 7)
    other = ClientProtocol(MAX_BODY_BYTES)
    ids = [other.request(requests.create_path("/")) for _ in range(8)]
    assert ids == list(range(8))
    for answered in (2, 5):
        other.receive_data(wire.ack(Type.CREATE_PATH_RESPONSE, answered))
    other.abandon(1)
    assert [other.request(requests.create_path("/")) for _ in range(2)] == [2, 5]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (wire.ack(Type.CREATE_PATH_RESPONSE, 1), OutOfPlaceError),
        (wire.ack(Type.CREATE_PATH_RESPONSE, -1), OutOfPlaceError),
        (wire.message(Type.CREATE_PATH_RESPONSE), OutOfPlaceError),
        (wire.ack(Type.SEND_PULSE_RESPONSE, 0), OutOfPlaceError),
        (wire.ack(Type.CREATE_PATH, 0), OutOfPlaceError),
        (COMPLETE, OutOfPlaceError),
        (token(b""), OutOfPlaceError),
        (b"\0\0\0\1\0", MalformedError),
        (b"\xff\xff\xff\xff", FrameError),
        ((MAX_BODY_BYTES + 1).to_bytes(4, "big"), FrameError),
    ],
    ids=[
        "other-id",
        "minus-one",
        "no-id",
        "other-type",
        "request",
        "control",
        "token",
        "empty",
        "negative",
        "too-large",
    ],
)
def test_broken_protocol_closes(data: bytes, kind: type[PeerError]) -> None:
    """What cannot be a reply to anything ends the connection, with the reason."""
    client = ClientProtocol(MAX_BODY_BYTES)
    client.request(requests.create_path("/"))
    client.receive_data(data)
    assert phase_of(client) is ClientPhase.CLOSED
    assert type(client.error) is kind
    client.receive_data(wire.ack(Type.CREATE_PATH_RESPONSE, 0))
    assert client.replies() == []


def test_replies_before_the_fault_are_kept() -> None:
    """What was answered before the server broke the protocol is answered."""
    client = ClientProtocol(MAX_BODY_BYTES)
    client.request(requests.create_path("/"))
    client.receive_data(wire.ack(Type.CREATE_PATH_RESPONSE, 0) + b"\xff\xff\xff\xff")
    assert client.replies() == [Reply(0, None)]
    assert phase_of(client) is ClientPhase.CLOSED


@given(data=st.binary(), begins=st.booleans())
def test_any_bytes_give_a_legal_state(data: bytes, begins: bool) -> None:
    """Whatever comes, the outcome is a phase and perhaps an error of the peer's."""
    mechanism = DigestClient(SECRET, "user") if begins else None
    client = ClientProtocol(MAX_BODY_BYTES, mechanism)
    client.request(requests.get_pulse("/a"))
    client.receive_data(data)
    take_steps(client)
    assert (client.phase is ClientPhase.CLOSED) == (client.error is not None)


def test_long_list_is_read() -> None:
    """A list may have more names than a request may have fields."""
    names = [f"topology-{number}" for number in range(12_000)]
    client = ClientProtocol(10 * 2**20)
    client.request(requests.list_nodes("/w"))
    data = messages.Nodes(names)
    kind = messages.GET_ALL_NODES_FOR_PATH_RESPONSE
    client.receive_data(messages.encode(Message(kind, data, 0)))
    assert client.replies() == [Reply(0, names)]


# SASL.

SECRET = digest_secret("cluster", Secret("hunter2"))


class ScriptedClient:
    """The client's half of a scripted exchange; holds to `ClientMechanism`."""

    name = "SCRIPTED"

    def __init__(
        self, answers: list[bytes | None], begins_with_request: bool, count: int
    ) -> None:
        self._answers = answers
        self.begins_with_request = begins_with_request
        self.completion_count = count

    @property
    def complete(self) -> bool:
        """Whether the script has come to its end."""
        return not self._answers

    def step(self, token: bytes) -> bytes | None:
        """Give the next answer of the script."""
        if token == b"wrong" or not self._answers:
            raise AuthenticationError("refused by the script")
        return self._answers.pop(0)


PAIRS: dict[str, Callable[[], tuple[ClientMechanism, ServerMechanism]]] = {
    "digest": lambda: (DigestClient(SECRET, "user"), DigestServer(SECRET)),
    "like-digest": lambda: (
        ScriptedClient([b"response", None], True, 1),
        like_digest(),
    ),
    "like-kerberos": lambda: (
        ScriptedClient([b"AP-REQ", b"choice"], False, 2),
        like_kerberos(),
    ),
    "like-mutual-kerberos": lambda: (
        ScriptedClient([b"AP-REQ", b"", b"choice"], False, 2),
        like_mutual_kerberos(),
    ),
}


@pytest.mark.parametrize("cut_bytes", [0, 1, 7])
@pytest.mark.parametrize("name", PAIRS)
def test_requests_wait_for_the_end_of_the_exchange(name: str, cut_bytes: int) -> None:
    """Both halves authenticate, and what was asked meanwhile is answered then."""
    mechanism, server_mechanism = PAIRS[name]()
    client = ClientProtocol(MAX_BODY_BYTES, mechanism)
    server = new_server(server_mechanism)
    client.request(requests.send_pulse("/a", b"x"))
    client.request(requests.get_pulse("/a"))
    talk(client, server, cut_bytes)
    assert phase_of(client) is ClientPhase.OPEN
    assert server.authenticated
    assert client.replies() == [Reply(0, None), Reply(1, b"x")]


def test_digest_exchange_is_storms_wire() -> None:
    """Request, response, then nothing until -203, then the requests."""
    client = ClientProtocol(
        MAX_BODY_BYTES, ScriptedClient([b"response", None], True, 1)
    )
    client.request(requests.get_pulse("/a"))
    assert client.data_to_send() == TOKEN_REQUEST
    client.receive_data(token(b"challenge"))
    take_steps(client)
    assert client.data_to_send() == token(b"response")
    client.receive_data(token(b"rspauth"))
    take_steps(client)
    assert (client.phase, client.data_to_send()) == (
        ClientPhase.COMPLETION_EXPECTED,
        b"",
    )
    client.receive_data(COMPLETE)
    assert client.data_to_send() == requests.get_pulse("/a").frame(0)


def test_kerberos_exchange_begins_with_a_token_and_ends_with_two_completions() -> None:
    """There is no request, and one -203 is not enough."""
    client = ClientProtocol(MAX_BODY_BYTES, ScriptedClient([b"AP-REQ"], False, 2))
    assert phase_of(client) is ClientPhase.STEPPING
    take_steps(client)
    assert client.data_to_send() == token(b"AP-REQ")
    client.receive_data(COMPLETE)
    assert phase_of(client) is ClientPhase.COMPLETION_EXPECTED
    client.receive_data(COMPLETE)
    assert phase_of(client) is ClientPhase.OPEN


def test_tokens_that_come_together_are_taken_one_by_one() -> None:
    """What follows a token stays unread until its step was taken."""
    client = ClientProtocol(
        MAX_BODY_BYTES, ScriptedClient([b"response", None], True, 1)
    )
    client.receive_data(token(b"challenge") + token(b"rspauth") + COMPLETE)
    assert phase_of(client) is ClientPhase.STEPPING
    take_steps(client)
    assert phase_of(client) is ClientPhase.OPEN


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (token(b"wrong"), AuthenticationError),
        (COMPLETE, OutOfPlaceError),
        (TOKEN_REQUEST, OutOfPlaceError),
        (wire.ack(Type.CREATE_PATH_RESPONSE, 0), OutOfPlaceError),
        (wire.message(Type.SASL_MESSAGE_TOKEN), MalformedError),
        (b"\0\0\0\1\0", MalformedError),
    ],
    ids=["refused", "complete", "request", "reply", "no-token", "garbage"],
)
def test_broken_exchange_closes(data: bytes, kind: type[PeerError]) -> None:
    """A server that does not keep to the exchange, or cannot prove itself, is left."""
    client = ClientProtocol(MAX_BODY_BYTES, ScriptedClient([b"r", None], True, 1))
    client.request(requests.create_path("/"))
    client.receive_data(data)
    take_steps(client)
    assert type(client.error) is kind
    assert client.data_to_send() == TOKEN_REQUEST
    client.finish_step(b"too late")
    assert phase_of(client) is ClientPhase.CLOSED


def test_completion_of_another_code_is_refused() -> None:
    """Only -203 completes an exchange."""
    client = ClientProtocol(MAX_BODY_BYTES, ScriptedClient([None], True, 1))
    client.receive_data(token(b""))
    take_steps(client)
    client.receive_data(TOKEN_REQUEST)
    assert isinstance(client.error, OutOfPlaceError)


def test_server_that_does_not_know_the_secret_is_refused() -> None:
    """The client checks rspauth, as Storm's own does not."""
    client = ClientProtocol(MAX_BODY_BYTES, DigestClient(SECRET, "user"))
    server = new_server(DigestServer(SECRET))
    server.receive_data(client.data_to_send())
    client.receive_data(server.settle())
    take_steps(client)
    client.receive_data(token(b"rspauth=" + b"0" * 32))
    take_steps(client)
    assert isinstance(client.error, AuthenticationError)


def test_protocol_shows_its_state() -> None:
    """The repr says what is due and what is owed."""
    client = ClientProtocol(MAX_BODY_BYTES)
    client.abandon(client.request(requests.create_path("/")))
    assert repr(client) == "<ClientProtocol phase=open unanswered=1 abandoned=1>"


def test_each_message_is_a_debug_line(caplog: pytest.LogCaptureFixture) -> None:
    """What is sent and received is in the log, with the server, but without bytes."""
    with caplog.at_level(logging.DEBUG, "pacemaker.client.protocol"):
        client = ClientProtocol(MAX_BODY_BYTES, server="pm1:6699")
        ask(client, new_server(), requests.send_pulse("/a", b"secret"))
    ours = [r.getMessage() for r in caplog.records if "client" in r.name]
    assert ours == [
        "pm1:6699: sends SEND_PULSE id=0",
        "pm1:6699: received SEND_PULSE_RESPONSE id=0",
    ]
    with caplog.at_level(logging.DEBUG, "pacemaker.client.protocol"):
        ClientProtocol(MAX_BODY_BYTES, DigestClient(SECRET, "user"), server="pm1:6699")
    assert "sends CONTROL_MESSAGE id=None size_bytes=2" in caplog.messages[-1]
