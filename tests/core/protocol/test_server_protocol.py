"""The protocol of a server: bytes in, bytes out, and the phase in between."""

from __future__ import annotations

import logging
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacemaker.core.figures import Figures
from pacemaker.core.history.history import History
from pacemaker.core.history.record import TurnTime
from pacemaker.core.protocol.contract import Wait
from pacemaker.core.protocol.dispatch import Dispatcher
from pacemaker.core.protocol.peer_conduct import MAX_USELESS_MESSAGES
from pacemaker.core.protocol.phases import Phase
from pacemaker.core.protocol.pulse_fast_path import MAX_KEY_CHARACTERS
from pacemaker.core.store.store import Store
from pacemaker.errors import (
    FrameError,
    LimitError,
    MalformedError,
)
from tests.core.protocol.collecting import Collecting
from tests.core.protocol.conversations import (
    COMPLETE,
    DIGEST_ANSWERS,
    DIGEST_EXCHANGE,
    GARBAGE,
    HIT,
    KERBEROS_ANSWERS,
    KERBEROS_EXCHANGE,
    LIMIT,
    MESSAGES,
    MISS,
    NO_REQUEST,
    PULSE,
    PULSE_ACK,
    READ,
    REFUSAL,
    REQUEST_TOKEN,
    CountingDispatcher,
    CountingStore,
    MakeMechanism,
    in_phase,
    new_protocol,
    new_worker,
    outcome_of,
    sent_by,
    serve,
)
from tests.cutting import same_however_it_arrives, ways_to_arrive
from tests.fake_mechanisms import (
    REFUSED,
    like_digest,
    like_kerberos,
    like_mutual_kerberos,
)
from tests.odd_bodies import bodies
from tests.wire import by_hand as wire
from tests.wire.by_hand import (
    Type,
    framed,
    path_request,
    send_pulse,
    token,
)

# --- requests --------------------------------------------------------------


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
    before = server.frames.frames_received
    serve(server, [data])
    return server.frames.frames_received == before


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


@pytest.mark.parametrize("usual", [PULSE, READ])
@pytest.mark.parametrize("behind", [PULSE[:9], READ[:-1], GARBAGE])
def test_fast_path_is_only_there_between_requests(usual: bytes, behind: bytes) -> None:
    """There is none amid a frame or after the end; a reply or two change nothing."""
    server = new_protocol()
    assert server.fast_path is None
    serve(server, [usual, usual])
    fast_path = server.fast_path
    assert fast_path is not None
    serve(server, [usual, usual * 2])
    assert server.fast_path is fast_path
    serve(server, [usual + behind])
    assert server.fast_path is None


@pytest.mark.parametrize(
    ("requests", "is_worker_or_reader"),
    [(READ, True), (PULSE, False), (PULSE * 2, True), (NO_REQUEST, False)],
)
def test_worker_and_reader_are_known_by_what_they_have_sent(
    requests: bytes, is_worker_or_reader: bool
) -> None:
    """A worker sends pulses to one key; somebody who floods us sends other things."""
    server = new_protocol()
    server.receive_data(requests)
    assert server.is_worker_or_reader == is_worker_or_reader


@pytest.mark.parametrize("usual", [PULSE, READ])
def test_fast_path_is_not_there_after_a_failure(usual: bytes) -> None:
    """The owner's own refusal takes it away as well."""
    server = new_protocol()
    serve(server, [usual, usual])
    server.fail(LimitError("enough"))
    assert server.fast_path is None


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
    long = ("/" + "k" * 199) * 250
    longest, too_long = long[:MAX_KEY_CHARACTERS], long
    tracemalloc.start()
    try:
        for _ in range(3):
            serve(server, [send_pulse(too_long, b"x", 5)])
        store.delete(too_long)
        assert tracemalloc.get_traced_memory()[0] < len(too_long)
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
        assert server.frames.frames_received == 2 + whole


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


def test_more_messages_that_are_no_request_end_the_connection() -> None:
    """One more ends the connection, with an error that has the limit."""
    server = new_protocol()
    serve(server, [NO_REQUEST * (MAX_USELESS_MESSAGES + 1)])
    assert str(server.error) == (
        "too many messages that are not requests:"
        " more than 100; the last was EXISTS_RESPONSE"
    )


def test_each_message_is_a_debug_line_without_its_bytes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Messages in both directions are logged, but not the contents of heartbeats."""
    with caplog.at_level(logging.DEBUG, "pacemaker.core.protocol.server_protocol"):
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
    with caplog.at_level(logging.DEBUG, "pacemaker.core.protocol.server_protocol"):
        serve(new_protocol(), [path_request(10, "/a").replace(b"/a", b"/\xff")])
    assert "UnicodeDecodeError" in caplog.text


def test_no_message_is_logged_unless_debug_is_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Without DEBUG nothing is logged; the level is read when a connection begins."""
    with caplog.at_level(logging.INFO, "pacemaker.core.protocol.server_protocol"):
        serve(new_protocol(), [PULSE, READ, GARBAGE])
    assert caplog.messages == []


# --- large pulses ----------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "cut", "is_fast"),
    [("/a", 80_000, True), ("/a", 20, False), ("/b", 80_000, False)],
)
def test_large_pulse_in_pieces_is_answered_like_any_other(
    key: str, cut: int, is_fast: bool
) -> None:
    """A known worker's takes the fast path, unless its beginning is cut."""
    store = CountingStore()
    server = new_worker(store)
    writes = store.writes
    value = bytes(range(256)) * 512
    frame = send_pulse(key, value, 9)
    pieces = [frame[:cut], frame[cut:80_010], frame[80_010:]]
    assert serve(server, pieces) == wire.ack(Type.SEND_PULSE_RESPONSE, 9)
    assert store.get(key) == value
    assert store.writes == writes + is_fast
    assert server.slice_cost == 1 + len(frame) // 32_768
    assert serve(server, [PULSE]) == PULSE_ACK


# --- the end ---------------------------------------------------------------


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
        seen.append((frames.unread_bytes, frames.frame_bytes, frames.frames_received))
    assert seen == [(3, 4, 0), (9, len(PULSE), 0), (5, len(READ), 1)]


def test_repr_shows_the_state() -> None:
    """The repr has the phase and the user, and nothing of the tokens."""
    server = in_phase(like_digest, DIGEST_EXCHANGE)
    assert repr(server) == (
        "<ServerProtocol peer='peer:1' phase=open authenticated=True user='nimbus'>"
    )


# --- anything --------------------------------------------------------------


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
        assert server.sasl_step is not None
        server.finish_step(server.sasl_step.run())


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
        if server.fast_path is not None:
            assert (server.phase, server.wait) == (Phase.OPEN, Wait.REQUEST)
            assert server.frames.unread_bytes == 0


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
        assert server.sasl_step is not None
        outcome = server.sasl_step.run()
        steps.append(server.sasl_step.is_last)
        server.finish_step(outcome)
        server.receive_data(token(b"response"))
    assert steps == [False, True]


# --- the history -------------------------------------------------------------


def test_reader_on_the_general_path_is_noted_in_the_history() -> None:
    """Whoever asks for lists and then reads is Nimbus, in any form of its reads."""
    history = History(10**6)
    dispatcher = Dispatcher(Store(), Figures(), LIMIT, history, TurnTime())
    nimbus = Collecting(dispatcher, LIMIT, None, "10.0.0.9:1", None)
    odd_read = path_request(Type.GET_PULSE, "/a", 7) + READ
    serve(nimbus, [PULSE, path_request(Type.GET_ALL_NODES_FOR_PATH, "", 2) + odd_read])
    assert history.reader is not None
    assert history.reader.peer == "10.0.0.9:1"
