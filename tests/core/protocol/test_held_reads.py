"""Tests of pacemaker.core.protocol.held_reads, by the bytes of a connection."""

from __future__ import annotations

import pytest

from pacemaker.core.protocol.contract import Wait
from pacemaker.core.protocol.outgoing import MAX_OUTGOING_BYTES
from pacemaker.core.protocol.phases import Phase
from tests.core.protocol.collecting import Collecting
from tests.core.protocol.held_read_loop import (
    ACK,
    GET,
    GET_OTHER,
    HIT,
    KEY,
    LIMIT,
    MISS,
    PULSE,
    Loop,
)
from tests.fake_mechanisms import like_digest
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type, path_request, send_pulse


@pytest.mark.parametrize("message_id", [None, -1])
def test_read_without_an_id_is_not_held(message_id: int | None) -> None:
    """Its reply could not be identified, so it is answered in order."""
    peer = Loop().connect()
    request = path_request(Type.GET_PULSE, KEY, message_id)
    assert peer.ask(request * 2) == wire.pulse_reply(KEY, None) * 2


def test_read_that_is_not_authorized_is_refused_at_once() -> None:
    """A peer that has not authenticated gets a refusal, and nothing is held."""
    loop = Loop()
    server = Collecting(
        loop.dispatcher, LIMIT, like_digest(), "p", loop.miss_holder.new_reads()
    )
    server.receive_data(GET * 2)
    refusal = wire.ack(Type.NOT_AUTHORIZED, 7)
    assert server.sent() == refusal * 2
    assert loop.is_clear


def test_peer_waits_while_a_read_is_held() -> None:
    """It waits for the held read, and for an answer that is kept back with it."""
    loop = Loop()
    peer = loop.connect()
    server = peer.server
    assert not server.has_pending
    peer.ask(GET)
    assert server.has_pending
    # Its memory is counted elsewhere (`HeldReadBudget`).
    assert server.buffered_bytes == 0
    loop.store.put(KEY, b"beat")
    loop.drain()
    assert peer.taken() == HIT
    assert not server.has_pending
    peer.ask(GET_OTHER)
    server.close()
    assert not server.has_pending


# --- once, and only to whom it belongs --------------------------------------


def test_resend_of_a_held_read_is_not_answered_twice() -> None:
    """A client that repeats its read each second gets one reply."""
    loop = Loop()
    peer = loop.connect()
    for _ in range(11):
        assert peer.ask(GET) == b""
    loop.store.put(KEY, b"beat")
    loop.drain()
    assert peer.taken() == HIT
    loop.miss_holder.end()
    loop.drain()
    assert peer.taken() == b""


def test_id_that_is_given_to_another_read_drops_the_older() -> None:
    """The client has given up the first, and expects a reply to the second only."""
    loop = Loop()
    peer = loop.connect()
    assert peer.ask(GET) + peer.ask(GET_OTHER) == b""
    loop.store.put(KEY, b"beat")
    loop.drain()
    assert peer.taken() == b""
    loop.store.put("/w/t/2", b"other")
    loop.drain()
    assert peer.taken() == wire.pulse_reply("/w/t/2", b"other", 7)
    assert loop.is_clear


def test_id_that_is_given_to_a_pulse_drops_the_read() -> None:
    """A pulse with the id of a held read drops that read."""
    loop = Loop()
    peer = loop.connect()
    peer.ask(GET)
    assert peer.ask(send_pulse(KEY, b"beat", 7))
    loop.drain()
    assert peer.taken() == b""
    assert loop.is_clear


@pytest.mark.parametrize("turns", [1, 2])
def test_read_that_was_released_can_still_be_dropped(turns: int) -> None:
    """Between its release and its reply, another request may use its id.

    After one turn the read is pending in the thread's queue, after two in that of
    its connection.
    """
    loop = Loop()
    peer = loop.connect()
    peer.ask(GET)
    loop.store.put(KEY, b"beat")
    for _ in range(turns):
        loop.turn()
    peer.ask(GET_OTHER)
    loop.drain()
    assert peer.taken() == b""
    loop.store.put("/w/t/2", b"other")
    loop.drain()
    assert peer.taken() == wire.pulse_reply("/w/t/2", b"other", 7)
    assert loop.is_clear


def test_read_that_is_over_can_be_asked_again() -> None:
    """After the reply, the same id and bytes are a new read."""
    loop = Loop()
    peer = loop.connect()
    peer.ask(GET)
    loop.store.put(KEY, b"beat")
    loop.drain()
    assert peer.taken() == HIT
    assert peer.ask(GET) + peer.ask(GET) == HIT * 2


def test_resends_that_lie_in_one_batch_are_answered_once() -> None:
    """What queued up while the server was away: one reply, hits included."""
    loop = Loop()
    loop.store.put(KEY, b"beat")
    peer = loop.connect()
    assert peer.ask(PULSE + GET * 11 + PULSE) == ACK + HIT + ACK
    assert peer.ask(GET[:9]) + peer.ask(GET[9:] + GET) == HIT


def test_older_reads_of_an_id_in_one_batch_are_not_answered() -> None:
    """Only the last one is answered: an older reply would be mistaken for its own."""
    loop = Loop()
    loop.store.put(KEY, b"beat")
    loop.store.put("/w/t/2", b"x")
    peer = loop.connect()
    sent = peer.ask(PULSE + GET * 2 + GET_OTHER * 2 + PULSE)
    assert sent == ACK + wire.pulse_reply("/w/t/2", b"x", 7) + ACK
    assert not peer.server.is_blocked


def test_replies_that_are_taken_back_need_no_room() -> None:
    """Repeated reads of a large heartbeat are all read, and get one reply."""
    loop = Loop()
    large = bytes(MAX_OUTGOING_BYTES // 3)
    loop.store.put(KEY, large)
    peer = loop.connect()
    assert peer.ask(GET * 8) == wire.pulse_reply(KEY, large, 7)
    assert peer.server.wait is Wait.REQUEST


def test_batch_ends_where_replies_are_handed_over() -> None:
    """Replies that were handed over to be sent are not removed any more."""
    loop = Loop()
    large = bytes(MAX_OUTGOING_BYTES)
    loop.store.put(KEY, large)
    loop.store.put("/w/t/2", b"x")
    peer = loop.connect()
    assert peer.ask(GET + GET_OTHER) == wire.pulse_reply(KEY, large, 7)
    peer.server.resume()
    assert peer.taken() == wire.pulse_reply("/w/t/2", b"x", 7)


def test_resend_that_lies_unread_is_not_answered_twice() -> None:
    """A read may be released while its repetition waits unread."""
    loop = Loop()
    loop.store.put("/large", bytes(MAX_OUTGOING_BYTES))
    peer = loop.connect()
    peer.ask(GET)
    peer.server.receive_data(path_request(Type.GET_PULSE, "/large", 1) + GET)
    assert peer.server.is_blocked
    loop.store.put(KEY, b"beat")
    loop.drain()
    assert HIT not in peer.taken()
    peer.server.resume()
    assert peer.taken() == HIT


def test_equal_reads_are_each_answered_where_nothing_is_held() -> None:
    """If nothing is held, a peer may use one id for several reads."""
    loop = Loop(is_on=False)
    loop.store.put(KEY, b"beat")
    assert loop.connect().ask(GET * 3) == HIT * 3


# --- the end of a connection ------------------------------------------------


def test_held_read_dies_with_its_connection() -> None:
    """Nothing is sent on an ended connection, and nothing is left of its reads."""
    loop = Loop()
    peer, other = loop.connect(), loop.connect()
    peer.ask(GET)
    other.ask(GET)
    peer.server.close()
    loop.store.put(KEY, b"beat")
    loop.drain()
    assert (peer.taken(), peer.releases) == (b"", 0)
    assert other.taken() == HIT
    assert loop.is_clear


def test_peer_that_breaks_the_protocol_gets_no_held_reply() -> None:
    """A CLOSED connection answers no held reads."""
    loop = Loop()
    peer = loop.connect()
    peer.ask(GET)
    loop.store.put(KEY, b"beat")
    loop.turn()
    peer.ask(wire.framed(b"\0"))
    loop.drain()
    assert peer.server.phase is Phase.CLOSED
    assert peer.taken() == b""
    assert loop.is_clear


def test_snapshot_has_the_held_reads() -> None:
    """The next process holds them again, and answers each once."""
    loop, later = Loop(), Loop()
    first, second = loop.connect(), later.connect()
    first.ask(GET + path_request(Type.GET_PULSE, "/x", 8) + GET[:9])
    state = first.server.snapshot()
    assert state is not None
    second.server.restore(state)
    second.server.resume()
    assert second.ask(GET[9:]) == b""
    assert set(later.store.awaited) == {KEY, "/x"}
    later.store.put(KEY, b"beat")
    later.drain()
    assert second.taken() == HIT
    later.miss_holder.end()
    later.drain()
    assert second.taken() == wire.pulse_reply("/x", None, 8)


def test_snapshot_goes_to_a_process_that_holds_nothing() -> None:
    """If the deadline has passed meanwhile, they are answered as misses at once."""
    loop, later = Loop(), Loop(is_on=False)
    first, second = loop.connect(), later.connect()
    first.ask(GET)
    state = first.server.snapshot()
    assert state is not None
    second.server.restore(state)
    second.server.resume()
    assert second.taken() == MISS


def test_released_reads_wait_for_room() -> None:
    """A peer that does not receive its replies does not get all of them at once."""
    loop = Loop()
    peer = loop.connect()
    for number in range(100):
        peer.ask(path_request(Type.GET_PULSE, KEY, number))
    loop.store.put(KEY, bytes(10_000))
    loop.drain()
    replies = b""
    while peer.server.is_blocked:
        sent = peer.taken()
        assert len(sent) < MAX_OUTGOING_BYTES + 11_000
        replies += sent
        peer.server.resume()
    replies += peer.taken()
    assert len(replies) == 100 * len(wire.pulse_reply(KEY, bytes(10_000), 1))
    assert loop.is_clear


def test_nothing_is_sent_amid_what_was_read_at_once() -> None:
    """Unread frames may repeat the same reads, so replies wait until all are read."""
    loop = Loop()
    loop.store.put(KEY, b"beat")
    peer = loop.connect()
    ids = range(2_000)
    peer.server.receive_data(
        b"".join(path_request(Type.GET_PULSE, KEY, n) for n in ids)
    )
    assert peer.server.has_more
    assert peer.taken() == b""
    while peer.server.has_more:
        peer.server.resume()
    assert peer.taken() == b"".join(wire.pulse_reply(KEY, b"beat", n) for n in ids)


def test_reads_show_their_state() -> None:
    """The repr has how many are held and released."""
    loop = Loop()
    loop.connect().ask(GET)
    (reads,) = loop.miss_holder.reads
    assert repr(reads) == "<HeldReads held=1 released=0>"
