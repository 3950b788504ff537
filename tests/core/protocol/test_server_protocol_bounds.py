"""How much one call of the protocol does, and how much it may have to send."""

from __future__ import annotations

import logging

import pytest

from pacemaker.core.accounts.account import KEYS_AND_LISTS_PER_CHARGE, Account
from pacemaker.core.protocol.contract import Wait
from pacemaker.core.protocol.outgoing import MAX_OUTGOING_BYTES
from pacemaker.core.protocol.server_protocol import SLICE_COST
from pacemaker.core.store.store import Store
from pacemaker.errors import (
    LimitError,
)
from pacemaker.wire import fast_codec, messages
from tests.core.protocol.collecting import Collecting
from tests.core.protocol.conversations import (
    DIGEST_EXCHANGE,
    HIT,
    LIST,
    PULSE,
    PULSE_ACK,
    READ,
    MakeMechanism,
    new_protocol,
    sent_by,
    serve,
    settle,
)
from tests.fake_mechanisms import (
    like_digest,
)
from tests.wire import by_hand as wire
from tests.wire.by_hand import (
    Type,
    path_request,
    send_pulse,
)

# --- slices ----------------------------------------------------------------


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
        counts.append(server.frames.frames_received)
    assert counts == [SLICE_COST, SLICE_COST // 4]


def test_connection_waits_for_credit_once_it_has_cost_a_lot_itself() -> None:
    """After each 32 new keys or lists, the owner has to settle the account."""
    store, account = Store(), Account("10.0.0.1")
    server = new_protocol(store=store, account=account)
    waits = []
    for number in range(2 * KEYS_AND_LISTS_PER_CHARGE):
        key = send_pulse(f"/w/{number}", b"x", 1)
        waits.append(server.receive_data(key if number % 2 else LIST)[1])
    often = KEYS_AND_LISTS_PER_CHARGE - 1
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


def test_list_of_a_large_directory_is_written_in_slices() -> None:
    """Each call writes a slice, and later requests are answered after the list."""
    server, reply = new_lister()
    server.receive_data(LIST + PULSE)
    silent_calls = 0
    while not (sent := sent_by(server)):
        assert server.wait is Wait.TURN
        server.resume()
        assert server.slice_cost == 1, "Nimbus's next read must not be served late"
        silent_calls += 1
    assert silent_calls > 3
    assert sent + settle(server) == reply + PULSE_ACK


def test_list_in_the_making_is_counted_as_held() -> None:
    """The written part of a list counts in the budget before it is sent."""
    server, _ = new_lister()
    server.receive_data(LIST)
    server.resume()
    assert server.buffered_bytes > 3_000
    assert server.frames.unread_bytes == 0
    server.fail(LimitError("as asked for"))
    assert server.buffered_bytes == 0


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


# --- bounded output --------------------------------------------------------


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
    store, large = Store(), bytes(fast_codec.LARGE_VALUE_BYTES)
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
