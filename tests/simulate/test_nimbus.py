"""Nimbus's rounds, without I/O: a dict answers, and time is a number."""

from __future__ import annotations

import pytest

from pacemaker.client.protocol import ClientProtocol
from pacemaker.errors import OutOfPlaceError
from pacemaker.simulate.nimbus import NimbusProtocol
from pacemaker.simulate.tally import Tally
from pacemaker.wire import messages
from pacemaker.wire.messages import Message, Nodes, Pulse

TOPOLOGIES = ("sim-1-1", "sim-2-1")
KEYS = tuple(f"/workerbeats/{topology}/w-6700" for topology in TOPOLOGIES)


class Server:
    """Answers a Nimbus from a dict, as a Pacemaker does."""

    def __init__(self) -> None:
        self.topologies = [*TOPOLOGIES, "words-3-1"]
        self.stored: dict[str, bytes | None] = dict.fromkeys(KEYS, b"beat")
        self.asked: list[tuple[str, object]] = []

    def answer(self, frame: bytes) -> bytes:
        """Answer the one request in some bytes."""
        assert int.from_bytes(frame[:4], "big") == len(frame) - 4, (
            "one request at a time"
        )
        request = messages.decode(frame[4:])
        assert isinstance(request.data, str)
        self.asked.append((messages.name_of(request.type), request.data))
        if request.type == messages.GET_PULSE:
            pulse = Pulse(request.data, self.stored[request.data])
            reply = Message(messages.GET_PULSE_RESPONSE, pulse, request.message_id)
        else:
            kind = messages.GET_ALL_NODES_FOR_PATH_RESPONSE
            reply = Message(kind, Nodes(self.topologies), request.message_id)
        return messages.encode(reply)


@pytest.fixture
def tally() -> Tally:
    """Return an empty tally."""
    return Tally()


@pytest.fixture
def nimbus(tally: Tally) -> NimbusProtocol:
    """Return a Nimbus of two workers that is connected and has a round at 100 s."""
    made = NimbusProtocol(
        lambda: ClientProtocol(2**20),
        TOPOLOGIES,
        KEYS,
        [[b"beat"], [b"other", b"beat"]],
        tally,
    )
    assert made.bytes_on_connect(0.0) == b""
    made.start(100.0)
    return made


def finish(nimbus: NimbusProtocol, server: Server, due: bytes, now_s: float) -> float:
    """Answer until the Nimbus asks no more, each request after 0.25 s."""
    while due:
        now_s += 0.25
        due = nimbus.receive_data(server.answer(due), now_s)
    return now_s


def test_round_is_a_list_and_a_read_of_each_worker(
    nimbus: NimbusProtocol, tally: Tally
) -> None:
    """One after another; a latency is from the answer before; then it waits 10 s."""
    server = Server()
    assert finish(nimbus, server, nimbus.begin_round(), 100.5) == 101.25
    assert server.asked == [
        ("GET_ALL_NODES_FOR_PATH", "/workerbeats"),
        ("GET_PULSE", KEYS[0]),
        ("GET_PULSE", KEYS[1]),
    ]
    assert (tally.reads.count, tally.errors) == (3, 0)
    assert tally.reads.recent.max_s == 0.75  # the list, due at 100
    assert (tally.rounds.count, tally.rounds.max_s) == (1, 1.25)
    assert (nimbus.next_s, nimbus.began_s, nimbus.unanswered) == (110.0, None, 0)


def test_long_round_delays_the_next(nimbus: NimbusProtocol) -> None:
    """A round that took longer than 10 s is followed by the next at once."""
    end_s = finish(nimbus, Server(), nimbus.begin_round(), 150.0)
    assert nimbus.next_s == end_s


def test_what_is_not_what_was_stored_is_wrong(
    nimbus: NimbusProtocol, tally: Tally
) -> None:
    """A topology that is not listed, a heartbeat that is missing, one of others."""
    server = Server()
    server.topologies = ["sim-1-1"]
    server.stored = {KEYS[0]: None, KEYS[1]: b"foreign"}
    finish(nimbus, server, nimbus.begin_round(), 100.0)
    assert tally.wrong == {
        "lists that lack topologies": 1,
        "missing heartbeats": 1,
        "heartbeats with other bytes": 1,
    }


def test_the_heartbeat_of_another_worker_is_wrong(
    nimbus: NimbusProtocol, tally: Tally
) -> None:
    """Each key has its own values: the first worker never sends the second's."""
    server = Server()
    server.stored = {KEYS[0]: b"other", KEYS[1]: b"other"}
    finish(nimbus, server, nimbus.begin_round(), 100.0)
    assert tally.wrong == {"heartbeats with other bytes": 1}


def test_refused_read_is_wrong(nimbus: NimbusProtocol, tally: Tally) -> None:
    """A server that wants authentication does not let the Nimbus read."""
    nimbus.begin_round()
    refusal = messages.encode(Message(messages.NOT_AUTHORIZED, None, 0))
    assert nimbus.receive_data(refusal, 100.1) != b""
    assert tally.wrong == {"unauthorized reads": 1}


def test_new_connection_asks_again(nimbus: NimbusProtocol, tally: Tally) -> None:
    """The request that was under way, and its latency counts from before."""
    server = Server()
    due = nimbus.receive_data(server.answer(nimbus.begin_round()), 100.5)
    assert (nimbus.unanswered, nimbus.oldest_unanswered_s) == (1, 100.5)
    server.answer(due)  # and the answer is lost
    finish(nimbus, server, nimbus.bytes_on_connect(104.0), 104.0)
    assert server.asked[1:] == [("GET_PULSE", KEYS[0])] * 2 + [("GET_PULSE", KEYS[1])]
    assert tally.reads.recent.max_s == 3.75
    assert tally.rounds.count == 1


def test_round_that_is_due_while_nobody_is_connected_waits(tally: Tally) -> None:
    """It begins when it was due, and is sent by the connection that comes."""
    nimbus = NimbusProtocol(
        lambda: ClientProtocol(2**20), TOPOLOGIES, KEYS, [[b"beat"]] * 2, tally
    )
    nimbus.start(5.0)
    nimbus.begin_round()
    finish(nimbus, Server(), nimbus.bytes_on_connect(6.0), 6.0)
    assert (tally.rounds.count, tally.rounds.max_s) == (1, 1.75)


def test_stop_ends_the_round(nimbus: NimbusProtocol, tally: Tally) -> None:
    """The answer that is due is taken, nothing more is asked, no round counts."""
    due = nimbus.begin_round()
    nimbus.stop()
    assert nimbus.receive_data(Server().answer(due), 100.5) == b""
    assert (nimbus.next_s, nimbus.unanswered) == (None, 0)
    assert (tally.reads.count, tally.rounds.count) == (1, 0)


def test_wrong_message_breaks_the_protocol(nimbus: NimbusProtocol) -> None:
    """An answer that nobody asked for ends the connection."""
    with pytest.raises(OutOfPlaceError):
        nimbus.receive_data(
            messages.encode(Message(messages.SEND_PULSE_RESPONSE, None, 7)), 100.0
        )
