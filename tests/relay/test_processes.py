"""A relay as a process between real clients and real Pacemakers."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.relay.processes import RelayProcess, Upstream
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type, Wire

pytestmark = pytest.mark.io

KEY = "/workerbeats/words-1-1700000000/7a4e-6700"


@pytest.fixture(scope="module")
def pacemakers() -> Iterator[list[Upstream]]:
    """Start two Pacemakers."""
    with Upstream() as first, Upstream() as second:
        yield [first, second]


@pytest.fixture
def relay(pacemakers: list[Upstream]) -> Iterator[RelayProcess]:
    """Start a relay to both."""
    with RelayProcess([pacemaker.name for pacemaker in pacemakers]) as started:
        for _ in pacemakers:
            started.logged(r"\(pulses\): connected", 20)
        yield started


def get(key: str, message_id: int = 7) -> bytes:
    """Return the frame of a GET_PULSE."""
    return wire.path_request(Type.GET_PULSE, key, message_id)


def reads(server: tuple[str, int], key: str, value: bytes) -> bool:
    """Read a key until it has a value; only a value that never comes fails."""
    with Wire(server) as peer:
        return any(
            peer.ask(get(key)) == wire.pulse_reply(key, value, 7) for _ in range(5000)
        )


def test_relay_outlives_the_death_of_a_pacemaker(
    relay: RelayProcess, pacemakers: list[Upstream]
) -> None:
    """A worker and Nimbus notice nothing; the dead one is complete when it is back."""
    first, second = pacemakers
    with Wire(relay.address) as worker, Wire(relay.address) as nimbus:
        ack = wire.ack(Type.SEND_PULSE_RESPONSE, 1)
        assert worker.ask(wire.send_pulse(KEY, b"1", 1)) == ack
        assert nimbus.ask(get(KEY)) == wire.pulse_reply(KEY, b"1", 7)
        assert reads(first.address, KEY, b"1")
        assert reads(second.address, KEY, b"1")
        first.kill()
        assert worker.ask(wire.send_pulse(KEY, b"2", 1)) == ack
        assert reads(second.address, KEY, b"2")
        assert nimbus.ask(get(KEY)) == wire.pulse_reply(KEY, b"2", 7)
        first.start()
        assert reads(first.address, KEY, b"2")
        second.kill()
        second.start()
        assert reads(second.address, KEY, b"2")


def test_relay_answers_every_request(relay: RelayProcess) -> None:
    """Each gets the reply that a Pacemaker gives, also without a message id."""
    key = "/workerbeats/other-1-1700000000/9b1c-6700"
    with Wire(relay.address) as peer:
        path = "/workerbeats/other-1-1700000000"
        peer.ask(wire.send_pulse(key, b"x", 1))
        assert peer.ask(get(key, -1)) == wire.pulse_reply(key, b"x")
        ask = wire.path_request
        assert peer.ask(ask(Type.EXISTS, key, 2)) == wire.exists_reply(True, 2)
        listed = peer.ask(ask(Type.GET_ALL_NODES_FOR_PATH, path, 3))
        assert wire.nodes_of(listed)[1] == {b"9b1c-6700"}
        kind = Type.GET_ALL_PULSE_FOR_PATH
        reply = wire.ack(Type.GET_ALL_PULSE_FOR_PATH_RESPONSE, 4)
        assert peer.ask(ask(kind, path, 4)) == reply
        reply = wire.ack(Type.CREATE_PATH_RESPONSE, 5)
        assert peer.ask(ask(Type.CREATE_PATH, path, 5)) == reply
        reply = wire.ack(Type.DELETE_PATH_RESPONSE, 6)
        assert peer.ask(ask(Type.DELETE_PATH, path, 6)) == reply
        assert peer.ask(ask(Type.EXISTS, key, 7)) == wire.exists_reply(False, 7)
        reply = wire.ack(Type.DELETE_PULSE_ID_RESPONSE)
        assert peer.ask(ask(Type.DELETE_PULSE_ID, key)) == reply


def test_requests_without_an_id_are_answered_in_order(relay: RelayProcess) -> None:
    """Their sender could not tell the replies apart."""
    key = "/workerbeats/plain-1-1700000000/1"
    with Wire(relay.address) as peer:
        peer.send(
            wire.send_pulse(key, b"1")
            + wire.path_request(Type.EXISTS, key)
            + wire.path_request(Type.DELETE_PATH, key)
            + wire.path_request(Type.EXISTS, key)
            + wire.send_pulse(key, b"2")
        )
        replies = [peer.receive() for _ in range(5)]
    assert replies == [
        wire.ack(Type.SEND_PULSE_RESPONSE),
        wire.exists_reply(True),
        wire.ack(Type.DELETE_PATH_RESPONSE),
        wire.exists_reply(False),
        wire.ack(Type.SEND_PULSE_RESPONSE),
    ]


def test_relay_stops_on_sigterm(relay: RelayProcess) -> None:
    """Its peers are reset, as by `serve`, and it ends with 0."""
    with Wire(relay.address) as peer:
        peer.ask(wire.send_pulse(KEY, b"1", 1))
        relay.signal(signal.SIGTERM)
        assert peer.ended() == "reset"
        assert relay.wait() == 0
