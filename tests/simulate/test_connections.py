"""The sockets of a run, with a scripted server."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

import pytest

from pacemaker.client.tcp import TcpNetwork
from pacemaker.simulate.connections import PeerConnection, PeerConnections
from pacemaker.simulate.tally import Tally
from pacemaker.simulate.worker import WorkerProtocol
from tests.client.daemons import descriptors
from tests.client.fake_server import TIMEOUT_S, FakeServer, Peer
from tests.simulate.same_beat import SameBeat

pytestmark = pytest.mark.io

LARGE = bytes(8 * 2**20)


class Rig:
    """Links to a fake server, with one worker on one of them."""

    def __init__(self, server: FakeServer, details: bytes = b"beat") -> None:
        network = TcpNetwork()
        endpoint = network.resolve(server.address)[0]
        self.tally = Tally()
        rng = random.Random(1)  # noqa: S311  (no secret)
        self.connections = PeerConnections(network, endpoint, self.tally, rng)
        self.worker = WorkerProtocol("/k", SameBeat(details), self.tally)
        self.connection = PeerConnection(self.worker)
        self.connections.open(self.connection)

    def turn_until(self, condition: Callable[[], object]) -> None:
        """Poll until something is so."""
        until_s = time.monotonic() + TIMEOUT_S
        while not condition():
            assert time.monotonic() < until_s, "it never came"
            self.connections.poll(until_s)

    def pulse(self) -> bool:
        """Send the next pulse, due now."""
        return self.connections.send(
            self.connection, self.worker.pulse(time.monotonic())
        )

    @property
    def answered(self) -> int:
        """How many pulses were answered."""
        return self.tally.pulses.count


@pytest.fixture
def rigs() -> Iterator[Callable[..., Rig]]:
    """Return a function that makes a rig, which is closed at the end."""
    made: list[Rig] = []

    def make(server: FakeServer, details: bytes = b"beat") -> Rig:
        made.append(Rig(server, details))
        return made[-1]

    yield make
    for rig in made:
        rig.connections.close()


def test_pulse_is_sent_and_answered(rigs: Callable[..., Rig]) -> None:
    """Bytes are counted both ways, and both ends are known."""
    with FakeServer() as server:
        rig = rigs(server)
        assert rig.connections.ends is None
        rig.turn_until(lambda: rig.connection.is_connected)
        assert rig.connections.connecting == 0
        assert rig.pulse()
        rig.turn_until(lambda: rig.answered)
        assert rig.tally.sent_bytes == 37 + len("/k") + len("beat") + 4
        assert rig.tally.rcvd_bytes == 19
        assert rig.connections.ends == ("127.0.0.1", "127.0.0.1")


def test_large_pulse_is_sent_in_pieces(rigs: Callable[..., Rig]) -> None:
    """What the kernel has no room for waits, and what follows waits behind it."""
    with FakeServer() as server:
        rig = rigs(server, LARGE)
        rig.turn_until(lambda: rig.connection.is_connected)
        assert not rig.pulse()
        assert rig.connection.unsent
        assert not rig.pulse()
        rig.turn_until(lambda: rig.answered == 2)
        assert not rig.connection.unsent
        assert rig.tally.sent_bytes > 2 * len(LARGE)


@pytest.mark.parametrize(
    ("end", "reason"),
    [(Peer.reset, "Connection reset by peer"), (Peer.close, "closed by the server")],
)
def test_lost_connection_comes_back_with_its_pulses(
    rigs: Callable[..., Rig], end: Callable[[Peer], None], reason: str
) -> None:
    """The loss is an error with its reason, and the pulse is sent again."""

    def take_and_end(peer: Peer) -> None:
        peer.expect()
        end(peer)

    with FakeServer(take_and_end) as server:
        rig = rigs(server)
        rig.turn_until(lambda: rig.connection.is_connected)
        rig.pulse()
        rig.turn_until(lambda: rig.answered)
        assert rig.tally.losses == {reason: 1}
        assert (rig.tally.scheduled, rig.tally.unanswered) == (1, 0)


def test_server_that_is_gone_is_tried_again(rigs: Callable[..., Rig]) -> None:
    """Until then pulses are due and not sent, and then all are."""
    server = FakeServer()
    rig = rigs(server)
    rig.turn_until(lambda: rig.connection.is_connected)
    port = server.address.port
    server.close()
    rig.turn_until(lambda: rig.tally.losses["Connection refused"] >= 2)
    assert not rig.pulse()
    assert not rig.pulse()
    with FakeServer(port=port):
        rig.turn_until(lambda: rig.answered == 2)


def test_wrong_answer_ends_the_connection(rigs: Callable[..., Rig]) -> None:
    """The error names what was wrong, and another connection is tried."""

    def say_nonsense(peer: Peer) -> None:
        peer.expect()
        peer.send(b"\xff\xff\xff\xff")

    with FakeServer(say_nonsense) as server:
        rig = rigs(server)
        rig.turn_until(lambda: rig.connection.is_connected)
        rig.pulse()
        rig.turn_until(lambda: rig.answered)
        assert rig.tally.losses == {
            "the server broke the protocol: frame length out of range": 1
        }


def test_poll_ends_at_its_moment(rigs: Callable[..., Rig]) -> None:
    """Where nothing comes it returns, not before."""
    with FakeServer() as server:
        rig = rigs(server)
        rig.turn_until(lambda: rig.connection.is_connected)
        until_s = time.monotonic() + 0.02
        rig.connections.poll(until_s)
        assert time.monotonic() >= until_s - 0.001


def test_close_frees_everything() -> None:
    """No descriptor is left, and a second close does nothing."""
    before = len(descriptors())
    with FakeServer() as server:
        rig = Rig(server)
        rig.turn_until(lambda: rig.connection.is_connected)
        rig.connections.close()
        rig.connections.close()
    assert len(descriptors()) == before
