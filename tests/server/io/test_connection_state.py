"""The state of a connection, and how another process continues from it."""

from __future__ import annotations

import os
import select
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacemaker.core.figures import Figures
from pacemaker.core.protocol.dispatch import Dispatcher
from pacemaker.core.protocol.phases import Phase
from pacemaker.core.store.store import Store
from pacemaker.sasl.mechanism import MechanismFactory
from pacemaker.server.io import limits
from pacemaker.server.upgrade.state_format import decode
from pacemaker.server.upgrade_state import ConnectionState, PeerAddress
from tests.core.protocol.collecting import Collecting
from tests.fake_mechanisms import like_digest, like_kerberos
from tests.server.io.hand import Hand
from tests.server.upgrade.test_state_format import SMALL, written
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type, control, token

pytestmark = pytest.mark.io

KEY = "/w/t/1"
PULSE = wire.send_pulse(KEY, b"beat", 5)
ACK = wire.ack(Type.SEND_PULSE_RESPONSE, 5)
READ = wire.path_request(Type.GET_PULSE, KEY, 6)
HIT = wire.pulse_reply(KEY, b"beat", 6)
LARGE = bytes(8 * 2**20)
GIVE_UP_S = 20.0


def through_the_format(state: ConnectionState) -> ConnectionState:
    """Write a connection's state and read it back."""
    return decode(written(SMALL._replace(connections=[state]))).connections[0]


# --- the protocol's part, cut at any byte -----------------------------------

STREAMS: dict[str, tuple[MechanismFactory | None, bytes]] = {
    "NONE": (None, b""),
    "DIGEST": (like_digest, control(-202) + token(b"response")),
    "KERBEROS": (like_kerberos, token(b"AP-REQ") + token(b"wrapped")),
    "DIGEST, not begun": (like_digest, b""),
    "KERBEROS, not begun": (like_kerberos, b""),
}
requests = st.lists(
    st.sampled_from(
        [
            *(PULSE, READ, wire.send_pulse("/w/t/2", b"x" * 500, 1)),
            wire.path_request(Type.EXISTS, KEY, 2),
            wire.path_request(Type.GET_ALL_NODES_FOR_PATH, "/w/t", 3),
            wire.path_request(Type.DELETE_PATH, "/w", 4),
            *(wire.path_request(Type.CREATE_PATH, "/w"), wire.framed(b"garbage")),
        ]
    ),
    min_size=1,
    max_size=6,
).map(b"".join)


def new_protocol(make: MechanismFactory | None, store: Store) -> Collecting:
    """Make the protocol object of a new connection."""
    mechanism = None if make is None else make()
    return Collecting(
        Dispatcher(store, Figures(), 10**6), 10**6, mechanism, "10.0.0.1:5"
    )


def serve(server: Collecting, data: bytes) -> bytes:
    """Pass data in, run steps, and send everything."""
    if data:
        server.receive_data(data)
    return server.settle()


@settings(max_examples=400)
@given(st.sampled_from(sorted(STREAMS)), requests, st.data())
def test_stream_cut_at_any_byte_gives_the_same(
    name: str, behind: bytes, data: st.DataObject
) -> None:
    """A connection handed over after any byte gives the same replies."""
    make, exchange = STREAMS[name]
    stream = exchange + behind
    whole = serve(new_protocol(make, Store()), stream)
    cut = data.draw(st.integers(0, len(stream)), "cut")
    store = Store()
    first = new_protocol(make, store)
    sent = serve(first, stream[:cut])
    # Some of what was sent has not gone out.
    gone = data.draw(st.integers(0, len(sent)), "gone")
    snapshot = first.snapshot(sent[gone:])
    if snapshot is None:
        amid_sasl = first.phase is Phase.SASL_BEGUN
        assert amid_sasl or first.phase is Phase.CLOSED
        assert not amid_sasl or cut < len(exchange)
        return
    state = ConnectionState(4, PeerAddress("10.0.0.1", 5), True, 0.0, 0.0, snapshot)
    second = new_protocol(make, store)
    second.restore(through_the_format(state).snapshot)
    second.resume()
    assert sent[:gone] + serve(second, stream[cut:]) == whole
    assert (second.authenticated, second.user) == (first.authenticated, first.user) or (
        cut < len(exchange)
    )


# --- the connection's part --------------------------------------------------


def hand_over(old: Hand, new: Hand) -> None:
    """Move all connections of one I/O thread to another, as an upgrade does."""
    states = old.thread.carried_states()
    new.clock.now_s = old.clock.now_s
    for state in states:
        sock = socket.socket(fileno=os.dup(state.fd))
        sock.setblocking(False)
        new.thread.restore([(sock, through_the_format(state))])
    new.thread.turn()


def test_connection_is_established_after_an_upgrade() -> None:
    """It was there before all that an attacker opens from then on."""
    with Hand() as old, Hand() as new:
        old.connect(host="10.0.0.1")
        hand_over(old, new)
        (connection,) = new.thread.connections.values()
        assert connection.is_established
        assert (connection.newness, connection.cost_class) == (0, 0)


def test_partial_frame_keeps_its_deadline() -> None:
    """A frame keeps its deadline, and does not get a new minute."""
    with Hand() as old, Hand() as new:
        peer, connection = old.connect()
        peer.send(PULSE[:-1])
        old.turn_until(lambda: connection in old.thread.watched)
        old.after(limits.FRAME_TIMEOUT_S - 5)
        hand_over(old, new)
        new.after(4)
        assert new.thread.connections
        new.after(4)
        assert peer.ended() == "eof" or not new.thread.connections


def test_unsent_replies_keep_their_deadline() -> None:
    """A peer that reads nothing gets no additional time."""
    with Hand() as old:
        old.store.put(KEY, LARGE)
        peer, connection = old.connect()
        peer.send(READ)
        old.turn_until(lambda: connection.unsent_bytes > 0)
        began_s = old.clock.now_s
        old.clock.now_s += limits.SEND_TIMEOUT_S - 5
        state = connection.carried_state()
        assert state is not None
        assert through_the_format(state).progress_s == began_s


@pytest.mark.parametrize("is_taken", [True, False])
def test_replies_go_on_where_they_were(is_taken: bool) -> None:
    """The rest of a reply is sent, then requests already read, then new ones."""
    reply = wire.pulse_reply(KEY, LARGE, 6)
    with Hand() as old, Hand() as new, ThreadPoolExecutor(1) as pool:
        old.store.put(KEY, LARGE)
        new.store.put(KEY, LARGE)
        peer, connection = old.connect()
        peer.send(READ * 3)
        old.turn_until(lambda: connection.unsent_bytes > 0)
        head = peer.exactly(1000) if is_taken else b""
        hand_over(old, new)
        rest = pool.submit(peer.exactly, 3 * len(reply) - len(head))
        (heir,) = new.thread.connections.values()
        new.turn_until(lambda: heir.interest == select.EPOLLIN)
        assert head + rest.result(GIVE_UP_S) == reply * 3
        assert new.ask(peer, PULSE) == ACK


@pytest.mark.parametrize("cut", [1, 4, len(PULSE) - 1])
def test_request_in_part_is_completed(cut: int) -> None:
    """The bytes that were read are carried over."""
    with Hand() as old, Hand() as new:
        peer, connection = old.connect()
        peer.send(PULSE[:cut])
        old.turn_until(lambda: connection in old.thread.watched)
        hand_over(old, new)
        assert new.ask(peer, PULSE[cut:]) == ACK


def test_frame_that_is_there_in_large_part_is_not_carried_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A partial frame above the limit is not carried over: its connection is reset."""
    monkeypatch.setattr(limits, "MAX_CARRIED_UNREAD_BYTES", 1024 * 1024)
    frame = wire.send_pulse(KEY, bytes(2 * limits.MAX_CARRIED_UNREAD_BYTES), 5)
    with Hand() as old:
        peer, connection = old.connect()
        for size in (
            limits.MAX_CARRIED_UNREAD_BYTES,
            limits.MAX_CARRIED_UNREAD_BYTES + 1,
        ):
            start = connection.protocol.frames.unread_bytes
            peer.send(frame[start:size])
            old.turn_until(lambda: connection.protocol.frames.unread_bytes == size)  # noqa: B023
            is_carried = size == limits.MAX_CARRIED_UNREAD_BYTES
            assert (connection.carried_state() is not None) == is_carried


def test_connection_that_ends_is_not_carried_over() -> None:
    """A connection that lingers, was refused or is within SASL is reset."""
    with Hand(mechanism_factory=like_digest) as old:
        peer, refused = old.connect()
        peer.send(wire.framed(b"garbage"))
        old.turn_until(lambda: refused.protocol.phase is Phase.CLOSED)
        peer, amid = old.connect()
        old.ask(peer, control(-202))
        assert (refused.carried_state(), amid.carried_state()) == (None, None)
        assert old.thread.carried_states() == []
        assert len(old.thread.connections) == 2


def test_greeting_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """A connection that was logged is not logged again; a silent one still will be."""
    caplog.set_level("INFO")
    with Hand() as old, Hand() as new:
        peer, _ = old.connect("10.0.0.1:5")
        silent, _ = old.connect("10.0.0.2:5")
        old.ask(peer, PULSE)
        hand_over(old, new)
        # The other one is not to be ended to make room: it has spoken.
        assert new.thread.expendable_count == 1
        new.ask(peer, PULSE)
        new.ask(silent, PULSE)
    assert caplog.text.count("10.0.0.1:5: connected") == 1
    assert caplog.text.count("10.0.0.2:5: connected") == 1


def test_peer_that_began_like_a_health_check_is_logged_after_an_upgrade(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It gets a fast path only with a request that is logged."""
    caplog.set_level("INFO")
    with Hand() as old, Hand() as new:
        peer, _ = old.connect("10.0.0.1:5")
        old.ask(peer, wire.path_request(Type.CREATE_PATH, "/", 1))
        hand_over(old, new)
        (connection,) = new.thread.connections.values()
        assert connection.protocol.fast_path is None
        for _ in range(3):
            new.ask(peer, READ)
        assert connection.protocol.fast_path is not None
    assert caplog.text.count("10.0.0.1:5: connected\n") == 1
