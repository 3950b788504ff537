"""A connection to a relay: its protocol, backend and inbox, without I/O."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable

import pytest

from pacemaker.core.accounts.account import Account
from pacemaker.core.figures import Figures
from pacemaker.core.protocol.contract import Wait
from pacemaker.core.protocol.dispatch import Dispatcher
from pacemaker.core.protocol.server_protocol import ServerProtocol
from pacemaker.core.store.store import LeafHandle, Store
from pacemaker.errors import LimitError
from pacemaker.relay import backend
from pacemaker.relay.backend import ANNOUNCEMENT, RelayBackend, ThreadRequests
from pacemaker.relay.core.question import Answer, Question, QuestionKind
from pacemaker.relay.inbox import (
    Dropped,
    Inbox,
    InboxEvent,
    KeyWritten,
    QuestionAsked,
    WriterLeft,
)
from pacemaker.wire.messages import Message
from tests.fake_mechanisms import like_digest
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type

KEY = "/workerbeats/words-1-1700000000/7a4e-6700"
OTHER = "/workerbeats/words-1-1700000000/7a4e-6701"
TOPOLOGY = "/workerbeats/words-1-1700000000"
MAX_BODY_BYTES = 10485760


class Client:
    """A client and its connection to a relay; the test acts as the Pacemakers."""

    def __init__(self, is_digest: bool = False, account: Account | None = None) -> None:
        self.store = Store()
        self.woken = 0
        self.inbox = Inbox(self.store, self._wake)
        self.thread_requests = ThreadRequests(self.inbox, "our-id")
        self.calls: deque[Callable[[], None]] = deque()
        self.thread_requests.call = self.calls.append
        self.account = account or Account("a")
        self.backend = RelayBackend(self.thread_requests, self.account, "peer")
        self.sent = b""
        self.wait = Wait.REQUEST
        self.protocol = ServerProtocol(
            Dispatcher(self.backend, Figures(), MAX_BODY_BYTES),
            MAX_BODY_BYTES,
            like_digest() if is_digest else None,
            "peer",
            self.backend,
            self.account,
        )
        self.protocol.call_on_release(self.go_on)

    def _wake(self) -> None:
        self.woken += 1

    def send(self, *frames: bytes) -> bytes:
        """Send frames, and return the immediate replies."""
        self._note(self.protocol.receive_data(b"".join(frames)))
        return self.replies()

    def go_on(self) -> None:
        """Resume, as the connection does when answers have arrived."""
        self._note(self.protocol.resume())
        while self.wait is Wait.TURN:
            self._note(self.protocol.resume())

    def _note(self, output: tuple[object, Wait]) -> None:
        chunks, self.wait = output
        self.sent += b"".join(chunks)  # type: ignore[arg-type]

    def replies(self) -> bytes:
        """Return what was sent since the last call."""
        sent, self.sent = self.sent, b""
        return sent

    @property
    def is_idle(self) -> bool:
        """Whether nothing is read until an answer arrives."""
        return self.wait is Wait.ANSWER

    def events(self) -> list[InboxEvent]:
        """Take the events, as the links' thread would."""
        return self.inbox.drain()

    def asked(self) -> list[Question]:
        """Take the questions."""
        return [
            event.question
            for event in self.events()
            if isinstance(event, QuestionAsked)
        ]

    def answer(self, question: Question, answer: Answer) -> bytes:
        """Answer a question, and return what the client receives."""
        question.deliver(answer)
        while self.calls:
            self.calls.popleft()()
        return self.replies()


def get(key: str = KEY, message_id: int | None = 7) -> bytes:
    """Return the frame of a GET_PULSE."""
    return wire.path_request(Type.GET_PULSE, key, message_id)


def test_pulse_is_acknowledged_at_once() -> None:
    """A pulse is acknowledged before it reaches a Pacemaker."""
    client = Client()
    assert client.send(wire.send_pulse(KEY, b"x", 1)) == wire.ack(
        Type.SEND_PULSE_RESPONSE, 1
    )
    (written,) = client.events()
    assert isinstance(written, KeyWritten)
    assert (written.key, written.writer) == (KEY, client.backend)
    assert client.inbox.newest(KEY) == b"x"


def test_key_is_mentioned_once_however_often_it_is_written() -> None:
    """Pulses to one key cause one event, and wake the links' thread once."""
    client = Client()
    for _ in range(100):
        client.send(wire.send_pulse(KEY, b"x", 1))
    assert len(client.events()) == 1
    assert client.woken == 1


def test_pulse_after_a_delete_is_mentioned_again() -> None:
    """The order of the delete and the pulse is kept."""
    client = Client()
    delete = wire.path_request(Type.DELETE_PATH, TOPOLOGY, 2)
    client.send(wire.send_pulse(KEY, b"1", 1), delete)
    assert client.inbox.newest(KEY) is None
    client.send(wire.send_pulse(KEY, b"2", 1))
    assert [type(event) for event in client.events()] == [
        KeyWritten,
        QuestionAsked,
        KeyWritten,
    ]


def test_read_is_answered_when_the_answer_comes() -> None:
    """Nothing is sent before the answer."""
    client = Client()
    assert client.send(get()) == b""
    (question,) = client.asked()
    assert (question.kind, question.path) == (QuestionKind.PULSE, KEY)
    assert client.answer(question, b"x") == wire.pulse_reply(KEY, b"x", 7)


def test_reads_never_take_the_fast_path() -> None:
    """Other Pacemakers answer them, even if the history has a record of the key."""
    client = Client()
    for _ in range(2):
        client.send(get())
        (question,) = client.asked()
        assert client.answer(question, b"x") == wire.pulse_reply(KEY, b"x", 7)
        assert client.protocol.fast_path is None


def test_handle_makes_no_difference_to_an_answer() -> None:
    """As the store of a dispatcher, a backend has the one answer of its request."""
    client, message = Client(), Message(Type.GET_PULSE, KEY, 7)
    client.backend.on_release = lambda: None
    assert client.backend.answer_later(message, True)
    (question,) = client.asked()
    client.answer(question, b"x")
    assert client.backend.next_released() == message
    assert client.backend.get_at(KEY, LeafHandle()) == b"x"
    assert client.backend.get_at(KEY, LeafHandle()) is None


def test_reads_are_answered_in_any_order() -> None:
    """Each reply has the id of its request."""
    client = Client()
    client.send(get(KEY, 1), get(OTHER, 2))
    first, second = client.asked()
    assert client.answer(second, None) == wire.pulse_reply(OTHER, None, 2)
    assert client.answer(first, b"x") == wire.pulse_reply(KEY, b"x", 1)


def test_read_that_is_sent_again_is_one_read() -> None:
    """Storm's client repeats a read each second, and expects one reply."""
    client = Client()
    client.send(get())
    client.send(get())
    (question,) = client.asked()
    assert client.answer(question, b"x") == wire.pulse_reply(KEY, b"x", 7)


def test_request_with_the_id_of_a_waiting_one_supersedes_it() -> None:
    """The client would mistake the old reply for the reply to the new request."""
    client = Client()
    client.send(get(KEY))
    (old,) = client.asked()
    client.send(get(OTHER))
    events = client.events()
    assert isinstance(events[0], Dropped)
    assert client.answer(old, b"old") == b""
    assert isinstance(events[1], QuestionAsked)
    new = events[1].question
    assert client.answer(new, b"new") == wire.pulse_reply(OTHER, b"new", 7)


def test_pulse_with_the_id_of_a_waiting_read_supersedes_it() -> None:
    """A pulse supersedes a waiting read with the same id, like any request."""
    client = Client()
    client.send(get())
    (question,) = client.asked()
    client.send(wire.send_pulse(KEY, b"x", 7))
    assert client.answer(question, b"x") == b""


def test_request_without_an_id_is_answered_in_its_order() -> None:
    """No later request is read until the answer has been sent."""
    client = Client()
    assert client.send(get(message_id=None), wire.send_pulse(KEY, b"y", 3)) == b""
    assert client.is_idle
    (question,) = client.asked()
    assert client.answer(question, b"x") == wire.pulse_reply(KEY, b"x") + wire.ack(
        Type.SEND_PULSE_RESPONSE, 3
    )
    assert not client.is_idle


@pytest.mark.parametrize("found", [True, False])
def test_exists_gets_its_answer(found: bool) -> None:
    """The answer to EXISTS is a boolean."""
    client = Client()
    client.send(wire.path_request(Type.EXISTS, KEY, 2))
    (question,) = client.asked()
    assert client.answer(question, found) == wire.exists_reply(found, 2)


@pytest.mark.parametrize("count", [0, 3, 2500])
def test_list_gets_its_names(count: int) -> None:
    """A large list is written in slices."""
    client = Client()
    client.send(wire.path_request(Type.GET_ALL_NODES_FOR_PATH, TOPOLOGY, 2))
    (question,) = client.asked()
    names = [f"w{number}" for number in range(count)]
    reply = client.answer(question, names)
    assert wire.nodes_of(reply)[1] == {name.encode() for name in names}


@pytest.mark.parametrize(
    ("kind", "reply", "asked"),
    [
        (Type.DELETE_PATH, Type.DELETE_PATH_RESPONSE, QuestionKind.DELETE),
        (Type.DELETE_PULSE_ID, Type.DELETE_PULSE_ID_RESPONSE, QuestionKind.DELETE_ONE),
    ],
)
def test_delete_is_acknowledged_when_the_answer_comes(
    kind: Type, reply: Type, asked: QuestionKind
) -> None:
    """The delete takes effect in the relay's own store at once."""
    client = Client()
    client.send(wire.send_pulse(KEY, b"x", 1))
    assert client.send(wire.path_request(kind, KEY, 2)) == b""
    assert client.inbox.newest(KEY) is None
    (question,) = client.asked()
    assert question.kind is asked
    assert client.answer(question, None) == wire.ack(reply, 2)


def test_peer_that_has_not_authenticated_may_delete_but_not_read() -> None:
    """The rule is the Pacemaker's, even if the delete is the first message."""
    client = Client(is_digest=True)
    client.send(wire.path_request(Type.DELETE_PATH, KEY, 2))
    (question,) = client.asked()
    assert client.answer(question, None) == wire.ack(Type.DELETE_PATH_RESPONSE, 2)
    assert client.send(get()) == wire.ack(Type.NOT_AUTHORIZED, 7)


def test_end_of_a_connection_drops_its_requests() -> None:
    """Its requests are dropped, and its keys have no worker any more."""
    client = Client()
    client.send(get(), get(message_id=None))
    client.events()
    client.protocol.close()
    kinds = [type(event) for event in client.events()]
    assert kinds == [Dropped, Dropped, WriterLeft]
    assert client.account.pending_bytes == 0
    assert client.thread_requests.held_read_bytes == 0


@pytest.mark.parametrize("ends", ["answered", "superseded", "dropped"])
def test_requests_leave_no_cycles(ends: str) -> None:
    """Garbage is not collected, and an answer may have 10 MB."""
    while gc.collect():
        pass
    gc.disable()
    try:
        client = Client()
        client.send(get())
        (question,) = client.asked()
        if ends == "answered":
            assert client.answer(question, b"x") == wire.pulse_reply(KEY, b"x", 7)
        elif ends == "superseded":
            client.send(get(OTHER))
            (later,) = client.asked()
            client.answer(later, b"x")
            del later
        client.protocol.close()
        client.events()
        del question
        left = [each for each in gc.get_objects() if isinstance(each, Question)]
    finally:
        gc.enable()
    assert not left


def test_answers_that_wait_for_room_count_as_buffered() -> None:
    """A peer may ask for much and read nothing; then its connection is evicted."""
    client = Client()
    client.protocol.call_on_release(lambda: None)
    client.send(get(KEY, 1), get(OTHER, 2), get(TOPOLOGY, 3))
    for question, answer in zip(client.asked(), (b"x" * 1000, b"", None), strict=True):
        client.answer(question, answer)
    assert client.protocol.buffered_bytes == 1000
    client.go_on()
    assert len(client.replies()) > 1000
    assert client.protocol.buffered_bytes == 0


def test_names_that_wait_for_room_count_as_buffered() -> None:
    """A list of an answer may have 10 MB, too, and is not kept once it is written."""
    client = Client()
    client.protocol.call_on_release(lambda: None)
    client.send(wire.path_request(Type.GET_ALL_NODES_FOR_PATH, TOPOLOGY, 1))
    (question,) = client.asked()
    client.answer(question, ["a" * 100] * 10)
    assert client.protocol.buffered_bytes == 1000
    client.go_on()
    assert client.protocol.buffered_bytes == 0
    assert client.backend.list_nodes(TOPOLOGY) == []


def test_answer_after_the_end_of_a_connection_is_ignored() -> None:
    """The links' thread may answer before it knows of the end."""
    client = Client()
    client.send(get())
    (question,) = client.asked()
    client.protocol.close()
    assert client.answer(question, b"x") == b""


@pytest.mark.parametrize(
    ("relay_id", "reason"), [("our-id", "to itself"), ("another", "do not chain")]
)
def test_relay_is_refused(relay_id: str, reason: str) -> None:
    """A relay that connects to a relay is disconnected, with the reason in the log."""
    client = Client()
    client.send(wire.path_request(Type.CREATE_PATH, ANNOUNCEMENT + relay_id, 0))
    assert client.wait is Wait.END
    assert reason in str(client.protocol.error)


def test_too_many_requests_of_an_address_end_its_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Requests cannot be answered early, so the connection ends; others have room."""
    monkeypatch.setattr(backend, "MAX_PENDING_BYTES", 100_000)
    client = Client()
    for number in range(100):
        client.send(get(f"{KEY}{number}", number))
    assert isinstance(client.protocol.error, LimitError)
    assert client.thread_requests.refused == 1
    other = RelayBackend(client.thread_requests, Account("b"), "other")
    assert other.answer_later(Message(Type.GET_PULSE, KEY, 1), authenticated=True)


def test_snapshot_has_the_reads_as_requests_and_the_deletes_as_done() -> None:
    """A repeated delete would remove what was written since."""
    client = Client()
    client.send(get(), wire.path_request(Type.DELETE_PATH, TOPOLOGY, 2))
    client.send(wire.send_pulse(KEY, b"x", 3))
    snapshot = client.protocol.snapshot()
    assert snapshot is not None
    assert snapshot.unread == get()
    assert snapshot.unsent == wire.ack(Type.DELETE_PATH_RESPONSE, 2)


def test_key_that_was_just_written_is_not_forgotten() -> None:
    """Its worker has reconnected, which the links' thread does not know yet."""
    client = Client()
    client.send(wire.send_pulse(KEY, b"x", 1))
    client.inbox.forget(KEY)
    assert client.inbox.newest(KEY) == b"x"
    client.events()
    client.inbox.forget(KEY)
    assert client.inbox.newest(KEY) is None


def test_worker_takes_the_fast_path() -> None:
    """Pulses on the fast path are passed on as well."""
    client = Client()
    for value in (b"1", b"2", b"3"):
        client.send(wire.send_pulse(KEY, value, 1))
        assert len(client.events()) == 1
    assert client.inbox.newest(KEY) == b"3"


def test_parts_show_their_state() -> None:
    """Their reprs show their state, for the log of a bug."""
    client = Client()
    client.send(get())
    assert "pending=1" in repr(client.backend)
    assert "refused=0" in repr(client.thread_requests)
    assert "events=1" in repr(client.inbox)
