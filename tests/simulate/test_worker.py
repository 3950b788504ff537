"""A worker's half of its connection, without I/O."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacemaker.errors import OutOfPlaceError, PeerError
from pacemaker.simulate.tally import Tally
from pacemaker.simulate.worker import (
    RelayedWorker,
    RelayProtocol,
    WorkerProtocol,
)
from pacemaker.wire import fast_codec, messages
from pacemaker.wire.messages import Message, Pulse

KEY = "/workerbeats/words-1-1700000000/7a4e-6700"
BEATS = [b"first", b"", b"third" * 1000]


class ThreeBeats:
    """Three beats, in turn; each ends with its scheduled time."""

    def at(self, number: int, scheduled_s: float) -> bytes:
        """Return the one with this number."""
        return BEATS[number % 3] + str(scheduled_s).encode()


def worker(tally: Tally | None = None) -> WorkerProtocol:
    """Return a worker of three beats."""
    return WorkerProtocol(KEY, ThreeBeats(), tally or Tally())


def answer(message_id: int) -> bytes:
    """Return what a server answers a pulse."""
    return fast_codec.encode_pulse_ack(message_id)


def test_pulses_are_storms_frames() -> None:
    """Each is byte by byte what the encoder writes; beats and ids go round."""
    sender = worker()
    for number in range(205):
        details = ThreeBeats().at(number, number * 3.0)
        message = Message(messages.SEND_PULSE, Pulse(KEY, details), number % 100)
        assert sender.pulse(number * 3.0) == messages.encode(message)


def test_latency_counts_from_when_it_was_due() -> None:
    """Not from when it was sent: a server that stood still shows."""
    tally = Tally()
    sender = worker(tally)
    sender.pulse(10.0)
    assert (sender.oldest_unanswered_s, sender.unanswered) == (10.0, 1)
    assert sender.receive_data(answer(0), 15.5) == b""
    assert tally.pulses.recent.max_s == 5.5
    assert (tally.scheduled, tally.unanswered, sender.unanswered) == (1, 0, 0)


@given(st.lists(st.integers(1, 30), max_size=20))
def test_answers_come_in_any_pieces(sizes: list[int]) -> None:
    """Four answers, cut anywhere, are four answers."""
    tally = Tally()
    sender = worker(tally)
    for number in range(4):
        sender.pulse(float(number))
    stream = b"".join(map(answer, range(4)))
    for size in sizes:
        piece, stream = stream[:size], stream[size:]
        if piece:
            sender.receive_data(piece, 4.0)
    if stream:
        sender.receive_data(stream, 4.0)
    assert (tally.pulses.count, sender.unanswered) == (4, 0)
    assert tally.pulses.recent.max_s == 4.0


@pytest.mark.parametrize(
    "data",
    [
        answer(1),
        messages.encode(Message(messages.NOT_AUTHORIZED, None, 0)),
        messages.encode(Message(messages.DELETE_PATH_RESPONSE, None, 0)),
        b"\x00\x00\x00\x01\x00",
        b"\x7f\x00\x00\x00",
    ],
)
def test_other_answers_break_the_protocol(data: bytes) -> None:
    """Another id, another type, or no message at all."""
    sender = worker()
    sender.pulse(0.0)
    with pytest.raises(PeerError):
        sender.receive_data(data, 0.0)


def test_answer_to_nothing_breaks_the_protocol() -> None:
    """A server that answers twice is wrong."""
    with pytest.raises(OutOfPlaceError, match="answer to no pulse"):
        worker().receive_data(answer(0), 0.0)


def test_new_connection_begins_with_what_is_unanswered() -> None:
    """All of it, in order, and half an answer of the old connection is forgotten."""
    tally = Tally()
    sender = worker(tally)
    frames = [sender.pulse(float(number)) for number in range(3)]
    sender.receive_data(answer(0) + answer(1)[:7], 3.0)
    assert sender.bytes_on_connect(4.0) == frames[1] + frames[2]
    sender.receive_data(answer(1) + answer(2), 9.0)
    assert (tally.scheduled, tally.pulses.count) == (3, 3)
    assert tally.pulses.recent.max_s == 8.0


def relayed(tally: Tally) -> tuple[RelayProtocol, list[RelayedWorker]]:
    """Return a relay and its two workers."""
    relay = RelayProtocol(tally)
    workers = [RelayedWorker(f"{KEY}{n}", ThreeBeats(), relay) for n in range(2)]
    return relay, workers


def test_workers_of_a_relay_share_its_connection_and_its_ids() -> None:
    """Each pulse has the next id, whoever's it is."""
    relay, workers = relayed(Tally())
    assert [worker.peer for worker in workers] == [relay, relay]
    for message_id in range(205):
        number = message_id % 2
        details = ThreeBeats().at(message_id // 2, 0.0)
        pulse = Pulse(f"{KEY}{number}", details)
        message = Message(messages.SEND_PULSE, pulse, message_id)
        assert workers[number].pulse(0.0) == messages.encode(message)


def test_answers_to_a_relay_come_in_order_and_in_any_pieces() -> None:
    """Each is that of the oldest pulse; latencies count from when it was due."""
    tally = Tally()
    relay, workers = relayed(tally)
    for number in range(4):
        workers[number % 2].pulse(float(number))
    data = b"".join(map(answer, range(4)))
    for cut in (data[:30], data[30:31], data[31:]):
        assert relay.receive_data(cut, 10.0) == b""
    assert (tally.scheduled, tally.unanswered) == (4, 0)
    assert tally.pulses.recent.max_s == 10.0


def test_relay_sends_what_is_unanswered_again_after_a_loss() -> None:
    """With the same ids."""
    relay, workers = relayed(Tally())
    frames = [worker.pulse(0.0) for worker in workers]
    relay.receive_data(answer(0)[:5], 1.0)
    assert relay.bytes_on_connect(2.0) == b"".join(frames)
    relay.receive_data(answer(0), 3.0)
    assert relay.bytes_on_connect(4.0) == frames[1]


@pytest.mark.parametrize("frame", [answer(1), answer(0) * 2])
def test_relay_refuses_an_answer_to_no_pulse(frame: bytes) -> None:
    """Another id than the oldest pulse's means that both are out of step."""
    relay, workers = relayed(Tally())
    workers[0].pulse(0.0)
    with pytest.raises(OutOfPlaceError):
        relay.receive_data(frame, 1.0)
    assert "unanswered" in repr(relay)
