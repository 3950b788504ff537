"""Tests of pacemaker.core.protocol.miss_holder, to the bytes of connections."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pacemaker.core.accounts.account import Account
from pacemaker.core.protocol import held_read_budget
from pacemaker.core.protocol.held_reads import HeldRead, HeldReads
from pacemaker.core.protocol.miss_holder import RELEASED_PER_TURN, MissHolder
from pacemaker.core.store.store import Store
from pacemaker.core.store.trie import MAX_SEGMENTS
from pacemaker.errors import LimitError
from pacemaker.wire import messages
from pacemaker.wire.frames import FrameReader
from pacemaker.wire.messages import Message, Pulse
from tests.core.protocol.collecting import Collecting
from tests.core.protocol.held_read_loop import (
    ACK,
    GET,
    HIT,
    KEY,
    LIMIT,
    MISS,
    PULSE,
    Loop,
    Peer,
    SeenStore,
)
from tests.fake_mechanisms import like_digest
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type, path_request, send_pulse


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
    loop.miss_holder.end()
    loop.drain()
    assert peer.taken() == MISS
    assert loop.figures.reads == 1
    assert loop.is_clear


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


def test_path_that_can_never_be_stored_is_a_miss() -> None:
    """A key with too many segments cannot be stored, so its read is not held."""
    path = "/" * MAX_SEGMENTS
    peer = Loop().connect()
    request = path_request(Type.GET_PULSE, path, 7)
    assert peer.ask(request) == wire.pulse_reply(path, None, 7)


def takes_fast_path(server: Collecting, data: bytes) -> bool:
    """Send a request; return whether the fast path answered it."""
    before = server.frames.frames_received
    server.receive_data(data)
    assert server.sent()
    return server.frames.frames_received == before


def test_nothing_is_held_before_the_beginning_or_after_the_end() -> None:
    """After the end, connections from before it answer misses at once too."""
    loop = Loop(is_on=False)
    assert loop.connect().ask(GET) == MISS
    loop = Loop()
    peer = loop.connect()
    loop.miss_holder.end()
    assert peer.ask(GET * 2) == MISS * 2
    for server in (peer.server, loop.connect().server):
        assert not takes_fast_path(server, GET) or server is peer.server
        assert takes_fast_path(server, GET), "still costs something"


def test_peer_that_may_not_read_is_no_slower_after_the_end() -> None:
    """A worker that never authenticates takes the fast path again."""
    loop = Loop()
    server = Collecting(
        loop.dispatcher, LIMIT, like_digest(), "p", loop.miss_holder.new_reads()
    )
    for _ in range(3):
        assert not takes_fast_path(server, PULSE)
    loop.miss_holder.end()
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


def test_ten_thousand_reads_are_held() -> None:
    """Ten thousand reads of as many keys are all answered at the deadline."""
    loop = Loop()
    peer = loop.connect()
    key = "/workerbeats/words-1-1700000000/7a4e1f90-33c8-4c52-9f0e-{}-6700"
    for number in range(10_000):
        request = path_request(Type.GET_PULSE, key.format(number), number)
        assert peer.ask(request) == b""
    assert loop.miss_holder.held_read_bytes < held_read_budget.MAX_HELD_BYTES
    loop.miss_holder.end()
    answered = 0
    while loop.calls:
        loop.turn()
        answered += peer.taken().count(b"/workerbeats/")
    assert answered == 10_000
    assert loop.is_clear


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
    loop.miss_holder.end()
    answered, turns = 0, 0
    while loop.calls:
        loop.turn()
        turns += 1
        now = sum(peer.taken() == MISS for peer in peers)
        assert now <= RELEASED_PER_TURN
        answered += now
    assert answered == len(peers)


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
    loops[0].miss_holder.end()
    store.put(KEY, b"beat")
    loops[1].miss_holder.end()
    for loop, peer in zip(loops, peers, strict=True):
        loop.drain()
        assert peer.taken() == HIT
        assert loop.is_clear


def test_holder_and_its_connections_show_what_they_hold() -> None:
    """Their reprs say how much is held, for the log of a bug."""
    holder = MissHolder(Store())
    holder.begin(deque[Callable[[], None]]().append)
    reads = HeldReads(holder)
    assert reads.answer_later(Message(messages.GET_PULSE, KEY, 7))
    held_bytes = holder.held_read_bytes
    assert repr(holder) == f"<MissHolder on=True held_read_bytes={held_bytes}>"
    assert repr(reads) == "<HeldReads held=1 released=0>"


def test_nothing_can_be_woken_before_the_thread_is_there() -> None:
    """A read that was released without a thread would never be answered."""
    with pytest.raises(AssertionError, match="before `begin`"):
        MissHolder(Store()).call_soon(lambda: None)


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
    frames, held = FrameReader(LIMIT, reads.request_frames), dict[int, str]()
    while (frame := frames.next()) is not None:
        data, start, end = frame
        _, key, message_id = messages.decode(data[start:end])
        assert isinstance(key, str)
        assert message_id is not None
        held[message_id] = key
    return held


class HeldReadsMachine(RuleBasedStateMachine):
    """Reads, pulses, repetitions, ends and the deadline, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = Loop()
        self.accounts = [Account("10.0.0.1"), Account("10.0.0.2")]
        self.peers = [self.connect(number) for number in range(3)]
        # Those of each connection.
        self.reads = list(self.loop.miss_holder.reads)
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
                self.reads[number] = self.loop.miss_holder.reads[-1]
            self.peers[number].server.restore(state)
            self.peers[number].server.resume()
            self.take(number)

    @rule()
    def deadline(self) -> None:
        """The deadline passes: soon all reads are answered."""
        self.loop.miss_holder.end()
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
                is_excused = self.is_over or self.loop.miss_holder.refused
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
        miss_holder = self.loop.miss_holder
        given_up_bytes = 0
        by_account = dict.fromkeys(self.accounts, 0)
        for reads in self.reads:
            waiting = {read.message_id: read for read in reads.awaiting_key()}
            for message_id, key in held_by(reads).items():
                size_bytes = HeldRead(reads, key, message_id).size_bytes
                if message_id in waiting:
                    by_account[reads.account] += size_bytes
                else:
                    given_up_bytes += size_bytes
        waiting_bytes = sum(by_account.values())
        assert miss_holder.held_read_bytes == given_up_bytes + waiting_bytes
        for account, held_bytes in by_account.items():
            assert account.pending_bytes == held_bytes
        assert waiting_bytes <= held_read_budget.MAX_HELD_BYTES
        assert given_up_bytes <= held_read_budget._MAX_GIVEN_UP_BYTES


class CrowdedMachine(HeldReadsMachine):
    """The same with room for four reads, so some are refused or given up."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(held_read_budget, "MAX_HELD_BYTES", 4 * 804)
        self.patch.setattr(held_read_budget, "_GIVEN_UP_AT_ONCE_BYTES", 2 * 804)
        self.patch.setattr(held_read_budget, "_MAX_GIVEN_UP_BYTES", 3 * 804)

    def teardown(self) -> None:
        """Restore the limits."""
        self.patch.undo()


TestCrowdedMachine = pytest.mark.slow(CrowdedMachine.TestCase)
TestCrowdedMachine.settings = settings(max_examples=200, stateful_step_count=30)
TestHeldReadsMachine = pytest.mark.slow(HeldReadsMachine.TestCase)
TestHeldReadsMachine.settings = settings(max_examples=200, stateful_step_count=30)
