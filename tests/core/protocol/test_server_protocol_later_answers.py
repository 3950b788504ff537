"""Requests that are answered later, in their order."""

from __future__ import annotations

from collections.abc import Callable

from pacemaker.core.figures import Figures
from pacemaker.core.protocol.contract import Wait
from pacemaker.core.protocol.dispatch import Dispatcher
from pacemaker.core.store.store import Store
from pacemaker.wire.messages import Message
from tests.core.protocol.collecting import Collecting
from tests.core.protocol.conversations import (
    LIMIT,
    LIST,
    MISS,
    PULSE,
    PULSE_ACK,
    READ,
    sent_by,
    serve,
)
from tests.wire import by_hand as wire
from tests.wire.by_hand import (
    Type,
    path_request,
)


class AnsweredElsewhere:
    """Answers all reads and lists later, like a relay, when the test says so."""

    is_over = False
    frames = acks = b""

    def __init__(self) -> None:
        self.on_release: Callable[[], None] = lambda: None
        self.held: list[Message] = []
        self.released: list[Message] = []

    def begin_batch(self) -> None:
        """Do nothing: no read is answered at once."""

    def note_answered(self, message_id: int, chunks: range) -> None:
        """Do nothing: the same."""

    def supersede(self, message: Message) -> range:
        """Return no chunks: no id is used twice."""
        return range(0)

    def answer_later(self, message: Message, authenticated: bool) -> bool:
        """Hold reads and lists."""
        is_held = message.type in (Type.GET_PULSE, Type.GET_ALL_NODES_FOR_PATH)
        if is_held:
            self.held.append(message)
        return is_held

    def next_released(self) -> Message | None:
        """Return the next request that is answered now."""
        return self.released.pop(0) if self.released else None

    def drop_all(self) -> None:
        """Drop everything."""
        self.held = self.released = []

    def release(self) -> None:
        """Release the held requests, to be answered from the store."""
        self.released, self.held = self.held, []


def new_client(store: Store) -> tuple[Collecting, AnsweredElsewhere]:
    """Make a protocol whose reads are answered later."""
    later = AnsweredElsewhere()
    dispatcher = Dispatcher(store, Figures(), LIMIT)
    return Collecting(dispatcher, LIMIT, None, "peer:1", later), later


READ_IN_ORDER = path_request(Type.GET_PULSE, "/a")
MISS_IN_ORDER = wire.pulse_reply("/a", None)


def test_nothing_is_read_before_an_answer_without_an_id() -> None:
    """Replies without an id are sent in order, so later requests wait."""
    store = Store()
    client, later = new_client(store)
    _, wait = client.receive_data(READ_IN_ORDER + PULSE)
    assert (wait, sent_by(client)) == (Wait.ANSWER, b"")
    assert client.resume()[1] is Wait.ANSWER
    assert store.get("/a") is None
    later.release()
    client.resume()
    assert client.settle() == MISS_IN_ORDER + PULSE_ACK
    assert store.get("/a") == b"xy"
    assert client.wait is Wait.REQUEST


def test_answer_without_an_id_is_followed_by_what_the_peer_sends_next() -> None:
    """After the answer, with nothing unread, the connection waits for the peer."""
    client, later = new_client(Store())
    client.receive_data(READ_IN_ORDER)
    later.release()
    assert client.resume() == ([MISS_IN_ORDER], Wait.REQUEST)


def test_answer_with_an_id_does_not_end_the_wait_for_one_without() -> None:
    """Only the reply without an id lets the next frames be read."""
    client, later = new_client(Store())
    assert client.receive_data(READ + READ_IN_ORDER + PULSE)[1] is Wait.ANSWER
    (*later.released, in_order), later.held = later.held, []
    assert client.resume() == ([MISS], Wait.ANSWER)
    later.released = [in_order]
    client.resume()
    assert client.settle() == MISS + MISS_IN_ORDER + PULSE_ACK


def test_what_is_answered_at_once_does_not_wait() -> None:
    """A request that is answered at once does not hold up later ones."""
    client, _ = new_client(Store())
    asked = path_request(Type.EXISTS, "/a") * 2
    reply = wire.exists_reply(False)
    assert serve(client, [asked]) == reply * 2


def test_large_list_that_was_answered_later_is_written_in_turns() -> None:
    """Other connections are served between its slices, as with any large list."""
    store = Store()
    for number in range(3_500):
        store.put(f"/w/{number}", b"x")
    client, later = new_client(store)
    client.receive_data(LIST + READ)
    later.release()
    chunks, wait = client.resume()
    assert (chunks, wait) == ((), Wait.TURN)
    turns = 0
    while client.has_more:
        turns += 1
        client.resume()
    assert turns >= 3_500 // 1_000
    sent = client.sent()
    assert sent.endswith(MISS)
    listed = sent[: -len(MISS)]
    assert wire.nodes_of(listed)[1] == {b"%d" % number for number in range(3_500)}
