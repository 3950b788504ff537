"""Tests of core.protocol.dispatch: each type of message, authenticated or not."""

from __future__ import annotations

import gc
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacemaker.core.accounts.account import Account
from pacemaker.core.figures import Figures
from pacemaker.core.history.history import History
from pacemaker.core.history.record import (
    EventKind,
    KeyEvent,
    PeerRecord,
    TurnTime,
)
from pacemaker.core.protocol.dispatch import Dispatcher
from pacemaker.core.protocol.large_list import LARGE_LIST_NAMES, LargeList
from pacemaker.core.store.store import Store
from pacemaker.core.store.trie import MAX_SEGMENTS
from pacemaker.errors import LimitError, MalformedError
from pacemaker.wire import fast_codec, messages
from pacemaker.wire.messages import Data, Message, Nodes, Pulse, Records
from tests.directories import DirectoryModel, paths
from tests.wire.by_hand import Type

MAX_BODY_BYTES = 10_485_760
STORED = {"/a": b"one", "/a/b": b"", "/a/c/d": b"three", "/ab": b"four"}

READS = (
    *(Type.EXISTS, Type.GET_ALL_PULSE_FOR_PATH, Type.GET_ALL_NODES_FOR_PATH),
    Type.GET_PULSE,
)
WRITES = (Type.CREATE_PATH, Type.DELETE_PATH, Type.DELETE_PULSE_ID)
NO_REQUESTS = (*(kind for kind in Type if kind % 2 and kind < 16), Type.NOT_AUTHORIZED)
MESSAGE_IDS = (-1, 0, 1, 99, 2**31 - 1, -(2**31))


def dispatcher(max_body_bytes: int = MAX_BODY_BYTES) -> tuple[Dispatcher, Store]:
    """Make a dispatcher over a store that holds a few keys."""
    store = Store()
    for key, value in STORED.items():
        store.put(key, value)
    return Dispatcher(store, Figures(), max_body_bytes), store


def reply_to(message: Message, authenticated: bool = True) -> Message | None:
    """Ask a new dispatcher once."""
    reply = dispatcher()[0].reply_to(message, authenticated)
    assert not isinstance(reply, LargeList)
    return reply


@pytest.mark.parametrize("authenticated", [True, False])
@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        (Message(Type.CREATE_PATH, "/new"), Type.CREATE_PATH_RESPONSE),
        (Message(Type.SEND_PULSE, Pulse("/a", b"")), Type.SEND_PULSE_RESPONSE),
        (Message(Type.DELETE_PATH, "/a"), Type.DELETE_PATH_RESPONSE),
        (Message(Type.DELETE_PATH, "/none"), Type.DELETE_PATH_RESPONSE),
        (Message(Type.DELETE_PULSE_ID, "/a"), Type.DELETE_PULSE_ID_RESPONSE),
        (Message(Type.DELETE_PULSE_ID, "/none"), Type.DELETE_PULSE_ID_RESPONSE),
    ],
)
def test_write_is_answered_without_data(
    request_: Message, kind: int, authenticated: bool
) -> None:
    """Anyone may write, and the reply only acknowledges the write."""
    assert reply_to(request_, authenticated) == Message(kind, None, -1)


@pytest.mark.parametrize(
    ("kind", "path", "reply_kind", "data"),
    [
        (Type.EXISTS, "/a", Type.EXISTS_RESPONSE, True),
        (Type.EXISTS, "/a/b", Type.EXISTS_RESPONSE, True),
        (Type.EXISTS, "/a/c", Type.EXISTS_RESPONSE, False),
        (Type.EXISTS, "/a/", Type.EXISTS_RESPONSE, False),
        (Type.EXISTS, "", Type.EXISTS_RESPONSE, False),
        (Type.GET_PULSE, "/a", Type.GET_PULSE_RESPONSE, Pulse("/a", b"one")),
        (Type.GET_PULSE, "/a/b", Type.GET_PULSE_RESPONSE, Pulse("/a/b", b"")),
        (Type.GET_PULSE, "/no", Type.GET_PULSE_RESPONSE, Pulse("/no", None)),
        (Type.GET_PULSE, "", Type.GET_PULSE_RESPONSE, Pulse("", None)),
        (
            Type.GET_ALL_NODES_FOR_PATH,
            "/a/c/d",
            Type.GET_ALL_NODES_FOR_PATH_RESPONSE,
            Nodes([]),
        ),
        (
            Type.GET_ALL_NODES_FOR_PATH,
            "/a/c",
            Type.GET_ALL_NODES_FOR_PATH_RESPONSE,
            Nodes(["d"]),
        ),
        (
            Type.GET_ALL_PULSE_FOR_PATH,
            "/a",
            Type.GET_ALL_PULSE_FOR_PATH_RESPONSE,
            None,
        ),
    ],
)
def test_read_is_answered_from_the_store(
    kind: int, path: str, reply_kind: int, data: Data
) -> None:
    """A peer that may read gets what is stored; an absent key is not an error."""
    assert reply_to(Message(kind, path)) == Message(reply_kind, data, -1)


@pytest.mark.parametrize("kind", READS)
@pytest.mark.parametrize("path", ["/a", "/none", ""])
def test_read_without_authentication_is_refused(kind: int, path: str) -> None:
    """A peer that may not read gets NOT_AUTHORIZED, whether the key exists or not."""
    reply = reply_to(Message(kind, path, 9), authenticated=False)
    assert reply == Message(Type.NOT_AUTHORIZED, None, 9)


def test_refused_read_is_not_counted() -> None:
    """The figures count the reads that were answered, misses included."""
    figures = Figures()
    asked = Dispatcher(Store(), figures, MAX_BODY_BYTES)
    asked.reply_to(Message(Type.SEND_PULSE, Pulse("/a", b"xyz")), False)
    asked.reply_to(Message(Type.GET_PULSE, "/a"), False)
    asked.reply_to(Message(Type.GET_PULSE, "/a"), True)
    asked.reply_to(Message(Type.GET_PULSE, "/b"), True)
    asked.reply_to(Message(Type.EXISTS, "/a"), True)
    assert (figures.pulses, figures.pulse_bytes) == (1, 3)
    assert (figures.reads, figures.misses, figures.read_bytes) == (2, 1, 3)
    assert figures.requests[Type.EXISTS] == 1
    assert figures.unauthorized[Type.GET_PULSE] == figures.refused_reads == 1


@pytest.mark.parametrize("message_id", MESSAGE_IDS)
@pytest.mark.parametrize("kind", [*READS, *WRITES, Type.SEND_PULSE])
@pytest.mark.parametrize("authenticated", [True, False])
def test_message_id_is_echoed(kind: int, message_id: int, authenticated: bool) -> None:
    """Every reply has its request's id, including a refusal."""
    data: Data = Pulse("/a", b"x") if kind == Type.SEND_PULSE else "/a"
    reply = reply_to(Message(kind, data, message_id), authenticated)
    assert reply is not None
    assert reply.message_id == message_id


@pytest.mark.parametrize("kind", [*READS, *WRITES])
@pytest.mark.parametrize(
    "data",
    [None, Pulse("/a", b"x"), True, False, Nodes([]), Records([]), b"", b"/a"],
    ids=repr,
)
@pytest.mark.parametrize("authenticated", [True, False])
def test_request_needs_its_path(kind: int, data: Data, authenticated: bool) -> None:
    """A request without a path is malformed, even if the peer may not read."""
    with pytest.raises(MalformedError, match=Type(kind).name):
        reply_to(Message(kind, data), authenticated)


@pytest.mark.parametrize(
    "data",
    [None, "/a", True, Nodes([]), Records([Pulse("/a", b"")]), b"x", Pulse("/a", None)],
    ids=repr,
)
def test_pulse_needs_its_details(data: Data) -> None:
    """A SEND_PULSE with other data, or without details, is malformed."""
    asked, store = dispatcher()
    with pytest.raises(MalformedError):
        asked.reply_to(Message(Type.SEND_PULSE, data), True)
    assert store.get("/a") == b"one"


@pytest.mark.parametrize("kind", NO_REQUESTS)
@pytest.mark.parametrize("data", [None, "/a", Pulse("/a", b"x"), True, b"x"], ids=repr)
def test_no_request_is_not_answered(kind: int, data: Data) -> None:
    """A message whose type is not a request is ignored."""
    asked, store = dispatcher()
    assert asked.reply_to(Message(kind, data, 1), True) is None
    assert {key: store.get(key) for key in STORED} == STORED


def test_every_type_is_covered() -> None:
    """Each of the 19 types is a request, a SASL message, or neither."""
    kinds = [*READS, *WRITES, Type.SEND_PULSE, *NO_REQUESTS]
    kinds += [Type.CONTROL_MESSAGE, Type.SASL_MESSAGE_TOKEN]
    assert sorted(kinds) == list(Type)


@pytest.mark.parametrize("key", ["/a", "/é", "/" + "名" * 20, "/\U0001f600", ""])
def test_pulse_fits_its_reply(key: str) -> None:
    """The largest heartbeat that is stored fits exactly in the largest reply."""
    asked, store = dispatcher(max_body_bytes=200)
    key_bytes = len(key.encode())
    details = bytes(200 - 37 - key_bytes)
    asked.reply_to(Message(Type.SEND_PULSE, Pulse(key, details), 1), True)
    reply = asked.reply_to(Message(Type.GET_PULSE, key, 1), True)
    assert isinstance(reply, Message)
    assert len(messages.encode(reply)) == 4 + 200
    store.delete(key)
    with pytest.raises(LimitError, match=f" {200 - 36} bytes, at most {200 - 37} "):
        asked.reply_to(Message(Type.SEND_PULSE, Pulse(key, details + b"x"), 1), True)
    assert store.get(key) is None


def test_pulse_that_storms_client_can_send_is_stored() -> None:
    """The largest request of Storm's client is stored: its reply is as large."""
    asked, _ = dispatcher()
    details = bytes(MAX_BODY_BYTES - 37 - 2)
    request = Message(Type.SEND_PULSE, Pulse("/a", details), 1)
    assert len(messages.encode(request)) == 4 + MAX_BODY_BYTES
    assert asked.reply_to(request, True) == Message(Type.SEND_PULSE_RESPONSE, None, 1)


def test_pulse_that_the_store_refuses_is_not_counted() -> None:
    """If the store refuses a heartbeat, the request fails and is not counted."""
    figures = Figures()
    asked = Dispatcher(Store(budget_bytes=0), figures, MAX_BODY_BYTES)
    for key in ("/a", "/" * MAX_SEGMENTS):
        with pytest.raises(LimitError):
            asked.reply_to(Message(Type.SEND_PULSE, Pulse(key, b"x")), True)
    assert figures == Figures()


@pytest.mark.parametrize(
    ("names", "cost"),
    [(0, 1), (LARGE_LIST_NAMES - 1, 1), (LARGE_LIST_NAMES, 1), (3_000, 3), (3_500, 4)],
)
def test_list_costs_its_account_one_for_each_thousand_names(
    names: int, cost: int
) -> None:
    """A list that takes several steps counts as several lists."""
    account = Account("10.0.0.1")
    asked, store = dispatcher()
    for number in range(names):
        store.put(f"/many/{number}", b"")
    reply = asked.reply_to(
        Message(Type.GET_ALL_NODES_FOR_PATH, "/many", 1), True, account
    )
    assert isinstance(reply, LargeList) == (names > LARGE_LIST_NAMES)
    assert account.uncharged_lists == cost


def test_list_of_few_names_that_no_client_takes_is_cut() -> None:
    """The limit is in bytes, so a list of few but long names can exceed it."""
    asked, store = dispatcher(max_body_bytes=10_000)
    for number in range(60):
        store.put(f"/w/{number:0200}", b"")
    reply = asked.reply_to(Message(Type.GET_ALL_NODES_FOR_PATH, "/w", 1), True)
    assert isinstance(reply, LargeList)


@pytest.mark.parametrize("authenticated", [True, False])
def test_reads_and_deletes_without_authentication_are_counted(
    authenticated: bool,
) -> None:
    """The figures count reads and deletes by peers that have not authenticated."""
    figures = Figures()
    asked = Dispatcher(Store(), figures, MAX_BODY_BYTES)
    for kind in (*READS, *WRITES):
        asked.reply_to(Message(kind, "/a", 1), authenticated)
    counted = figures.refused_reads, figures.anonymous_deletes
    assert counted == ((0, 0) if authenticated else (4, 2))


def test_refused_read_is_no_list() -> None:
    """A peer that may not read is not charged for the list that it does not get."""
    account = Account("10.0.0.1")
    asked, _ = dispatcher()
    asked.reply_to(Message(Type.GET_ALL_NODES_FOR_PATH, "/a", 1), False, account)
    assert account.uncharged_lists == 0


def test_pulses_are_charged_to_their_account() -> None:
    """On every path of a pulse, the store is given the sender's account."""
    account = Account("10.0.0.1")
    asked, store = dispatcher()
    asked.reply_to(Message(Type.SEND_PULSE, Pulse("/w/1", b"x"), 1), True, account)
    asked.store_pulse("/w/2", b"x", account)
    worker = asked.pulse_fast_path("/w/3", account)
    pulse = messages.encode(Message(Type.SEND_PULSE, Pulse("/w/3", b"x"), 1))
    assert worker.answer_one(pulse) is not None
    assert account.uncharged_new_keys == 3
    store.delete_all("/w")
    assert account.stored_bytes == 0


def with_history() -> tuple[Dispatcher, History, TurnTime]:
    """Make a dispatcher over an empty store, with a history."""
    history, turn_time = History(10**6), TurnTime()
    return (
        Dispatcher(Store(), Figures(), MAX_BODY_BYTES, history, turn_time),
        history,
        turn_time,
    )


def test_pulse_is_noted_at_the_time_of_the_poll() -> None:
    """The history has the writer of each key, and when it last wrote."""
    asked, history, turn_time = with_history()
    worker = PeerRecord("10.0.0.1:4000")
    for turn_time.now_s in (100.0, 103.0):
        asked.store_pulse("/w/1", b"x", peer_record=worker)
    record = history.records["/w/1"]
    assert (record.writer, record.first_s, record.last_s) == (worker, 100.0, 103.0)


def test_pulse_on_the_general_path_is_noted_with_its_writer() -> None:
    """A pulse in an unusual form is no less the sign of life of its peer."""
    asked, history, _ = with_history()
    worker = PeerRecord("10.0.0.1:4000")
    message = Message(Type.SEND_PULSE, Pulse("/w/1", b"x"), 1)
    asked.reply_to(message, False, peer_record=worker)
    assert history.records["/w/1"].writer is worker


def test_refused_pulse_is_not_noted() -> None:
    """A heartbeat that was not stored does not count as a sign of life."""
    turn_time, history = TurnTime(), History(10**6)
    full = Store(budget_bytes=0)
    asked = Dispatcher(full, Figures(), MAX_BODY_BYTES, history, turn_time)
    with pytest.raises(LimitError):
        asked.store_pulse("/w/1", b"x")
    assert history.records == {}


def test_fast_paths_are_noted_too() -> None:
    """The fast paths of a connection use the dispatcher's history."""
    asked, history, turn_time = with_history()
    worker, nimbus = PeerRecord("10.0.0.1:4000"), PeerRecord("10.0.0.9:1")
    turn_time.now_s, nimbus.is_reader = 100.0, True
    asked.store_pulse("/w/1", b"x", peer_record=worker)
    pulse = messages.encode(Message(Type.SEND_PULSE, Pulse("/w/1", b"x"), 1))
    turn_time.now_s = 103.0
    assert (
        asked.pulse_fast_path("/w/1", peer_record=worker).answer_one(pulse) is not None
    )
    assert history.records["/w/1"].last_s == 103.0
    read = messages.encode(Message(Type.GET_PULSE, "/w/1", 1))
    assert asked.read_fast_path(nimbus).answer_one(read) is not None
    assert history.records["/w/1"].reader is nimbus


def test_peer_that_asks_for_a_list_is_noted_as_a_reader() -> None:
    """A worker reads its own heartbeat at most; only Nimbus asks for lists."""
    asked, history, turn_time = with_history()
    peer, turn_time.now_s = PeerRecord("10.0.0.9:1"), 100.0
    asked.store_pulse("/w/1", b"x", peer_record=PeerRecord("10.0.0.1:4000"))
    read = Message(Type.GET_PULSE, "/w/1", 1)
    asked.reply_to(read, True, peer_record=peer)
    assert history.read_s == 0
    asked.reply_to(
        Message(Type.GET_ALL_NODES_FOR_PATH, "/w", 2), True, peer_record=peer
    )
    asked.reply_to(read, True, peer_record=peer)
    assert (history.read_s, history.reader) == (100.0, peer)
    assert history.records["/w/1"].read_s == 100.0


@pytest.mark.parametrize("kind", [Type.DELETE_PATH, Type.DELETE_PULSE_ID])
@pytest.mark.parametrize("authenticated", [True, False])
def test_delete_is_noted(kind: int, authenticated: bool) -> None:
    """A delete is an event of the key, whoever deletes it."""
    asked, history, turn_time = with_history()
    worker, turn_time.now_s = PeerRecord("10.0.0.1:4000"), 100.0
    asked.store_pulse("/w/1", b"x", peer_record=worker)
    asked.reply_to(Message(kind, "/w/1", 1), authenticated, peer_record=worker)
    events = history.records["/w/1"].list_events()
    assert events == [KeyEvent(100.0, EventKind.DELETED, "10.0.0.1:4000")]


@pytest.mark.parametrize(
    "request_",
    [
        Message(Type.CREATE_PATH, "/w/1", 1),
        Message(Type.EXISTS, "/w/1", 1),
        Message(Type.GET_ALL_PULSE_FOR_PATH, "/w/1", 1),
    ],
    ids=lambda request: messages.name_of(request.type),
)
def test_other_requests_are_not_noted(request_: Message) -> None:
    """They change no heartbeat, and Nimbus makes no decision by their replies."""
    asked, history, turn_time = with_history()
    peer, turn_time.now_s = PeerRecord("10.0.0.9:1"), 100.0
    asked.store_pulse("/w/1", b"x", peer_record=peer)
    before = b"".join(history.dump())
    turn_time.now_s = 200.0
    asked.reply_to(request_, True, peer_record=peer)
    assert b"".join(history.dump()) == before
    assert not peer.is_reader


def test_refused_read_is_not_noted() -> None:
    """A peer that may not read is not mistaken for Nimbus."""
    asked, history, turn_time = with_history()
    stranger, turn_time.now_s = PeerRecord("10.0.0.9:1"), 100.0
    asked.reply_to(
        Message(Type.GET_ALL_NODES_FOR_PATH, "/w", 1), False, peer_record=stranger
    )
    assert not stranger.is_reader
    assert history.read_s == 0


message_ids = st.sampled_from((None, *MESSAGE_IDS))
pulses = st.builds(Pulse, paths, st.binary(max_size=3))
requests = st.one_of(
    st.builds(Message, st.just(Type.SEND_PULSE), pulses, message_ids),
    st.builds(Message, st.sampled_from([*READS, *WRITES]), paths, message_ids),
)


def expected(request: Message, model: DirectoryModel) -> object:
    """Carry out a request on the model; return the data of the reply."""
    kind, data, _ = request
    if isinstance(data, Pulse):
        model[data.id] = data.details or b""
        return None
    assert isinstance(data, str)
    if kind == Type.DELETE_PATH:
        model.delete_all(data)
    elif kind == Type.DELETE_PULSE_ID:
        model.pop(data, None)
    elif kind == Type.EXISTS:
        return data in model
    elif kind == Type.GET_PULSE:
        return Pulse(data, model.get(data))
    elif kind == Type.GET_ALL_NODES_FOR_PATH:
        return model.list_nodes(data)
    return None


@given(st.lists(requests, max_size=30))
def test_requests_are_answered_by_the_rule(sequence: list[Message]) -> None:
    """Any requests in any order get the same replies as from a simple model."""
    asked, model = Dispatcher(Store(), Figures(), MAX_BODY_BYTES), DirectoryModel()
    for request in sequence:
        reply = asked.reply_to(request, True)
        assert isinstance(reply, Message)
        assert reply.type == request.type + 1
        data = set(reply.data[0] or ()) if isinstance(reply.data, Nodes) else reply.data
        assert data == expected(request, model)
        # Whatever it is, it can be sent.
        assert fast_codec.encode(reply) or messages.encode(reply)


def test_dispatcher_is_no_part_of_a_cycle() -> None:
    """A relay makes one for each connection, and garbage is not collected."""
    gc.disable()
    try:
        store = Store()
        made = weakref.ref(Dispatcher(store, Figures(), MAX_BODY_BYTES))
        assert made() is None
    finally:
        gc.enable()
