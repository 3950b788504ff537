"""Tests of pacemaker.core.protocol: bytes in, bytes out, and the phase in between."""

from __future__ import annotations

import logging
import tracemalloc
import weakref
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacemaker.core.accounts import NOBODY, SETTLED_CHARGES, Account
from pacemaker.core.carried_over import Snapshot
from pacemaker.core.dispatch import Dispatcher
from pacemaker.core.figures import Figures
from pacemaker.core.phases import READING, Phase
from pacemaker.core.protocol import (
    MAX_OUTGOING_BYTES,
    MAX_USELESS,
    SLICE_COST,
    Wait,
)
from pacemaker.core.store import KeyHandle, Store
from pacemaker.core.worker_pulses import MAX_KEY_CHARACTERS, WorkerPulses
from pacemaker.errors import (
    AuthenticationError,
    FrameError,
    LimitError,
    MalformedError,
    OutOfPlaceError,
    PeerError,
)
from pacemaker.sasl.mechanism import StepOutcome
from pacemaker.wire import canonical, messages
from pacemaker.wire.messages import Message
from tests.core.collecting import Collecting
from tests.cutting import same_however_it_arrives, ways_to_arrive
from tests.fake_mechanisms import (
    REFUSED,
    ScriptedMechanism,
    like_digest,
    like_kerberos,
    like_mutual_kerberos,
)
from tests.odd_bodies import bodies
from tests.wire import by_hand as wire
from tests.wire.by_hand import (
    Type,
    binary,
    control,
    framed,
    path_request,
    send_pulse,
    token,
)

LIMIT = 10_485_760
MakeMechanism = Callable[[], ScriptedMechanism] | None


REQUEST_TOKEN = control(-202)
COMPLETE = control(-203)
PULSE = send_pulse("/a", b"xy", 5)
PULSE_ACK = wire.ack(Type.SEND_PULSE_RESPONSE, 5)
READ = path_request(Type.GET_PULSE, "/a", 7)
HIT = wire.pulse_reply("/a", b"xy", 7)
MISS = wire.pulse_reply("/a", None, 7)
REFUSAL = wire.ack(Type.NOT_AUTHORIZED, 7)
NO_REQUEST = wire.ack(Type.EXISTS_RESPONSE, 1)
GARBAGE = framed(b"\0")

DIGEST_EXCHANGE = REQUEST_TOKEN + token(b"response")
DIGEST_ANSWERS = token(b"challenge") + token(b"rspauth") + COMPLETE
KERBEROS_EXCHANGE = token(b"AP-REQ") + token(b"wrapped")
KERBEROS_ANSWERS = token(b"offer") + COMPLETE + COMPLETE


def new_protocol(
    make: MakeMechanism = None,
    store: Store | None = None,
    account: Account = NOBODY,
) -> Collecting:
    """Make a protocol over a store, by default an empty one."""
    store = Store() if store is None else store
    dispatcher = Dispatcher(store, Figures(), LIMIT)
    mechanism = make() if make else None
    return Collecting(dispatcher, LIMIT, mechanism, "peer:1", None, account)


class CountingStore(Store):
    """A store that counts how often a worker writes."""

    writes = 0

    def put_at(self, place: KeyHandle, value: bytes) -> None:
        """Count, and store."""
        self.writes += 1
        super().put_at(place, value)


class CountingDispatcher(Dispatcher):
    """A dispatcher that counts how often the fast path for pulses is prepared."""

    workers = 0

    def worker_pulses(self, *args: Any, **kwargs: Any) -> WorkerPulses:
        """Count the call, and make the object."""
        self.workers += 1
        return super().worker_pulses(*args, **kwargs)


def new_worker(store: Store) -> Collecting:
    """Make a protocol whose peer may use the fast path for pulses."""
    server = new_protocol(store=store)
    assert serve(server, [PULSE, PULSE]) == PULSE_ACK * 2
    return server


def sent_by(server: Collecting) -> bytes:
    """Return what was to be sent since the last call."""
    return server.sent()


def serve(server: Collecting, pieces: Iterable[bytes]) -> bytes:
    """Act as the owner: pass data in, run steps, and send everything."""
    sent = bytearray()
    for piece in pieces:
        server.receive_data(piece)
        sent += server.settle()
    return bytes(sent)


def settle(server: Collecting) -> bytes:
    """Run steps and send, until the protocol waits for the peer."""
    return server.settle()


def outcome_of(
    make: MakeMechanism,
    pieces: Iterable[bytes],
) -> tuple[bytes, Phase, str, bool, str | None]:
    """Serve pieces to a new connection; return its visible outcome."""
    server = new_protocol(make)
    sent = serve(server, pieces)
    return sent, server.phase, str(server.error), server.authenticated, server.user


def in_phase(make: MakeMechanism, before: bytes) -> Collecting:
    """Bring a new connection to a phase, with its output sent."""
    server = new_protocol(make)
    serve(server, [before])
    return server


# --- requests ---------------------------------------------------------------


def test_requests_are_answered_in_order() -> None:
    """Each request gets its reply, in order and with its id."""
    stream = READ + PULSE + READ + path_request(Type.EXISTS, "/a", 1)
    stream += path_request(Type.CREATE_PATH, "/x")
    stream += path_request(Type.GET_ALL_NODES_FOR_PATH, "", 2)
    replies = MISS + PULSE_ACK + HIT + wire.exists_reply(True, 1)
    replies += wire.ack(Type.CREATE_PATH_RESPONSE)
    sent = serve(new_protocol(), [stream])
    assert sent.startswith(replies)
    assert wire.nodes_of(sent[len(replies) :])[1] == {b"a"}


# Each: the mechanism, what the peer sends, what it gets, and how that ends.
STREAMS: dict[str, tuple[MakeMechanism, bytes, bytes, Phase]] = {
    "pulse and read": (None, PULSE + READ, PULSE_ACK + HIT, Phase.OPEN),
    "pulse with odd fields": (
        None,
        wire.message(Type.SEND_PULSE, wire.pulse_data("/a", b"xy")) + READ,
        wire.ack(Type.SEND_PULSE_RESPONSE) + HIT,
        Phase.OPEN,
    ),
    "no request": (None, NO_REQUEST + READ, MISS, Phase.OPEN),
    "unfinished frame": (None, READ + PULSE[:-1], MISS, Phase.OPEN),
    "garbage": (None, PULSE + GARBAGE + READ, PULSE_ACK, Phase.CLOSED),
    "length": (None, PULSE + b"\xff\xff\xff\xff" + READ, PULSE_ACK, Phase.CLOSED),
    "token to NONE": (None, PULSE + token(b"x") + READ, PULSE_ACK, Phase.CLOSED),
    "DIGEST": (
        like_digest,
        DIGEST_EXCHANGE + PULSE + READ,
        DIGEST_ANSWERS + PULSE_ACK + HIT,
        Phase.OPEN,
    ),
    "KERBEROS": (
        like_kerberos,
        KERBEROS_EXCHANGE + READ,
        KERBEROS_ANSWERS + MISS,
        Phase.OPEN,
    ),
    "KERBEROS, mutual": (
        like_mutual_kerberos,
        token(b"AP-REQ") + token(b"") + token(b"wrapped") + READ,
        token(b"AP-REP") + token(b"offer") + COMPLETE + COMPLETE + MISS,
        Phase.OPEN,
    ),
    "refused token": (
        like_digest,
        REQUEST_TOKEN + token(REFUSED) + PULSE + READ,
        token(b"challenge"),
        Phase.CLOSED,
    ),
    "refused first token": (
        like_kerberos,
        token(REFUSED) + PULSE,
        b"",
        Phase.CLOSED,
    ),
    "no exchange": (like_digest, PULSE + READ, PULSE_ACK + REFUSAL, Phase.OPEN),
    "exchange given up": (
        like_digest,
        REQUEST_TOKEN + PULSE + READ,
        token(b"challenge") + PULSE_ACK + REFUSAL,
        Phase.OPEN,
    ),
    "exchange after a request": (
        like_digest,
        PULSE + DIGEST_EXCHANGE,
        PULSE_ACK,
        Phase.CLOSED,
    ),
    "exchange taken up again": (
        like_kerberos,
        token(b"AP-REQ") + NO_REQUEST + token(b"wrapped"),
        token(b"offer"),
        Phase.CLOSED,
    ),
    "second exchange": (
        like_digest,
        DIGEST_EXCHANGE + REQUEST_TOKEN,
        DIGEST_ANSWERS,
        Phase.CLOSED,
    ),
}


@pytest.mark.parametrize("name", STREAMS)
def test_stream_is_served_however_it_arrives(name: str) -> None:
    """Whole, byte by byte or cut anywhere, a stream has the same outcome."""
    make, stream, replies, phase = STREAMS[name]
    outcome = same_however_it_arrives(stream, lambda pieces: outcome_of(make, pieces))
    assert outcome[:2] == (replies, phase)


@pytest.mark.parametrize("name", STREAMS)
def test_stream_is_served_with_bytes_behind(name: str) -> None:
    """A partial frame after the others does not change their replies."""
    make, stream, replies, phase = STREAMS[name]
    behind = b"\0\0\0\x29\x08" if not name.startswith("unfinished") else b""
    sent, ended, *_ = outcome_of(make, [stream + behind])
    assert (sent, ended) == (replies, phase)


@pytest.mark.parametrize("name", STREAMS)
def test_stream_has_a_reason_just_where_it_is_closed(name: str) -> None:
    """`error` says why a connection is CLOSED; otherwise it is None."""
    make, stream, _, phase = STREAMS[name]
    server = new_protocol(make)
    serve(server, [stream])
    assert (server.error is not None) == (phase is Phase.CLOSED)


@settings(max_examples=300)
@given(
    st.sampled_from((None, like_digest, like_kerberos)),
    st.lists(bodies.map(framed), max_size=4).map(b"".join),
    st.lists(st.integers(0, 200), max_size=6),
)
def test_odd_stream_is_served_however_it_arrives(
    make: MakeMechanism, stream: bytes, cuts: list[int]
) -> None:
    """Odd and damaged frames have the same outcome, wherever the stream is cut."""
    places = [0, *sorted(cuts), len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(places)]
    single = [stream[at : at + 1] for at in range(len(stream))]
    whole = outcome_of(make, [stream])
    assert outcome_of(make, pieces) == whole
    assert outcome_of(make, single) == whole


@pytest.mark.slow
@settings(max_examples=300)
@given(
    st.sampled_from((None, like_digest, like_kerberos)),
    st.lists(st.just(PULSE) | bodies.map(framed), max_size=6),
    st.integers(0, 5),
)
def test_fast_path_has_the_outcome_of_the_slow_one(
    make: MakeMechanism, frames: list[bytes], cut: int
) -> None:
    """Pieces of one pulse each have the same outcome as all bytes in one piece."""
    for before in ([], [PULSE, PULSE], [READ, READ]):
        stream = b"".join([*before, *frames])
        whole = outcome_of(make, [*before, *frames])
        assert outcome_of(make, [stream]) == whole
        assert outcome_of(make, [stream[:cut], stream[cut:]]) == whole


def test_pulse_alone_is_answered_at_once() -> None:
    """A single pulse is stored and answered with nothing left to do."""
    store = Store()
    server = new_worker(store)
    output = server.receive_data(send_pulse("/a", b"new", 7))
    assert output == ((wire.ack(5, 7),), Wait.REQUEST)
    assert store.get("/a") == b"new"
    assert not server.frames.unread_bytes


def takes_fast_path(server: Collecting, data: bytes) -> bool:
    """Serve a piece; return whether the fast path answered it."""
    before = server.frames.frames_rcvd
    serve(server, [data])
    return server.frames.frames_rcvd == before


def test_first_pulses_make_a_worker() -> None:
    """A peer that sends two consecutive pulses to one key gets the fast path."""
    server, other = new_protocol(), send_pulse("/b", b"xy", 5)
    for pulse in (PULSE, other, PULSE, PULSE):
        assert not takes_fast_path(server, pulse)
    assert takes_fast_path(server, PULSE)
    assert not takes_fast_path(server, other)
    assert not takes_fast_path(server, other)
    assert takes_fast_path(server, other)
    assert not takes_fast_path(server, PULSE)


def test_first_read_makes_a_reader() -> None:
    """A peer that may read gets the fast path for its next reads."""
    server = new_protocol()
    assert not takes_fast_path(server, READ)
    assert takes_fast_path(server, READ)
    serve(server, [READ[:9]])
    assert not takes_fast_path(server, READ[9:])
    assert takes_fast_path(server, READ)


def test_peer_that_may_not_read_gets_no_fast_path() -> None:
    """Every one of its reads is refused."""
    server = new_protocol(like_digest)
    for _ in range(3):
        assert not takes_fast_path(server, READ)
    assert not server.authenticated


def test_worker_is_made_but_once() -> None:
    """Pulses to its key that take another path do not make a new one."""
    dispatcher = CountingDispatcher(Store(), Figures(), LIMIT)
    server = Collecting(dispatcher, LIMIT)
    serve(server, [PULSE, PULSE])
    for at in range(len(PULSE) - 1):
        serve(server, [PULSE[: at + 1], PULSE[at + 1 :]])
    serve(server, [PULSE[:9], PULSE[9:11], PULSE[11:]])
    assert dispatcher.workers == 1


def test_long_keys_are_not_remembered() -> None:
    """A connection remembers only short keys, because they count in no budget."""
    store = Store()
    server = new_protocol(store=store)
    longest, too_long = ("/" + "k" * n for n in (MAX_KEY_CHARACTERS - 1, 2_000_000))
    tracemalloc.start()
    try:
        for _ in range(3):
            serve(server, [send_pulse(too_long, b"x", 5)])
        store.delete(too_long)
        assert tracemalloc.get_traced_memory()[0] < 100_000
    finally:
        tracemalloc.stop()
    for _ in range(2):
        assert not takes_fast_path(server, send_pulse(longest, b"x", 5))
    assert takes_fast_path(server, send_pulse(longest, b"x", 5))


@pytest.mark.parametrize("count", [1, 2, 30])
@pytest.mark.parametrize(
    "behind", [b"", PULSE[:9], READ, GARBAGE, send_pulse("/b", b"")]
)
def test_pulses_of_a_worker_are_taken_together(count: int, behind: bytes) -> None:
    """Each is answered and counted, and later requests are served as usual."""
    pulses = b"".join(send_pulse("/a", b"x" * n, n) for n in range(count))
    store = CountingStore()
    server = new_worker(store)
    replies = serve(server, [pulses + behind])
    acks = b"".join(wire.ack(Type.SEND_PULSE_RESPONSE, n) for n in range(count))
    assert replies.startswith(acks)
    assert store.get("/a") == b"x" * (count - 1)
    assert store.writes == 1
    if server.error is None:
        # A pulse alone is answered before it is a frame.
        whole = 0 if (count, behind) == (1, b"") else count
        whole += behind not in (b"", PULSE[:9])
        assert server.frames.frames_rcvd == 2 + whole


def test_pulse_amid_a_frame_is_part_of_it() -> None:
    """While bytes are unread, the fast path is not used."""
    store = CountingStore()
    server = new_worker(store)
    frame = send_pulse("/b", PULSE, 1)
    at = frame.index(PULSE)
    pieces = [frame[:at], PULSE, frame[at + len(PULSE) :]]
    assert serve(server, pieces) == wire.ack(Type.SEND_PULSE_RESPONSE, 1)
    assert (store.get("/b"), store.writes) == (PULSE, 0)


def test_pulse_that_cannot_be_stored_ends_the_connection_on_the_fast_path_too() -> None:
    """`error` has the reason, and nothing is sent."""
    store = Store()
    server = new_worker(store)
    store.delete("/a")
    store.budget_bytes = 0
    assert server.receive_data(PULSE) == ([], Wait.END)
    assert isinstance(server.error, LimitError)
    assert serve(server, [PULSE]) == b""


def test_no_request_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The log names the peer, and the message that is not a request."""
    with caplog.at_level(logging.WARNING):
        serve(new_protocol(), [NO_REQUEST])
    assert caplog.messages == ["peer:1: EXISTS_RESPONSE is not a request; ignored"]


def test_messages_that_are_no_request_are_named_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A hundred of them cause one line in the log, and the connection stays open."""
    server = new_protocol()
    with caplog.at_level(logging.WARNING):
        assert serve(server, [NO_REQUEST * MAX_USELESS, PULSE]) == PULSE_ACK
    assert len(caplog.messages) == 1


def test_more_messages_that_are_no_request_end_the_connection() -> None:
    """One more ends the connection, with an error that has the limit."""
    server = new_protocol()
    serve(server, [NO_REQUEST * (MAX_USELESS + 1)])
    assert str(server.error) == (
        "too many messages that are not requests:"
        " more than 100; the last was EXISTS_RESPONSE"
    )


def test_each_message_is_a_debug_line_without_its_bytes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Messages in both directions are logged, but not the contents of heartbeats."""
    with caplog.at_level(logging.DEBUG, "pacemaker.core.protocol"):
        server = new_protocol()
        assert serve(server, [PULSE, PULSE, PULSE, READ]) == PULSE_ACK * 3 + HIT
    received = "peer:1: received SEND_PULSE id=5 path='/a' size_bytes=2"
    sent = "peer:1: sends SEND_PULSE_RESPONSE id=5"
    assert caplog.messages == [
        *[received, sent] * 3,
        "peer:1: received GET_PULSE id=7 path='/a'",
        "peer:1: sends GET_PULSE_RESPONSE id=7 path='/a' size_bytes=2",
    ]


def test_debug_line_of_a_failure_has_its_cause(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The error itself drops its cause, which would keep the peer's bytes alive."""
    with caplog.at_level(logging.DEBUG, "pacemaker.core.protocol"):
        serve(new_protocol(), [path_request(10, "/a").replace(b"/a", b"/\xff")])
    assert "UnicodeDecodeError" in caplog.text


def test_no_message_is_logged_unless_debug_is_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Without DEBUG nothing is logged; the level is read when a connection begins."""
    with caplog.at_level(logging.INFO, "pacemaker.core.protocol"):
        serve(new_protocol(), [PULSE, READ, GARBAGE])
    assert caplog.messages == []


# --- slices -----------------------------------------------------------------


def test_one_call_reads_a_slice_and_no_more() -> None:
    """Requests beyond the slice wait for `resume`, and are answered in order."""
    server = new_protocol()
    reads = [path_request(Type.GET_PULSE, "/a", number) for number in range(100)]
    server.receive_data(b"".join(reads))
    slices = []
    while server.has_more:
        slices.append(sent_by(server))
        assert server.frames.unread_bytes
        server.resume()
    slices.append(sent_by(server))
    assert max(map(len, slices)) < 30 * len(wire.pulse_reply("/a", None, 1))
    assert b"".join(slices) == b"".join(
        wire.pulse_reply("/a", None, number) for number in range(100)
    )
    assert not server.frames.unread_bytes


def test_slice_ends_sooner_with_what_costs_more() -> None:
    """A slice has room for more pulses than reads, because reads take longer."""
    counts = []
    for request in (
        b"".join(send_pulse(f"/w/{number}", b"x", 1) for number in range(100)),
        path_request(Type.GET_PULSE, "/a", 1) * 100,
    ):
        server = new_protocol()
        server.receive_data(request)
        counts.append(server.frames.frames_rcvd)
    assert counts == [SLICE_COST, SLICE_COST // 4]


def test_connection_waits_for_credit_once_it_has_cost_a_lot_itself() -> None:
    """After each 32 new keys or lists, the owner has to settle the account."""
    store, account = Store(), Account("10.0.0.1")
    server = new_protocol(store=store, account=account)
    waits = []
    for number in range(2 * SETTLED_CHARGES):
        key = send_pulse(f"/w/{number}", b"x", 1)
        waits.append(server.receive_data(key if number % 2 else LIST)[1])
    often = SETTLED_CHARGES - 1
    expected = [*[Wait.REQUEST] * often, Wait.CREDIT]
    assert waits == expected * 2
    assert server.resume()[1] is Wait.REQUEST


def test_connection_does_not_wait_for_what_others_of_its_account_cost() -> None:
    """A worker may add its key without a wait, however many its address has added."""
    store, account = Store(), Account("10.0.0.1")
    greedy, worker = (new_protocol(store=store, account=account) for _ in range(2))
    keys = b"".join(send_pulse(f"/w/{number}", b"x", 1) for number in range(60))
    assert greedy.receive_data(keys)[1] is Wait.CREDIT
    assert worker.receive_data(send_pulse("/w/new", b"x", 1))[1] is Wait.REQUEST


def new_lister() -> tuple[Collecting, bytes]:
    """Make a protocol over a large directory; return it, and the list's reply."""
    store = Store()
    for number in range(3_500):
        store.put(f"/w/{number}", b"x")
    names = {str(number) for number in range(3_500)}
    server = new_protocol(store=store)
    reply = serve(new_protocol(store=store), [LIST])
    listed = messages.decode(reply[4:], 10_000).data
    assert isinstance(listed, messages.Nodes)
    assert set(listed.pulse_ids or ()) == names
    return server, reply


LIST = path_request(Type.GET_ALL_NODES_FOR_PATH, "/w", 3)


def test_list_of_a_large_directory_is_written_in_slices() -> None:
    """Each call writes a slice, and later requests are answered after the list."""
    server, reply = new_lister()
    server.receive_data(LIST + PULSE)
    silent_calls = 0
    while not (sent := sent_by(server)):
        assert server.wait is Wait.TURN
        server.resume()
        silent_calls += 1
    assert silent_calls > 3
    assert sent + settle(server) == reply + PULSE_ACK


def test_list_in_the_making_is_counted_as_held() -> None:
    """The written part of a list counts in the budget before it is sent."""
    server, _ = new_lister()
    server.receive_data(LIST)
    server.resume()
    assert server.held_bytes > 3_000
    assert server.frames.unread_bytes == 0
    server.fail(LimitError("as asked for"))
    assert server.held_bytes == 0


def test_list_in_the_making_is_begun_again_after_an_upgrade() -> None:
    """The next process writes the list from its start, then the later replies."""
    server, reply = new_lister()
    server.receive_data(LIST + PULSE)
    server.resume()
    snapshot = server.snapshot()
    assert snapshot is not None
    second, _ = new_lister()
    second.restore(snapshot)
    second.resume()
    assert settle(second) == reply + PULSE_ACK


def test_closed_connection_has_no_more() -> None:
    """After a frame that ends the connection, nothing is left to do."""
    server = new_protocol()
    server.receive_data(path_request(Type.GET_PULSE, "/a", 1) * 100)
    assert server.has_more
    server.fail(LimitError("as asked for"))
    assert not server.has_more


def test_stranger_leaves_a_trace_once_of_each_kind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Unauthenticated reads and deletes are logged once per kind, and escaped."""
    delete = path_request(Type.DELETE_PATH, "/w\n" + "x" * 1000, 1)
    with caplog.at_level(logging.INFO):
        serve(new_protocol(like_digest), [PULSE, READ * 5, delete * 5, READ])
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        (
            "WARNING",
            "peer:1: refused a read, the peer has not authenticated:"
            " GET_PULSE '/a' (more on this connection are only counted)",
        ),
        (
            "INFO",
            "peer:1: carried out a delete, the peer has not authenticated:"
            f" DELETE_PATH '/w\\n{'x' * 197}'... (1003 characters)"
            " (more on this connection are only counted)",
        ),
    ]


@pytest.mark.parametrize("make", [None, like_digest])
def test_peer_that_may_read_leaves_no_trace(
    make: MakeMechanism, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is logged for it, nor for any peer if there is no authentication."""
    delete = path_request(Type.DELETE_PATH, "/w", 1)
    exchange = b"" if make is None else DIGEST_EXCHANGE
    with caplog.at_level(logging.INFO):
        serve(new_protocol(make), [exchange, READ, delete])
    assert not caplog.records


# --- phases -----------------------------------------------------------------

MESSAGES = {
    "pulse": PULSE,
    "read": READ,
    "no request": NO_REQUEST,
    "request for a token": REQUEST_TOKEN,
    "complete": COMPLETE,
    "other control": control(-100),
    "token": token(b"x"),
    "control without a code": wire.message(Type.CONTROL_MESSAGE),
    "token without a blob": wire.message(Type.SASL_MESSAGE_TOKEN, binary(1, "x")),
    "token too large": token(bytes(64 * 1024 + 1)),
    "garbage": GARBAGE,
    "request without data": wire.message(Type.GET_PULSE),
    "length": b"\xff\xff\xff\xff",
}
# How a connection comes to a phase: its mechanism, and what it was sent.
STARTS: dict[str, tuple[MakeMechanism, bytes]] = {
    "OPEN": (None, b""),
    "REQUEST_EXPECTED, DIGEST": (like_digest, b""),
    "TOKEN_EXPECTED, KERBEROS": (like_kerberos, b""),
    "SASL_BEGUN, DIGEST": (like_digest, REQUEST_TOKEN),
    "SASL_BEGUN, KERBEROS": (like_kerberos, token(b"AP-REQ")),
    "OPEN, authenticated": (like_digest, DIGEST_EXCHANGE),
    "OPEN, not authenticated": (like_digest, PULSE),
}
_OPEN = dict.fromkeys(("pulse", "read", "no request"), Phase.OPEN)
_ANYWHERE: dict[str, Phase | type[PeerError]] = {
    **_OPEN,
    "garbage": MalformedError,
    "request without data": MalformedError,
    "length": FrameError,
}
_NO_SASL: dict[str, Phase | type[PeerError]] = {
    **_ANYWHERE,
    **dict.fromkeys(MESSAGES.keys() - _ANYWHERE.keys(), OutOfPlaceError),
    "control without a code": MalformedError,
}
_SASL: dict[str, Phase | type[PeerError]] = {
    **_ANYWHERE,
    "request for a token": OutOfPlaceError,
    "complete": OutOfPlaceError,
    "other control": OutOfPlaceError,
    "token": Phase.STEPPING,
    "control without a code": MalformedError,
    "token without a blob": MalformedError,
    "token too large": LimitError,
}
TRANSITIONS: dict[str, dict[str, Phase | type[PeerError]]] = {
    "OPEN": _NO_SASL,
    "OPEN, authenticated": _NO_SASL,
    "OPEN, not authenticated": _NO_SASL,
    "REQUEST_EXPECTED, DIGEST": {
        **_SASL,
        "request for a token": Phase.STEPPING,
        **dict.fromkeys(
            ("token", "token without a blob", "token too large"), OutOfPlaceError
        ),
    },
    "TOKEN_EXPECTED, KERBEROS": _SASL,
    "SASL_BEGUN, DIGEST": _SASL,
    "SASL_BEGUN, KERBEROS": _SASL,
}


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize("start", STARTS)
def test_transition(start: str, message: str) -> None:
    """Each message leads from each phase to the expected phase."""
    server = in_phase(*STARTS[start])
    assert server.phase.name == start.partition(",")[0]
    server.receive_data(MESSAGES[message])
    due = TRANSITIONS[start][message]
    if isinstance(due, Phase):
        assert (server.phase, server.error) == (due, None)
    else:
        assert (server.phase, type(server.error)) == (Phase.CLOSED, due)


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize("start", [name for name in STARTS if "OPEN" not in name])
def test_ordinary_message_takes_sasl_off_for_good(start: str, message: str) -> None:
    """A peer that writes before the exchange is complete may never read."""
    server = in_phase(*STARTS[start])
    serve(server, [PULSE])
    assert (server.phase, server.authenticated) == (Phase.OPEN, False)
    assert serve(server, [READ]) == REFUSAL
    serve(server, [MESSAGES[message]])
    assert not server.authenticated
    assert server.user is None
    assert server.phase is (Phase.OPEN if message in _OPEN else Phase.CLOSED)


@pytest.mark.parametrize("message", MESSAGES)
def test_closed_absorbs_all(message: str) -> None:
    """Once CLOSED, the protocol reads, answers and keeps nothing."""
    server = in_phase(None, GARBAGE)
    error = server.error
    server.receive_data(MESSAGES[message])
    server.resume()
    assert sent_by(server) == b""
    assert (server.phase, server.error) == (Phase.CLOSED, error)
    assert (server.frames.unread_bytes, server.frames.frame_bytes) == (0, 0)


@pytest.mark.parametrize("message", MESSAGES)
def test_stepping_reads_nothing(message: str) -> None:
    """While a step runs, received bytes wait."""
    server = new_protocol(like_digest)
    server.receive_data(REQUEST_TOKEN)
    server.receive_data(MESSAGES[message])
    server.resume()
    assert server.phase is Phase.STEPPING
    assert sent_by(server) == b""
    assert server.frames.unread_bytes == len(MESSAGES[message])


def test_phases_are_those_of_the_table() -> None:
    """The test's table has every phase that reads, and every message."""
    starts = {start.partition(",")[0] for start in STARTS}
    assert starts == {phase.name for phase in READING}
    assert TRANSITIONS.keys() == STARTS.keys()
    assert all(row.keys() == MESSAGES.keys() for row in TRANSITIONS.values())


# --- SASL -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "exchange", "answers"),
    [
        (like_digest, DIGEST_EXCHANGE, DIGEST_ANSWERS),
        (like_kerberos, KERBEROS_EXCHANGE, KERBEROS_ANSWERS),
    ],
)
def test_completion_comes_before_any_reply(
    make: MakeMechanism, exchange: bytes, answers: bytes
) -> None:
    """Requests that follow the last token are answered after the -203."""
    server = new_protocol(make)
    assert serve(server, [exchange + READ + PULSE]) == answers + MISS + PULSE_ACK
    assert (server.authenticated, server.user) == (True, "nimbus")


def test_mechanism_gets_the_tokens() -> None:
    """The token request counts as an empty token; others arrive unchanged."""
    mechanism = like_digest()
    server = new_protocol(lambda: mechanism)
    serve(server, [DIGEST_EXCHANGE])
    assert mechanism.tokens_rcvd == [b"", b"response"]


@pytest.mark.parametrize(
    ("make", "is_slow"), [(like_digest, False), (like_kerberos, True)]
)
def test_owner_is_told_of_slow_steps(make: MakeMechanism, is_slow: bool) -> None:
    """The owner can ask whether a step is slow before it runs."""
    server = new_protocol(make)
    server.receive_data(token(b"AP-REQ") if is_slow else REQUEST_TOKEN)
    assert server.step is not None
    assert server.step.is_slow is is_slow


def test_nothing_is_sent_after_a_refused_token() -> None:
    """Requests that came with the refused token are not carried out either."""
    store = Store()
    server = new_protocol(like_kerberos, store)
    assert serve(server, [token(REFUSED) + PULSE]) == b""
    assert isinstance(server.error, AuthenticationError)
    assert not server.authenticated
    assert len(store) == 0


def test_step_touches_nothing_until_its_outcome_is_taken() -> None:
    """A step may run on any thread: the connection changes only in finish_step."""
    server = new_protocol(like_kerberos)
    server.receive_data(token(b"AP-REQ"))
    assert server.step is not None
    outcome = server.step.run()
    assert (server.phase, sent_by(server)) == (Phase.STEPPING, b"")
    server.finish_step(outcome)
    assert (server.phase, sent_by(server)) == (Phase.SASL_BEGUN, token(b"offer"))


@pytest.mark.parametrize("outcome", [b"offer", None, AuthenticationError("late")])
def test_outcome_of_a_step_comes_too_late(
    outcome: StepOutcome,
) -> None:
    """A connection that has ended meanwhile ignores the outcome."""
    server = new_protocol(like_kerberos)
    server.receive_data(token(b"AP-REQ"))
    server.fail(LimitError("out of time"))
    server.finish_step(outcome)
    assert (server.phase, str(server.error)) == (Phase.CLOSED, "out of time")
    assert sent_by(server) == b""


@pytest.mark.parametrize("exchange", [b"", REQUEST_TOKEN, DIGEST_EXCHANGE])
def test_outcome_without_a_step_is_ignored(exchange: bytes) -> None:
    """finish_step does nothing if no step is pending."""
    server = in_phase(like_digest, exchange)
    before = repr(server)
    server.finish_step(b"token")
    assert (repr(server), sent_by(server)) == (before, b"")


class ForgetfulMechanism(ScriptedMechanism):
    """A mechanism like Kerberos's that does not keep the tokens that it is given."""

    def __init__(self) -> None:
        super().__init__(
            [b"offer", None], begins_with_request=False, completion_count=2
        )

    def step(self, token: bytes) -> bytes | None:
        """Return the next scripted answer."""
        answer = super().step(token)
        self.tokens_rcvd.clear()
        return answer


def new_forgetful() -> tuple[Collecting, weakref.ref[ForgetfulMechanism]]:
    """Make a protocol with the only reference to its mechanism, and a weak one."""
    mechanism = ForgetfulMechanism()
    dispatcher = Dispatcher(Store(), Figures(), LIMIT)
    return Collecting(dispatcher, LIMIT, mechanism), weakref.ref(mechanism)


def test_tokens_are_not_kept() -> None:
    """Tokens, and the mechanism after the exchange, are not kept alive."""
    server, seen = new_forgetful()
    tracemalloc.start()
    try:
        server.receive_data(token(bytes(50_000)))
        step = server.step
        assert step is not None
        server.finish_step(step.run())
        kept_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept_bytes < 50_000
    assert server.step is None
    del step
    assert seen() is not None, "it is needed for the next token"
    serve(server, [token(b"wrapped")])
    assert server.authenticated
    assert seen() is None


def test_mechanism_is_not_kept_for_a_peer_that_has_given_up_sasl() -> None:
    """No further step is possible on this connection."""
    server, seen = new_forgetful()
    serve(server, [PULSE])
    assert not server.authenticated
    assert seen() is None


# --- requests that are answered later, in their order -----------------------


class AnsweredElsewhere:
    """Answers all reads and lists later, like a relay, when the test says so."""

    is_over = False
    frames = acks = b""

    def __init__(self) -> None:
        self.on_release: Callable[[], None] = lambda: None
        self.held: list[Message] = []
        self.released: list[Message] = []

    def new_reads(self, account: Account = NOBODY) -> AnsweredElsewhere:
        """Return itself: there is only one connection."""
        return self

    def begin_batch(self) -> None:
        """Do nothing: no read is answered at once."""

    def note_answered(self, message_id: int, chunks: range) -> None:
        """Do nothing: the same."""

    def supersede(self, message: Message) -> range:
        """Return no chunks: no id is used twice."""
        return range(0)

    def hold(self, message: Message, authenticated: bool) -> bool:
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


# --- bounded output ---------------------------------------------------------


@pytest.mark.parametrize("size", [100, 1_000, 20_000, 1_000_000])
def test_output_is_bounded_by_the_limit_and_a_reply(size: int) -> None:
    """However many requests arrive at once, few replies are pending at a time."""
    store = Store()
    store.put("/a", bytes(size))
    server = new_protocol(None, store)
    requests = [path_request(Type.GET_PULSE, "/a", number) for number in range(2_000)]
    if size > 1_000:
        requests = requests[:50]
    server.receive_data(b"".join(requests))
    replies = []
    while server.is_blocked or server.has_more:
        sent = sent_by(server)
        assert len(sent) < MAX_OUTGOING_BYTES + size + 100
        replies.append(sent)
        server.resume()
    replies.append(sent_by(server))
    assert b"".join(replies) == b"".join(
        wire.pulse_reply("/a", bytes(size), number) for number in range(len(requests))
    )
    assert server.frames.unread_bytes == 0


def test_blocked_connection_reads_nothing() -> None:
    """While too many bytes wait to be sent, new frames are not carried out."""
    store = Store()
    store.put("/a", bytes(MAX_OUTGOING_BYTES))
    server = new_protocol(None, store)
    server.receive_data(READ + send_pulse("/b", b"x", 1))
    assert server.wait is Wait.ROOM
    assert store.get("/b") is None
    pulse_bytes = len(send_pulse("/b", b"x", 1))
    assert server.frames.unread_bytes == server.frames.frame_bytes == pulse_bytes
    sent_by(server)
    server.resume()
    assert store.get("/b") == b"x"


def test_blocked_connection_keeps_no_frame_that_was_read() -> None:
    """The memory of a large frame is freed, even if later frames wait."""
    store = Store()
    server = new_protocol(None, store)
    big = send_pulse("/a", bytes(1_000_000), 1)
    server.receive_data(big[:100])
    server.receive_data(big[100:] + READ + PULSE)
    assert server.is_blocked
    assert server.frames.peek() == (PULSE, 0)


def test_large_values_are_sent_from_where_they_are_stored() -> None:
    """A large heartbeat is a separate chunk and not copied; small ones are joined."""
    store, large = Store(), bytes(canonical.LARGE_BYTES)
    store.put("/large", large)
    server = new_protocol(None, store)
    chunks, wait = server.receive_data(
        PULSE + READ + path_request(Type.GET_PULSE, "/large", 1) + READ
    )
    assert len(chunks) == 3
    assert chunks[1] is large
    expected = PULSE_ACK + HIT + wire.pulse_reply("/large", large, 1) + HIT
    assert b"".join(chunks) == expected
    assert (wait, server.resume()) == (Wait.REQUEST, ([], Wait.REQUEST))


# --- the end ----------------------------------------------------------------


def test_what_was_due_before_the_end_still_goes_out() -> None:
    """Replies to the requests before a malformed one are sent."""
    server = new_protocol()
    server.receive_data(PULSE + READ + GARBAGE)
    assert server.phase is Phase.CLOSED
    assert sent_by(server) == PULSE_ACK + HIT


def test_fail_frees_what_is_unread() -> None:
    """A connection that its owner has ended keeps no bytes of a frame."""
    server = new_protocol()
    server.receive_data(send_pulse("/a", bytes(1_000_000))[:-1])
    assert server.frames.unread_bytes > 1_000_000
    server.fail(LimitError("all buffers are full"))
    assert (server.frames.unread_bytes, server.frames.frame_bytes) == (0, 0)
    assert str(server.error) == "all buffers are full"


def test_first_reason_stays() -> None:
    """Later failures, while the last replies are sent, do not replace `error`."""
    server = in_phase(None, GARBAGE)
    server.fail(LimitError("out of time", "replies not taken"))
    assert isinstance(server.error, MalformedError)


@pytest.mark.parametrize(
    "frame",
    [GARBAGE, path_request(10, "/a").replace(b"/a", b"/\xff"), REQUEST_TOKEN],
    ids=["no message", "not UTF-8", "out of place"],
)
def test_reason_keeps_nothing_alive(frame: bytes) -> None:
    """An error that waits to be logged keeps neither stack frames nor bytes alive."""
    error = in_phase(None, frame).error
    assert error is not None
    assert error.__traceback__ is None
    assert error.__context__ is None


def test_frame_bytes_say_what_has_begun() -> None:
    """The owner computes a frame's deadline from its stated size."""
    server = new_protocol()
    seen = []
    for piece in (PULSE[:3], PULSE[3:9], PULSE[9:] + READ[:5]):
        server.receive_data(piece)
        frames = server.frames
        seen.append((frames.unread_bytes, frames.frame_bytes, frames.frames_rcvd))
    assert seen == [(3, 4, 0), (9, len(PULSE), 0), (5, len(READ), 1)]


def test_repr_shows_the_state() -> None:
    """The repr has the phase and the user, and nothing of the tokens."""
    server = in_phase(like_digest, DIGEST_EXCHANGE)
    assert repr(server) == (
        "<ServerProtocol peer='peer:1' phase=open authenticated=True user='nimbus'>"
    )


# --- snapshots --------------------------------------------------------------

HANDED_OVER = {
    "pulses and reads": (None, PULSE + READ + send_pulse("/b", b"z", 6) + READ),
    "DIGEST": (like_digest, DIGEST_EXCHANGE + PULSE + READ),
    "KERBEROS": (like_kerberos, KERBEROS_EXCHANGE + PULSE + READ),
    "no exchange": (like_digest, READ + PULSE + READ),
}


def handed_over(
    make: MakeMechanism, stream: bytes, cut: int, *, is_sent: bool
) -> bytes | None:
    """Serve a stream on two connections; the second continues from a snapshot.

    Returns:
        All that was sent; None if the first gave no snapshot.
    """
    store = Store()
    first = new_protocol(make, store)
    first.receive_data(stream[:cut])
    sent = settle(first) if is_sent or first.phase is Phase.STEPPING else b""
    state = first.snapshot(first.sent())
    if state is None:
        return None
    second = new_protocol(make, store)
    second.restore(Snapshot(*state))
    second.resume()
    return sent + serve(second, [stream[cut:]])


@pytest.mark.parametrize("is_sent", [True, False])
@pytest.mark.parametrize("name", HANDED_OVER)
def test_another_goes_on_from_a_snapshot(name: str, is_sent: bool) -> None:
    """Wherever a connection is handed over, its replies stay the same."""
    make, stream = HANDED_OVER[name]
    whole = outcome_of(make, [stream])[0]
    amid_sasl = 0
    for cut in range(len(stream) + 1):
        sent = handed_over(make, stream, cut, is_sent=is_sent)
        if sent is None:
            amid_sasl += 1
            assert cut <= len(stream) - len(PULSE + READ)
        else:
            assert sent == whole
    assert bool(amid_sasl) == (name in ("DIGEST", "KERBEROS"))


def test_snapshot_has_what_was_not_sent() -> None:
    """Bytes that were handed out but not sent come first, then pending replies."""
    server = new_protocol()
    server.receive_data(PULSE)
    unsent = sent_by(server)[3:]
    server.receive_data(READ + b"\0")
    state = server.snapshot(unsent + sent_by(server))
    assert state == Snapshot(True, False, None, b"\0", unsent + HIT)
    second = new_protocol()
    second.restore(state)
    second.resume()
    assert sent_by(second) == unsent + HIT
    assert second.frames.unread_bytes == 1


def test_snapshot_of_a_blocked_connection_keeps_what_is_unread() -> None:
    """Requests after a large reply are handed over unread, and answered there."""
    store = Store()
    store.put("/a", bytes(MAX_OUTGOING_BYTES))
    first = new_protocol(None, store)
    first.receive_data(READ + READ)
    state = first.snapshot(first.sent())
    assert state is not None
    assert state.unread == READ
    second = new_protocol(None, store)
    second.restore(state)
    second.resume()
    assert second.is_blocked
    assert settle(second) == wire.pulse_reply("/a", bytes(MAX_OUTGOING_BYTES), 7) * 2


@pytest.mark.parametrize(
    ("make", "stream"),
    [
        (None, GARBAGE),
        (like_digest, REQUEST_TOKEN),
        (like_kerberos, token(b"AP-REQ")),
        (like_kerberos, token(REFUSED)),
    ],
)
def test_no_snapshot_amid_an_exchange_or_after_the_end(
    make: MakeMechanism, stream: bytes
) -> None:
    """Neither an exchange nor an ended connection can be handed over."""
    assert in_phase(make, stream).snapshot() is None


def test_no_snapshot_of_a_step_that_is_under_way() -> None:
    """While a step runs, there is no snapshot."""
    server = new_protocol(like_digest)
    server.receive_data(REQUEST_TOKEN)
    assert server.phase is Phase.STEPPING
    assert server.snapshot() is None


def test_exchange_may_begin_after_a_hand_over() -> None:
    """If the exchange was still possible, it is possible in the next process."""
    state = new_protocol(like_digest).snapshot()
    assert state == Snapshot(False, True, None, b"", b"")
    second = new_protocol(like_digest)
    second.restore(state)
    assert serve(second, [DIGEST_EXCHANGE + READ]) == DIGEST_ANSWERS + MISS


def test_authentication_is_handed_over() -> None:
    """An authenticated peer may read in the next process, but not begin again."""
    state = in_phase(like_digest, DIGEST_EXCHANGE).snapshot()
    assert state == Snapshot(True, False, "nimbus", b"", b"")
    second = new_protocol(like_digest)
    second.restore(state)
    assert (serve(second, [READ]), second.user) == (MISS, "nimbus")
    serve(second, [REQUEST_TOKEN])
    assert isinstance(second.error, OutOfPlaceError)


# --- anything ---------------------------------------------------------------

pieces_of_streams = st.one_of(
    st.sampled_from([*MESSAGES.values(), token(REFUSED), PULSE[:9], PULSE[9:], b""]),
    bodies.map(framed),
    st.binary(max_size=12),
)
owner_calls = st.one_of(
    pieces_of_streams,
    st.sampled_from(("resume", "step", "snapshot", "fail")),
)


def call(server: Collecting, what: bytes | str) -> None:
    """Make one call that an owner may make."""
    if isinstance(what, bytes):
        server.receive_data(what)
    elif what == "resume":
        server.resume()
    elif what == "snapshot":
        server.snapshot()
    elif what == "fail":
        server.fail(LimitError("enough"))
    elif server.phase is Phase.STEPPING:
        assert server.step is not None
        server.finish_step(server.step.run())


@pytest.mark.slow
@settings(max_examples=400)
@given(
    st.sampled_from((None, like_digest, like_kerberos, like_mutual_kerberos)),
    st.lists(owner_calls, max_size=25),
)
def test_any_bytes_and_calls_lead_to_a_legal_state(
    make: MakeMechanism, calls: list[bytes | str]
) -> None:
    """Nothing raises, an end has a reason, and reads need authentication."""
    server = new_protocol(make)
    for what in calls:
        was_closed = server.phase is Phase.CLOSED
        call(server, what)
        assert (server.error is not None) == (server.phase is Phase.CLOSED)
        assert not was_closed or server.phase is Phase.CLOSED
        assert (server.user is not None) == (server.authenticated and make is not None)
        assert server.frames.unread_bytes >= 0
        assert server.phase in Phase


@given(st.binary(max_size=60))
def test_noise_leads_to_a_legal_state(noise: bytes) -> None:
    """Random bytes wait for more or end the connection, however they are cut."""
    for pieces in ways_to_arrive(noise):
        server = new_protocol()
        serve(server, pieces)
        assert isinstance(server.error, FrameError | MalformedError | None)


def test_last_step_is_known_once_it_was_taken() -> None:
    """`is_last` is known only once the step has run."""
    server = new_protocol(like_digest)
    steps = []
    server.receive_data(REQUEST_TOKEN)
    while server.phase is Phase.STEPPING:
        assert server.step is not None
        outcome = server.step.run()
        steps.append(server.step.is_last)
        server.finish_step(outcome)
        server.receive_data(token(b"response"))
    assert steps == [False, True]
