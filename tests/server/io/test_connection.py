"""One connection over a real socket, on a loop that the test turns."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import socket
import struct
import termios
from collections.abc import Callable

import pytest

from pacemaker.core.protocol.contract import Output
from pacemaker.core.protocol.server_protocol import ServerProtocol
from pacemaker.server.io import limits
from pacemaker.server.io.connection import Connection
from pacemaker.server.io.endings import Ending
from pacemaker.server.io.sockets import set_reset_on_close
from pacemaker.wire.messages import Message
from tests.server.io.hand import Hand
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type

pytestmark = pytest.mark.io

MALFORMED = b"\0\0\0\1\0"
PULSE = wire.send_pulse("/w/t/1", b"beat", 5)
ACK = wire.ack(Type.SEND_PULSE_RESPONSE, 5)
GET = wire.path_request(Type.GET_PULSE, "/w/t/1", 7)


def test_peek_neither_waits_nor_takes_anything() -> None:
    """An upgrade may inherit a socket that blocks."""
    with Hand() as hand:
        peer, connection = hand.connect()
        connection._sock.setblocking(True)
        assert connection.peek(7) == b""
        peer.send(PULSE)
        assert connection.peek(7) == PULSE[:7]
        connection._sock.setblocking(False)
        hand.thread.turn()
        assert peer.receive() == ACK


def test_connection_answers_request() -> None:
    """A request that arrives whole is answered in the same turn."""
    with Hand() as hand:
        peer, _ = hand.connect()
        assert hand.ask(peer, PULSE) == ACK
        assert hand.ask(peer, GET) == wire.pulse_reply("/w/t/1", b"beat", 7)


def test_connection_answers_request_in_single_bytes() -> None:
    """A request that arrives byte by byte is answered after its last byte."""
    with Hand() as hand:
        peer, connection = hand.connect()
        for at in range(len(PULSE) - 1):
            peer.send(PULSE[at : at + 1])
            hand.thread.turn()
            assert connection.protocol.frames.unread_bytes == at + 1
        assert hand.ask(peer, PULSE[-1:]) == ACK
        assert connection not in hand.thread.watched
        assert hand.budget.total_bytes == 0


def test_connection_sends_due_replies_before_it_closes() -> None:
    """Replies from before a malformed frame arrive, even if more is in transit."""
    with Hand() as hand:
        peer, connection = hand.connect()
        peer.send(PULSE * 3 + MALFORMED)
        hand.thread.turn()
        # Unread bytes in the kernel would turn the close into a reset.
        peer.send(b"x" * 100_000)
        hand.turn_until_readable(peer)
        assert [peer.receive() for _ in range(3)] == [ACK] * 3
        assert peer.ended() == "eof"
        peer.close()
        hand.turn_until(lambda: connection.is_closed)


def test_connection_that_was_refused_is_not_read_for_ever() -> None:
    """A peer that keeps sending after its refusal is cut off."""
    with Hand() as hand:
        peer, connection = hand.connect()
        peer.send(MALFORMED)
        hand.turn_until_readable(peer)
        hand.after(limits.LINGER_S - 0.1)
        assert not connection.is_closed
        hand.after(limits.SWEEP_S)
        assert connection.is_closed


def test_connection_answers_before_end_of_stream() -> None:
    """A peer that closes its side after a request gets the reply, then a FIN."""
    with Hand() as hand:
        peer, connection = hand.connect()
        peer.send(PULSE * 2)
        peer.socket.shutdown(1)
        hand.turn_until(lambda: connection.is_closed)
        assert [peer.receive() for _ in range(2)] == [ACK] * 2
        assert peer.ended() == "eof"


def test_connection_sends_what_is_unsent_to_peer_that_has_ended_its_side() -> None:
    """Large replies are sent completely after the peer has closed its side."""
    with Hand() as hand:
        _fill(hand, b"x" * 9_000_000)
        peer, connection = hand.connect()
        peer.send(GET * 2)
        peer.socket.shutdown(socket.SHUT_WR)
        hand.turn_until(lambda: bool(connection.unsent_bytes))
        expected = wire.pulse_reply("/w/t/1", b"x" * 9_000_000, 7) * 2
        taken = bytearray()
        while len(taken) < len(expected):
            hand.turn_until_readable(peer)
            taken += peer.socket.recv(1 << 20)
        assert bytes(taken) == expected
        hand.turn_until(lambda: connection.is_closed)
        assert peer.ended() == "eof"


def test_connection_refuses_one_peer_alone() -> None:
    """A peer's mistake costs no other peer its connection or its heartbeat."""
    with Hand() as hand:
        good, _ = hand.connect()
        bad, _ = hand.connect()
        assert hand.ask(good, PULSE) == ACK
        bad.send(MALFORMED)
        hand.turn_until_readable(bad)
        assert hand.ask(good, GET) == wire.pulse_reply("/w/t/1", b"beat", 7)


def test_connection_logs_refusal_with_peer_and_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A refusal is one line that names the peer and the reason."""
    with Hand() as hand, caplog.at_level(logging.INFO):
        peer, _ = hand.connect("10.0.0.1:5")
        peer.send(MALFORMED)
        hand.turn_until_readable(peer)
    warnings = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert warnings == ["10.0.0.1:5: closed: message without a type"]


def test_connection_logs_refusal_of_peer_that_is_gone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The reason is logged even if the peer resets before its replies are sent."""
    with Hand() as hand:
        peer, connection = hand.connect("10.0.0.1:5")
        peer.send(PULSE + MALFORMED)
        set_reset_on_close(peer.socket, True)
        peer.close()
        hand.turn_until(lambda: connection.is_closed)
    assert "10.0.0.1:5: closed: message without a type" in caplog.text


def test_connection_without_a_byte_is_logged_at_debug_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A health check, which connects and goes, leaves no line at info."""
    with Hand() as hand, caplog.at_level(logging.DEBUG):
        peer, connection = hand.connect()
        peer.close()
        hand.turn_until(lambda: connection.is_closed)
    levels = {r.levelno for r in caplog.records if r.name.startswith("pacemaker")}
    assert levels == {logging.DEBUG}


def test_connection_that_our_code_fails_on_ends_alone(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug in the daemon ends one connection, with a traceback in the log."""
    with Hand() as hand:
        bad, broken = hand.connect("10.0.0.1:5")
        good, _ = hand.connect()

        receive_data = ServerProtocol.receive_data

        def fail_for_one(protocol: ServerProtocol, data: bytes) -> Output:
            if protocol is broken.protocol:
                raise RuntimeError("ours")
            return receive_data(protocol, data)

        monkeypatch.setattr(ServerProtocol, "receive_data", fail_for_one)
        bad.send(GET)
        hand.turn_until(lambda: broken.is_closed)
        assert bad.ended() == "reset"
        assert hand.ask(good, PULSE) == ACK
    assert any(r.exc_info and "10.0.0.1:5" in r.getMessage() for r in caplog.records)


def test_connection_that_is_silent_is_never_closed() -> None:
    """A standby Nimbus may say nothing for days."""
    with Hand() as hand:
        peer, _ = hand.connect()
        assert hand.ask(peer, PULSE) == ACK
        hand.after(7 * 86400)
        assert hand.ask(peer, PULSE) == ACK


def test_connection_times_out_unfinished_frame() -> None:
    """A frame has a minute plus 1 s per 100 KiB, even if bytes keep arriving."""
    with Hand() as hand:
        peer, connection = hand.connect()
        big = wire.send_pulse("/w/t/1", b"x" * 1024_000, 5)
        allowed_s = limits.FRAME_TIMEOUT_S + len(big) / limits.FRAME_BYTES_PER_S
        sent = 10
        peer.send(big[:sent])
        hand.thread.turn()
        while hand.clock.now_s < 1000 + allowed_s - limits.SWEEP_S:
            peer.send(big[sent : sent + 1])
            sent += 1
            hand.thread.turn()
            hand.after(1.0)
            assert not connection.is_closed
            assert connection.protocol.error is None
        hand.after(limits.SWEEP_S)
        hand.after(limits.SWEEP_S)
        assert str(connection.protocol.error) == "out of time: frame not complete"


def test_connection_has_fresh_time_for_each_frame() -> None:
    """A peer whose data always ends within a frame is not treated as slow."""
    with Hand() as hand:
        peer, connection = hand.connect()
        peer.send(PULSE[:3])
        hand.thread.turn()
        for _ in range(5):
            hand.after(limits.FRAME_TIMEOUT_S - 2)
            assert hand.ask(peer, PULSE[3:] + PULSE[:3]) == ACK
        assert not connection.is_closed


def test_connection_reads_a_large_frame_in_large_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A read asks for the rest of the frame, within a limit; later reads are small."""
    asked: list[int] = []
    read = os.read

    def note_and_read(fd: int, size: int) -> bytes:
        asked.append(size)
        return read(fd, size)

    big = wire.send_pulse("/w/t/1", b"x" * 2 * limits.LARGE_READ_BYTES, 5)
    with Hand() as hand:
        peer, connection = hand.connect()
        monkeypatch.setattr(os, "read", note_and_read)
        peer.send(big[:10])
        hand.thread.turn()
        peer.send(big[10:])
        hand.turn_until_readable(peer)
        peer.receive()
        assert hand.ask(peer, PULSE) == ACK
        assert not connection.is_closed
    assert asked[:2] == [limits.READ_BYTES, limits.LARGE_READ_BYTES]
    assert asked[-1] == limits.READ_BYTES


def test_connection_asks_for_what_has_arrived_once_buffers_hold_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So the reads of a large frame leave no holes in the heap."""
    large_reads: list[tuple[int, int]] = []
    read = os.read

    def note_and_read(fd: int, size: int) -> bytes:
        data = read(fd, size)
        if fd == connection.fd and size != limits.READ_BYTES:
            large_reads.append((size, len(data)))
        return data

    big = wire.send_pulse("/w/t/1", b"x" * 2 * limits.LARGE_READ_BYTES, 5)
    with Hand(budget_bytes=2 * limits.LARGE_READ_BYTES + 2**20) as hand:
        other, other_connection = hand.connect()
        other.send(big[: limits.LARGE_READ_BYTES])
        held = other_connection.protocol.frames
        hand.turn_until(lambda: held.unread_bytes == limits.LARGE_READ_BYTES)
        peer, connection = hand.connect()
        monkeypatch.setattr(os, "read", note_and_read)
        peer.send(big[:10])
        hand.thread.turn()
        half = len(big) // 2
        peer.send(big[10:half])
        hand.turn_until(lambda: connection.protocol.frames.unread_bytes == half)
        peer.close()
        hand.turn_until(lambda: connection.is_closed)
    assert len(large_reads) > 1
    # The last read finds the end of the stream, for which it has to ask for something.
    assert all(asked == got for asked, got in large_reads[:-1])
    assert large_reads[-1] == (1, 0)


def _fill(hand: Hand, details: bytes) -> None:
    hand.store.put("/w/t/1", details)


def test_connection_stops_reading_from_peer_that_does_not_read() -> None:
    """Unread replies stop further requests, so they do not fill the memory."""
    with Hand() as hand:
        _fill(hand, b"x" * 5_000_000)
        peer, connection = hand.connect()
        good, _ = hand.connect()
        peer.send(GET * 100)
        hand.turn_until(lambda: bool(connection.unsent_bytes))
        assert connection.unsent_bytes <= 5_000_100
        assert connection.protocol.frames.unread_bytes > len(GET) * 90
        assert hand.ask(good, PULSE) == ACK


def test_connection_gives_large_replies_in_order_to_slow_reader() -> None:
    """A peer that reads late gets each reply, whole and in order."""
    with Hand() as hand:
        _fill(hand, b"x" * 9_000_000)
        peer, connection = hand.connect()
        requests = [
            wire.path_request(Type.GET_PULSE, "/w/t/1", number) for number in range(5)
        ]
        peer.send(b"".join(requests))
        hand.turn_until(lambda: bool(connection.unsent_bytes))
        taken = bytearray()
        expected = b"".join(
            wire.pulse_reply("/w/t/1", b"x" * 9_000_000, number) for number in range(5)
        )
        while len(taken) < len(expected):
            hand.turn_until_readable(peer)
            taken += peer.socket.recv(1 << 20)
        assert bytes(taken) == expected
        assert not connection.unsent_bytes
        assert hand.budget.total_bytes == 0


def test_connection_does_not_time_a_frame_that_it_does_not_read() -> None:
    """The time of a frame that waits for replies starts when these are sent."""
    with Hand() as hand:
        _fill(hand, b"x" * 9_000_000)
        reply = wire.pulse_reply("/w/t/1", b"x" * 9_000_000, 7)
        peer, connection = hand.connect()
        peer.send(GET + PULSE[:10])
        hand.turn_until(lambda: bool(connection.unsent_bytes))
        # As slow as a peer may be: some of it before each minute is over.
        taken = 0
        while connection.unsent_bytes:
            hand.after(limits.SEND_TIMEOUT_S - 2)
            before = connection.unsent_bytes
            while connection.unsent_bytes == before:
                taken += len(peer.socket.recv(1 << 20))
                hand.after(0)
        hand.after(limits.SWEEP_S)
        assert connection.protocol.error is None
        assert peer.exactly(len(reply) - taken) == reply[taken:]
        assert hand.ask(peer, PULSE[10:]) == ACK


def test_connection_closes_peer_that_takes_nothing() -> None:
    """A peer that reads nothing is closed after a minute; any progress prevents it."""
    with Hand() as hand:
        _fill(hand, b"x" * 8_000_000)
        peer, connection = hand.connect()
        peer.send(GET * 2)
        hand.turn_until(lambda: bool(connection.unsent_bytes))
        hand.after(limits.SEND_TIMEOUT_S - 1)
        unsent_bytes = connection.unsent_bytes
        while connection.unsent_bytes == unsent_bytes:
            peer.socket.recv(1 << 20)
            hand.after(0)
        # What that made room for, the kernel may have sent behind the write.
        hand.after(limits.SWEEP_S)
        hand.after(limits.SEND_TIMEOUT_S - 1)
        assert not connection.is_closed
        hand.after(limits.SEND_TIMEOUT_S + 1)
        hand.after(limits.SEND_TIMEOUT_S + 1)
        assert connection.is_closed


def test_connection_keeps_peer_that_takes_little() -> None:
    """Acknowledged bytes are progress, even before the kernel accepts more."""
    with Hand() as hand:
        _fill(hand, b"x" * 9_000_000)
        peer, connection = hand.connect()
        with socket.socket(fileno=os.dup(connection.fd)) as same:
            size_bytes = limits.SEND_BUFFER_BYTES
            same.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size_bytes)
        peer.send(GET * 3)
        hand.turn_until(lambda: bool(connection.unsent_bytes))
        for _ in range(4):
            undelivered = _undelivered(connection)
            while _undelivered(connection) == undelivered:
                peer.socket.recv(10_000)
            hand.after(limits.SEND_TIMEOUT_S / 2)
            assert connection.protocol.error is None


def _undelivered(connection: Connection) -> bytes:
    return fcntl.ioctl(connection.fd, termios.TIOCOUTQ, bytes(4))


def test_oldest_frames_make_room_for_a_large_one() -> None:
    """Several connections are closed for one, whose request is answered."""
    with Hand(budget_bytes=300_000) as hand:
        unfinished = wire.send_pulse("/w/t/1", b"x" * 1_000_000, 5)[:70_000]
        attackers = [hand.connect() for _ in range(4)]
        for number, (peer, connection) in enumerate(attackers):
            peer.send(unfinished)
            hand.turn_until(lambda: connection.protocol.frames.unread_bytes == 70_000)  # noqa: B023
            hand.after(1.0 + number)
        honest, connection = hand.connect()
        frame = wire.send_pulse("/w/t/2", b"x" * 150_000, 6)
        honest.send(frame[:-1])
        hand.turn_until(
            lambda: connection.protocol.frames.unread_bytes == len(frame) - 1
        )
        ended = [other.protocol.error is not None for _, other in attackers]
        assert ended == [True, True, False, False]
        assert hand.ask(honest, frame[-1:]) == wire.ack(Type.SEND_PULSE_RESPONSE, 6)
        assert hand.budget.total_bytes == 140_000


def test_connection_that_holds_most_goes_when_the_budget_is_used_up() -> None:
    """Of unfinished frames of equal age, only the largest is closed."""
    with Hand(budget_bytes=300_000) as hand:
        frame = wire.send_pulse("/w/t/1", b"x" * 1_000_000, 5)
        small, small_connection = hand.connect()
        large, large_connection = hand.connect()
        small.send(frame[:100_000])
        hand.turn_until(
            lambda: small_connection.protocol.frames.unread_bytes == 100_000
        )
        large.send(frame[:250_000])
        hand.turn_until(lambda: large_connection.protocol.error is not None)
        assert "buffers are full" in str(large_connection.protocol.error)
        small.send(frame[100_000:200_000])
        hand.turn_until(
            lambda: small_connection.protocol.frames.unread_bytes == 200_000
        )
        assert hand.budget.total_bytes == 200_000


def test_connection_ends_with_reset_when_stopped() -> None:
    """Storm's clients reconnect at once after a reset, and 13 s after a FIN."""
    with Hand() as hand:
        peer, connection = hand.connect()
        assert hand.ask(peer, PULSE) == ACK
        connection.end(Ending.STOPPED)
        connection.end(Ending.STOPPED)
        assert peer.ended() == "reset"


def test_connection_that_is_reset_by_its_peer_is_forgotten() -> None:
    """A killed worker leaves nothing behind."""
    with Hand() as hand:
        peer, connection = hand.connect()
        peer.send(PULSE[:-1])
        hand.thread.turn()
        set_reset_on_close(peer.socket, True)
        peer.close()
        hand.turn_until(lambda: connection.is_closed)
        assert not hand.thread.connections
        assert connection not in hand.thread.watched
        assert hand.budget.total_bytes == 0
        assert hand.figures.connections == 0


class _Answers:
    """Requests that wait, with answers of a size that the test sets."""

    is_over = False
    request_frames = ack_frames = b""
    answers_bytes = 0

    def __init__(self) -> None:
        self.on_release: Callable[[], None] = lambda: None

    def begin_batch(self) -> None:
        """Do nothing."""

    def note_answered(self, message_id: int, chunks: range) -> None:
        """Do nothing."""

    def supersede(self, message: Message) -> range:
        """Supersede nothing."""
        return range(0)

    def answer_later(self, message: Message, authenticated: bool) -> bool:
        """Answer everything now."""
        return False

    def next_released(self) -> Message | None:
        """Return nothing: there is no room."""
        return None

    def drop_all(self) -> None:
        """Drop what waits."""
        self.answers_bytes = 0


def test_answers_that_wait_for_room_are_buffered_bytes() -> None:
    """In a relay, they come while the peer does not take what it was sent before."""
    with Hand(budget_bytes=20_000_000) as hand:
        _fill(hand, b"x" * 9_000_000)
        peer, connection = hand.connect()
        peer.send(GET)
        hand.turn_until(lambda: bool(connection.unsent_bytes))
        before_bytes = hand.budget.total_bytes
        waiting = _Answers()
        connection.protocol._pending_requests = waiting
        connection.protocol.call_on_release(connection._on_release)
        waiting.answers_bytes = 1_000_000
        waiting.on_release()
        assert hand.budget.total_bytes == before_bytes + 1_000_000
        waiting.answers_bytes = 20_000_000
        waiting.on_release()
        assert connection.is_closed


def test_health_check_leaves_no_line_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A peer that only sends CREATE_PATH is not logged; one that sends more is."""
    create = wire.path_request(Type.CREATE_PATH, "/", 1)
    created = wire.ack(Type.CREATE_PATH_RESPONSE, 1)
    with caplog.at_level(logging.INFO), Hand() as hand:
        check, connection = hand.connect()
        assert hand.ask(check, create) == created
        check.close()
        hand.turn_until(lambda: connection.is_closed)
        assert not caplog.messages
        peer, _ = hand.connect("10.0.0.1:5")
        assert hand.ask(peer, create) == created
        assert hand.ask(peer, PULSE) == ACK
        assert caplog.messages == ["10.0.0.1:5: connected"]


@pytest.mark.parametrize("behind", [GET, PULSE * 2, b"\0"])
def test_request_behind_that_of_a_health_check_is_logged(
    behind: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Otherwise the fast path would answer all that follows, and never log the peer."""
    create = wire.path_request(Type.CREATE_PATH, "/", 1)
    with caplog.at_level(logging.INFO), Hand() as hand:
        peer, _ = hand.connect("10.0.0.1:5")
        peer.send(create + behind)
        hand.turn_until_readable(peer)
        assert caplog.messages == ["10.0.0.1:5: connected"]


def test_unfinished_frame_is_no_health_check(caplog: pytest.LogCaptureFixture) -> None:
    """What looks like a CREATE_PATH may be the beginning of something longer."""
    create = wire.path_request(Type.CREATE_PATH, "/", 1)
    with caplog.at_level(logging.INFO), Hand() as hand:
        peer, _ = hand.connect("10.0.0.1:5")
        peer.send(struct.pack(">i", len(create)) + create[4:])
        hand.thread.turn()
        assert caplog.messages == ["10.0.0.1:5: connected"]


def test_pulse_that_cannot_be_stored_is_refused_on_the_fast_path_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The peer gets the earlier replies and a FIN, and the log has the reason."""
    with Hand() as hand, caplog.at_level(logging.WARNING):
        peer, connection = hand.connect("10.0.0.1:5")
        for _ in range(3):
            peer.send(PULSE)
            hand.thread.turn()
        assert connection.protocol.fast_path is not None
        hand.store.delete("/w/t/1")
        hand.store.budget_bytes = 0
        peer.send(PULSE)
        hand.thread.turn()
        assert [peer.receive() for _ in range(3)] == [ACK] * 3
        assert peer.ended() == "eof"
        peer.send(PULSE)
        peer.close()
        hand.turn_until(lambda: connection.is_closed)
        assert hand.store.get("/w/t/1") is None
        assert hand.figures.ended_refused == 1
    (line,) = caplog.messages
    assert line.startswith("10.0.0.1:5: closed: the store is full")


@pytest.mark.parametrize("usual", [PULSE, GET])
def test_end_of_stream_is_no_request_of_the_fast_path(usual: bytes) -> None:
    """A peer that the fast path serves may end its stream like any other."""
    with Hand() as hand:
        peer, connection = hand.connect()
        for _ in range(3):
            assert hand.ask(peer, usual)
        assert connection.protocol.fast_path is not None
        peer.socket.shutdown(socket.SHUT_WR)
        hand.turn_until(lambda: connection.is_closed)
        assert connection.ending is Ending.FINISHED
        assert peer.ended() == "eof"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (PULSE, 0),
        (PULSE * 30, 3),
        (PULSE[:-1], 3),
        (wire.framed(b"\xff" * 8), 2),
    ],
    ids=["one request", "several", "no whole one", "refused"],
)
def test_class_0_is_for_one_small_request_at_a_time(sent: bytes, expected: int) -> None:
    """The class depends on what a peer sends, because times depend on the load."""
    with Hand() as hand:
        peer, connection = hand.connect()
        for _ in range(6):
            with contextlib.suppress(OSError):
                peer.send(sent)
            connection.on_readable()
            connection.note_cost(0.0)
        assert connection.cost_class == expected
