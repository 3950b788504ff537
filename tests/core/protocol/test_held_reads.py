"""Held misses, from the store to the bytes of a connection; without a socket."""

from __future__ import annotations

import tracemalloc
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pacemaker.core.accounts.account import UNKNOWN_PEER, Account
from pacemaker.core.figures import Figures
from pacemaker.core.protocol import held_reads as module
from pacemaker.core.protocol.dispatch import Dispatcher
from pacemaker.core.protocol.held_reads import (
    MAX_HELD_BYTES,
    RELEASED_PER_TURN,
    HeldRead,
    HeldReads,
    Holding,
)
from pacemaker.core.protocol.phases import Phase
from pacemaker.core.protocol.server_protocol import MAX_OUTGOING_BYTES, Wait
from pacemaker.core.store.store import KeyCallback, Store
from pacemaker.core.store.trie import MAX_SEGMENTS
from pacemaker.errors import LimitError
from pacemaker.wire import messages
from pacemaker.wire.frames import FrameReader
from pacemaker.wire.messages import Message, Pulse
from tests.core.protocol.collecting import Collecting
from tests.fake_mechanisms import like_digest
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type, path_request, send_pulse

LIMIT = 10_485_760
KEY = "/w/t/1"
GET = path_request(Type.GET_PULSE, KEY, 7)
GET_OTHER = path_request(Type.GET_PULSE, "/w/t/2", 7)
HIT = wire.pulse_reply(KEY, b"beat", 7)
MISS = wire.pulse_reply(KEY, None, 7)
PULSE = send_pulse(KEY, b"beat", 5)
ACK = wire.ack(Type.SEND_PULSE_RESPONSE, 5)


class SeenStore(Store):
    """A store that records which keys are awaited, and by how many callbacks."""

    def __init__(self, budget_bytes: int | None = None) -> None:
        super().__init__(budget_bytes)
        self.awaited: dict[str, list[KeyCallback]] = {}

    def put(self, key: str, *args: Any, **kwargs: Any) -> None:
        """Store a key: it is no longer awaited."""
        before = self.awaited.pop(key, None)
        try:
            super().put(key, *args, **kwargs)
        except LimitError:
            if before is not None:
                self.awaited[key] = before
            raise

    def await_key(self, key: str, callback: KeyCallback) -> bool:
        """Await a key."""
        is_awaited = super().await_key(key, callback)
        if is_awaited:
            self.awaited.setdefault(key, [])
            if callback not in self.awaited[key]:
                self.awaited[key].append(callback)
        return is_awaited

    def stop_awaiting(self, key: str, callback: KeyCallback) -> None:
        """Stop awaiting a key."""
        super().stop_awaiting(key, callback)
        callbacks = self.awaited.get(key, [])
        if callback in callbacks:
            callbacks.remove(callback)
            if not callbacks:
                del self.awaited[key]

    def await_nothing(self) -> None:
        """Stop awaiting all keys."""
        super().await_nothing()
        self.awaited.clear()


class SeenHolding(Holding):
    """A holding that records the reads of its connections."""

    def __init__(self, store: Store, most_of_one_bytes: int | None = None) -> None:
        super().__init__(store, most_of_one_bytes)
        self.reads: list[HeldReads] = []

    def new_reads(self, account: Account = UNKNOWN_PEER) -> HeldReads | None:
        """Record the reads of each connection."""
        reads = super().new_reads(account)
        if reads is not None:
            self.reads.append(reads)
        return reads


class Loop:
    """The I/O thread of some connections: a queue of calls that the test runs."""

    def __init__(self, store: SeenStore | None = None, *, is_on: bool = True) -> None:
        self.store = SeenStore() if store is None else store
        self.figures = Figures()
        self.holding = SeenHolding(self.store)
        self.dispatcher = Dispatcher(self.store, self.figures, LIMIT)
        self.calls: deque[Callable[[], None]] = deque()
        if is_on:
            self.holding.begin(self.calls.append)

    def connect(self, account: Account = UNKNOWN_PEER) -> Peer:
        """Connect a peer without authentication."""
        return Peer(self, account)

    def turn(self) -> None:
        """Run the calls that are queued."""
        for _ in range(len(self.calls)):
            self.calls.popleft()()

    def drain(self) -> None:
        """Run calls until none is queued."""
        while self.calls:
            self.turn()

    @property
    def is_clear(self) -> bool:
        """Whether no held read has left anything behind."""
        return not (self.holding.held_bytes or self.store.awaited)


class Peer:
    """One connection; the test acts as its owner."""

    def __init__(self, loop: Loop, account: Account = UNKNOWN_PEER) -> None:
        self.server = Collecting(
            *(loop.dispatcher, LIMIT, None, "peer:1"),
            *(loop.holding.new_reads(account), account),
        )
        self.server.call_on_release(self._on_release)
        self.releases = 0

    def _on_release(self) -> None:
        self.releases += 1
        if self.server.wait in (Wait.REQUEST, Wait.MORE):
            self.server.resume()

    def ask(self, data: bytes) -> bytes:
        """Send bytes; return the immediate reply."""
        self.server.receive_data(data)
        return self.taken()

    def taken(self) -> bytes:
        """Return what was to be sent since the last call."""
        return self.server.sent()


# --- what is held -----------------------------------------------------------


def test_miss_is_held_until_its_key_comes() -> None:
    """A read of an absent key is answered when another peer stores it."""
    loop = Loop()
    nimbus, worker = loop.connect(), loop.connect()
    assert nimbus.ask(GET) == b""
    assert worker.ask(PULSE) == ACK
    assert nimbus.taken() == b"", "answered on the thread of the worker"
    loop.drain()
    assert nimbus.taken() == HIT
    assert loop.is_clear


def test_miss_is_answered_when_the_time_is_over() -> None:
    """A read whose key is not stored by then is a miss, and counts as a read."""
    loop = Loop()
    peer = loop.connect()
    peer.ask(GET)
    assert loop.figures.reads == 0
    loop.holding.end()
    loop.drain()
    assert peer.taken() == MISS
    assert loop.figures.reads == 1
    assert loop.is_clear


@pytest.mark.parametrize("message_id", [None, -1])
def test_read_without_an_id_is_not_held(message_id: int | None) -> None:
    """Its reply could not be identified, so it is answered in order."""
    peer = Loop().connect()
    request = path_request(Type.GET_PULSE, KEY, message_id)
    assert peer.ask(request * 2) == wire.pulse_reply(KEY, None) * 2


def test_everything_else_is_answered_at_once() -> None:
    """Hits, lists and exists are answered, although an earlier read is held."""
    loop = Loop()
    peer = loop.connect()
    loop.store.put("/a", b"x")
    stream = GET + path_request(Type.GET_PULSE, "/a", 1)
    stream += path_request(Type.EXISTS, KEY, 2)
    stream += path_request(Type.DELETE_PATH, KEY, 3)
    sent = wire.pulse_reply("/a", b"x", 1) + wire.exists_reply(False, 2)
    assert peer.ask(stream) == sent + wire.ack(Type.DELETE_PATH_RESPONSE, 3)
    listed = peer.ask(path_request(Type.GET_ALL_NODES_FOR_PATH, "", 4))
    assert wire.nodes_of(listed)[1] == {b"a"}


def test_read_that_is_not_authorized_is_refused_at_once() -> None:
    """A peer that has not authenticated gets a refusal, and nothing is held."""
    loop = Loop()
    server = Collecting(
        loop.dispatcher, LIMIT, like_digest(), "p", loop.holding.new_reads()
    )
    server.receive_data(GET * 2)
    refusal = wire.ack(Type.NOT_AUTHORIZED, 7)
    assert server.sent() == refusal * 2
    assert loop.is_clear


def test_path_that_can_never_be_stored_is_a_miss() -> None:
    """A key with too many segments cannot be stored, so its read is not held."""
    path = "/" * MAX_SEGMENTS
    peer = Loop().connect()
    request = path_request(Type.GET_PULSE, path, 7)
    assert peer.ask(request) == wire.pulse_reply(path, None, 7)


def takes_fast_path(server: Collecting, data: bytes) -> bool:
    """Send a request; return whether the fast path answered it."""
    before = server.frames.frames_rcvd
    server.receive_data(data)
    assert server.sent()
    return server.frames.frames_rcvd == before


def test_nothing_is_held_before_the_beginning_or_after_the_end() -> None:
    """After the end, connections from before it answer misses at once too."""
    loop = Loop(is_on=False)
    assert loop.connect().ask(GET) == MISS
    loop = Loop()
    peer = loop.connect()
    loop.holding.end()
    assert peer.ask(GET * 2) == MISS * 2
    for server in (peer.server, loop.connect().server):
        assert not takes_fast_path(server, GET) or server is peer.server
        assert takes_fast_path(server, GET), "still costs something"


def test_peer_that_may_not_read_is_no_slower_after_the_end() -> None:
    """A worker that never authenticates takes the fast path again."""
    loop = Loop()
    server = Collecting(
        loop.dispatcher, LIMIT, like_digest(), "p", loop.holding.new_reads()
    )
    for _ in range(3):
        assert not takes_fast_path(server, PULSE)
    loop.holding.end()
    for _ in range(2):
        assert not takes_fast_path(server, PULSE)
    assert takes_fast_path(server, PULSE)


def test_key_that_is_deleted_at_once_is_waited_for_again() -> None:
    """If the key is gone when the I/O thread looks it up, the read stays held."""
    loop = Loop()
    peer = loop.connect()
    peer.ask(GET)
    loop.store.put(KEY, b"beat")
    loop.store.delete(KEY)
    loop.drain()
    assert peer.taken() == b""
    loop.store.put(KEY, b"beat")
    loop.drain()
    assert peer.taken() == HIT


def test_refused_pulse_wakes_nobody() -> None:
    """A new key that does not fit the budget is still absent."""
    loop = Loop(SeenStore(budget_bytes=0))
    peer = loop.connect()
    peer.ask(GET)
    with pytest.raises(LimitError):
        loop.store.put(KEY, b"beat")
    assert not loop.calls
    assert not loop.is_clear


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
    loop.holding.end()
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


def test_last_read_of_a_key_takes_its_place_along() -> None:
    """The key of the last dropped read is no longer awaited."""
    loop = Loop()
    peers = [loop.connect() for _ in range(2)]
    for peer in peers:
        peer.ask(GET)
    peers[0].server.close()
    assert list(loop.store.awaited) == [KEY]
    peers[1].server.close()
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
    later.holding.end()
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


# --- bounds -----------------------------------------------------------------


def test_ten_thousand_reads_are_held() -> None:
    """Ten thousand reads of as many keys are all answered at the deadline."""
    loop = Loop()
    peer = loop.connect()
    key = "/workerbeats/words-1-1700000000/7a4e1f90-33c8-4c52-9f0e-{}-6700"
    for number in range(10_000):
        request = path_request(Type.GET_PULSE, key.format(number), number)
        assert peer.ask(request) == b""
    assert loop.holding.held_bytes < module.MAX_HELD_BYTES
    loop.holding.end()
    answered = 0
    while loop.calls:
        loop.turn()
        answered += peer.taken().count(b"/workerbeats/")
    assert answered == 10_000
    assert loop.is_clear


def test_read_that_finds_no_room_is_a_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit a read is a miss; later there is room again."""
    monkeypatch.setattr(module, "MAX_HELD_BYTES", 1000)
    loop = Loop()
    peer = loop.connect()
    assert peer.ask(GET) == b""
    other = path_request(Type.GET_PULSE, KEY, 8)
    assert peer.ask(other) == wire.pulse_reply(KEY, None, 8)
    loop.store.put(KEY, b"beat")
    loop.drain()
    assert peer.taken() == HIT
    loop.store.delete(KEY)
    assert peer.ask(other) == b""


@pytest.mark.parametrize("path", [KEY * 10, "\U0001f600" + "x" * 1000])
def test_held_bytes_are_no_less_than_what_reads_take(path: str) -> None:
    """The count covers the memory used, even with one connection and key per read."""
    loop = Loop(is_on=False)
    # A plain store: what `SeenStore` remembers is not what reads take.
    loop.holding = SeenHolding(Store())
    loop.holding.begin(loop.calls.append)
    peers = [loop.connect() for _ in range(1000)]
    tracemalloc.start()
    try:
        for number, peer in enumerate(peers):
            peer.ask(path_request(Type.GET_PULSE, f"{path}{number}", 7))
        taken_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken_bytes <= loop.holding.held_bytes


def test_reads_that_are_dropped_leave_the_queue_of_those_to_release() -> None:
    """A peer cannot fill the queue by repeating reads that were released."""
    loop = Loop()
    peer = loop.connect()
    for _ in range(3):
        for number in range(2 * RELEASED_PER_TURN):
            peer.ask(path_request(Type.GET_PULSE, KEY, number))
        loop.store.put(KEY, b"beat")
        loop.turn()
        loop.store.delete(KEY)
    turns = 0
    while loop.calls:
        loop.turn()
        turns += 1
    assert turns <= 3, "the reads of one round, in two turns, and their connection"


def test_turn_releases_only_some() -> None:
    """Other connections are served between the replies to many held reads."""
    loop = Loop()
    peers = [loop.connect() for _ in range(3 * RELEASED_PER_TURN)]
    for peer in peers:
        peer.ask(GET)
    loop.holding.end()
    answered, turns = 0, 0
    while loop.calls:
        loop.turn()
        turns += 1
        now = sum(peer.taken() == MISS for peer in peers)
        assert now <= RELEASED_PER_TURN
        answered += now
    assert answered == len(peers)


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


def test_threads_hold_reads_of_one_key() -> None:
    """Every I/O thread that holds reads of a key is told when it is stored."""
    store = SeenStore()
    loops = [Loop(store), Loop(store)]
    peers = [loop.connect() for loop in loops]
    assert [peer.ask(GET) for peer in peers] == [b"", b""]
    store.put(KEY, b"beat")
    for loop, peer in zip(loops, peers, strict=True):
        loop.drain()
        assert peer.taken() == HIT


def test_read_is_answered_by_the_deadline_although_another_thread_was_first() -> None:
    """Each thread answers its reads, whichever thread ends its hold first."""
    store = SeenStore()
    loops = [Loop(store), Loop(store)]
    peers = [loop.connect() for loop in loops]
    for peer in peers:
        peer.ask(GET)
    loops[0].holding.end()
    store.put(KEY, b"beat")
    loops[1].holding.end()
    for loop, peer in zip(loops, peers, strict=True):
        loop.drain()
        assert peer.taken() == HIT
        assert loop.is_clear


# --- a crowd ----------------------------------------------------------------


def read_odd_keys(peer: Peer, count: int, name: str = "odd") -> bytes:
    """Read keys that nobody stores, each with its own id."""
    return b"".join(
        peer.ask(path_request(Type.GET_PULSE, f"/{name}/{number}", number))
        for number in range(count)
    )


@pytest.mark.parametrize("connections", [1, 60])
@pytest.mark.parametrize("is_same_address", [False, True])
def test_nimbus_is_held_whatever_others_read(
    connections: int, is_same_address: bool
) -> None:
    """Thousands of odd reads, even from Nimbus's address, leave room for Nimbus."""
    loop = Loop()
    attacker = Account("10.0.0.1")
    nimbus = loop.connect(attacker if is_same_address else Account("10.0.0.2"))
    assert nimbus.ask(path_request(Type.GET_PULSE, "/early", 1)) == b""
    peers = [loop.connect(attacker) for _ in range(connections)]
    for number, peer in enumerate(peers):
        read_odd_keys(peer, 24_000 // connections, f"odd-{number}")
    assert nimbus.ask(path_request(Type.GET_PULSE, KEY, 7)) == b""
    for number, peer in enumerate(peers):
        read_odd_keys(peer, 2_000 // connections, f"more-{number}")
    loop.turn()
    assert nimbus.taken() == b"", "neither of its reads has been given up"
    assert loop.holding.held_bytes <= MAX_HELD_BYTES + module._MAX_GIVEN_UP_BYTES
    assert loop.holding.refused > 0
    loop.store.put(KEY, b"beat")
    loop.drain()
    assert nimbus.taken() == HIT


def size_of_a_read() -> int:
    """Return the size that one held read of `KEY` counts with."""
    loop = Loop()
    loop.connect().ask(GET)
    return loop.holding.held_bytes


def test_full_room_is_made_by_the_largest() -> None:
    """The largest connection of the largest account gives up its oldest reads."""
    loop = Loop()
    few, many = Account("10.0.0.1"), Account("10.0.0.2")
    small, large = loop.connect(many), loop.connect(many)
    other = loop.connect(few)
    read_odd_keys(small, 2_000, "small")
    # As long as there is pressure by nobody, one account may hold it all.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pacemaker.core.accounts.account.PRESSURE", 1.0)
        read_odd_keys(large, 30_000, "large")
        held_bytes = loop.holding.held_bytes
        assert held_bytes > MAX_HELD_BYTES - 1_000
        assert other.ask(GET) == b""
    loop.turn()
    given_up = large.taken()
    assert wire.pulse_reply("/large/0", None, 0) in given_up
    assert wire.pulse_reply("/large/1000", None, 1000) not in given_up
    assert small.taken() == other.taken() == b""
    assert loop.holding.held_bytes < held_bytes


def test_read_is_told_of_its_key_though_the_same_was_given_up_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The key stays awaited if the last other read of it is given up for this one."""
    size_bytes = size_of_a_read()
    monkeypatch.setattr(module, "MAX_HELD_BYTES", 2 * size_bytes)
    monkeypatch.setattr(module, "_GIVEN_UP_AT_ONCE_BYTES", 2 * size_bytes)
    loop = Loop()
    large, small = loop.connect(Account("1")), loop.connect(Account("2"))
    for message_id in (1, 2):
        assert large.ask(path_request(Type.GET_PULSE, KEY, message_id)) == b""
    assert small.ask(GET) == b""
    assert small.ask(PULSE.replace(b"/w/t/1", b"/w/t/3")) == ACK
    loop.turn()
    assert large.taken() == wire.pulse_reply(KEY, None, 2) + wire.pulse_reply(
        KEY, None, 1
    )
    loop.store.put(KEY, b"beat")
    loop.drain()
    assert small.taken() == HIT
    assert loop.is_clear


def test_account_knows_what_it_holds() -> None:
    """The total is that of the account's reads, and 0 when all are answered."""
    loop, account = Loop(), Account("10.0.0.1")
    first, second = loop.connect(account), loop.connect(account)
    first.ask(GET)
    second.ask(GET_OTHER)
    assert account.held_read_bytes == loop.holding.held_bytes
    assert account.held_read_bytes == 2 * size_of_a_read()
    first.server.close()
    assert account.held_read_bytes == loop.holding.held_bytes
    assert account.held_read_bytes == size_of_a_read()
    loop.holding.end()
    loop.drain()
    assert account.held_read_bytes == 0


def test_accounts_that_hold_nothing_leave_the_room_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once their reads are answered, they do not count for the shares."""
    monkeypatch.setattr(module, "MAX_HELD_BYTES", 4 * size_of_a_read())
    loop = Loop()
    for number in range(3):
        peer = loop.connect(Account(f"10.0.0.{number}"))
        assert peer.ask(GET) == b""
        peer.server.close()
    alone = loop.connect(Account("10.0.0.9"))
    for message_id in range(4):
        assert alone.ask(path_request(Type.GET_PULSE, KEY, message_id)) == b""


# --- anything, in any order -------------------------------------------------

KEYS = ("/a", "/a/b", "/c")


class Frame(NamedTuple):
    """A request of the machine: a read or a pulse, with a key and an id."""

    is_read: bool
    key: str
    message_id: int

    @property
    def data(self) -> bytes:
        """The frame's bytes."""
        if self.is_read:
            return path_request(Type.GET_PULSE, self.key, self.message_id)
        return send_pulse(self.key, b"v", self.message_id)


frames = st.builds(
    Frame, st.booleans(), st.sampled_from(KEYS), st.integers(min_value=0, max_value=2)
)


def held_by(reads: HeldReads) -> dict[int, str]:
    """Return the keys of a connection's held reads, by id."""
    frames, held = FrameReader(LIMIT, reads.frames), dict[int, str]()
    while (frame := frames.next()) is not None:
        data, start, end = frame
        _, key, message_id = messages.decode(data[start:end])
        assert isinstance(key, str)
        assert message_id is not None
        held[message_id] = key
    return held


class HoldingMachine(RuleBasedStateMachine):
    """Reads, pulses, repetitions, ends and the deadline, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = Loop()
        self.accounts = [Account("10.0.0.1"), Account("10.0.0.2")]
        self.peers = [self.connect(number) for number in range(3)]
        # Those of each connection.
        self.reads = list(self.loop.holding.reads)
        # For each open connection: the reads that are owed a reply, by id.
        self.owed: list[dict[int, str] | None] = [{} for _ in self.peers]
        self.deleted: set[str] = set()
        self.is_over = False

    def connect(self, number: int) -> Peer:
        """Connect a peer; the first two share an address."""
        return self.loop.connect(self.accounts[number // 2])

    @rule(number=st.integers(0, 2), batch=st.lists(frames, min_size=1, max_size=5))
    def send(self, number: int, batch: list[Frame]) -> None:
        """A peer sends some requests at once, some of them again."""
        owed = self.owed[number]
        if owed is None:
            return
        if self.is_over:
            batch = batch[:1]  # from then on each is answered, equal or not
        for frame in batch:
            if frame.is_read:
                owed[frame.message_id] = frame.key
            else:
                owed.pop(frame.message_id, None)
        self.peers[number].server.receive_data(b"".join(f.data for f in batch))
        self.take(number)

    @rule(key=st.sampled_from(KEYS))
    def delete(self, key: str) -> None:
        """A key is deleted."""
        self.loop.store.delete(key)
        self.deleted.add(key)

    @rule()
    def turn(self) -> None:
        """The I/O thread runs its queued calls."""
        self.loop.turn()
        for number in range(len(self.peers)):
            self.take(number)

    @rule(number=st.integers(0, 2), is_fault=st.booleans())
    def end(self, number: int, is_fault: bool) -> None:
        """A connection ends, with or without a mistake of the peer."""
        if is_fault:
            self.peers[number].server.receive_data(wire.framed(b"\0"))
        else:
            self.peers[number].server.close()
        self.owed[number] = None

    @rule(number=st.integers(0, 2))
    def hand_over(self, number: int) -> None:
        """A connection goes to another protocol object by its snapshot."""
        state = self.peers[number].server.snapshot()
        if state is not None and self.owed[number] is not None:
            self.peers[number].server.close()
            self.peers[number] = self.connect(number)
            if not self.is_over:
                self.reads[number] = self.loop.holding.reads[-1]
            self.peers[number].server.restore(state)
            self.peers[number].server.resume()
            self.take(number)

    @rule()
    def deadline(self) -> None:
        """The deadline passes: soon all reads are answered."""
        self.loop.holding.end()
        self.is_over = True
        while self.loop.calls:
            self.turn()
        assert not any(self.owed)
        assert self.loop.is_clear

    def take(self, number: int) -> None:
        """Take a connection's replies: each one answers an unanswered read."""
        sent, owed = self.peers[number].taken(), self.owed[number]
        at = 0
        while at < len(sent):
            behind = at + 4 + int.from_bytes(sent[at : at + 4], "big")
            reply = messages.decode(sent[at + 4 : behind])
            at = behind
            if reply.type != Type.GET_PULSE_RESPONSE:
                continue
            assert owed is not None, "after the end of the connection"
            assert isinstance(reply.data, Pulse)
            assert reply.message_id is not None
            assert owed.pop(reply.message_id, None) == reply.data.id
            if reply.data.details is None:
                is_excused = self.is_over or self.loop.holding.refused
                assert is_excused or reply.data.id in self.deleted

    @invariant()
    def owes_only_what_is_absent(self) -> None:
        """Exactly the unanswered reads of absent keys are held."""
        waiting = set()
        for reads, owed in zip(self.reads, self.owed, strict=True):
            held = held_by(reads)
            assert set(owed or ()) == held.keys()
            waiting |= set(held.values())
        assert self.loop.store.awaited.keys() <= waiting
        if not self.loop.calls:
            for key in waiting:
                assert self.loop.store.get(key) is None

    @invariant()
    def counts_what_is_held(self) -> None:
        """Totals of the thread, the accounts and the connections are exact."""
        holding = self.loop.holding
        given_up_bytes = 0
        by_account = dict.fromkeys(self.accounts, 0)
        for reads in self.reads:
            waiting = {read.message_id: read for read in reads.oldest()}
            for message_id, key in held_by(reads).items():
                size_bytes = HeldRead(reads, key, message_id).size_bytes
                if message_id in waiting:
                    by_account[reads.account] += size_bytes
                else:
                    given_up_bytes += size_bytes
        waiting_bytes = sum(by_account.values())
        assert holding.held_bytes == given_up_bytes + waiting_bytes
        for account, held_bytes in by_account.items():
            assert account.held_read_bytes == held_bytes
        assert waiting_bytes <= module.MAX_HELD_BYTES
        assert given_up_bytes <= module._MAX_GIVEN_UP_BYTES


class CrowdedMachine(HoldingMachine):
    """The same with room for four reads, so some are refused or given up."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(module, "MAX_HELD_BYTES", 4 * 804)
        self.patch.setattr(module, "_GIVEN_UP_AT_ONCE_BYTES", 2 * 804)
        self.patch.setattr(module, "_MAX_GIVEN_UP_BYTES", 3 * 804)

    def teardown(self) -> None:
        """Restore the limits."""
        self.patch.undo()


TestCrowdedMachine = pytest.mark.slow(CrowdedMachine.TestCase)
TestCrowdedMachine.settings = settings(max_examples=200, stateful_step_count=30)
TestHoldingMachine = pytest.mark.slow(HoldingMachine.TestCase)
TestHoldingMachine.settings = settings(max_examples=200, stateful_step_count=30)


def test_account_holds_no_more_than_the_number_that_it_is_given() -> None:
    """A configured limit applies at any time, an equal share only under pressure."""
    loop = Loop(is_on=False)
    loop.holding = SeenHolding(loop.store, most_of_one_bytes=1)
    loop.holding.begin(loop.calls.append)
    peer = loop.connect(Account("10.0.0.5"))
    assert peer.ask(GET) == MISS
    assert (loop.holding.refused, loop.holding.held_bytes) == (1, 0)


def test_holding_and_its_connections_show_what_they_hold() -> None:
    """Their reprs say how much is held, for the log of a bug."""
    holding = Holding(Store())
    holding.begin(deque[Callable[[], None]]().append)
    reads = HeldReads(holding)
    assert reads.hold(Message(messages.GET_PULSE, KEY, 7))
    held_bytes = holding.held_bytes
    assert repr(holding) == f"<Holding on=True held_bytes={held_bytes}>"
    assert repr(reads) == "<HeldReads held=1 released=0>"


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


def test_nothing_can_be_woken_before_the_thread_is_there() -> None:
    """A read that was released without a thread would never be answered."""
    with pytest.raises(AssertionError, match="before `begin`"):
        Holding(Store()).wake(lambda: None)


def test_read_is_not_held_if_nothing_more_can_be_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Reads that were given up stay in memory until answered, so they are limited."""
    monkeypatch.setattr(module, "MAX_HELD_BYTES", 4_000)
    monkeypatch.setattr(module, "_MAX_GIVEN_UP_BYTES", 0)
    loop = Loop()
    large, small = (loop.connect(Account(name)) for name in ("10.0.0.1", "10.0.0.2"))
    for number in range(4):
        assert large.ask(path_request(Type.GET_PULSE, KEY, number)) == b""
    assert small.ask(GET) == MISS
    monkeypatch.setattr(module, "_MAX_GIVEN_UP_BYTES", 4_000)
    assert small.ask(GET) == b""


def test_reads_show_their_state() -> None:
    """The repr has how many are held and released."""
    loop = Loop()
    loop.connect().ask(GET)
    (reads,) = loop.holding.reads
    assert repr(reads) == "<HeldReads held=1 released=0>"
