"""The load's own loop, with a scripted server."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

import pytest

from pacemaker.client.protocol import ClientProtocol
from pacemaker.client.tcp import TcpNetwork
from pacemaker.errors import CannotConnectError
from pacemaker.simulate.connections import PeerConnections
from pacemaker.simulate.load import Load
from pacemaker.simulate.nimbus import NimbusProtocol
from pacemaker.simulate.schedule import Schedule
from pacemaker.simulate.tally import Tally
from pacemaker.simulate.worker import WorkerProtocol
from tests.client.fake_server import FakeServer, silent
from tests.simulate.same_beat import SameBeat

pytestmark = pytest.mark.io

WORKERS = 3
FAR_S = 3600.0


class Rig:
    """A load of three workers."""

    def __init__(self, server: FakeServer) -> None:
        network = TcpNetwork()
        endpoint = network.resolve(server.address)[0]
        rng = random.Random(1)  # noqa: S311  (no secret)
        self.tally = Tally()
        self.connections = PeerConnections(network, endpoint, self.tally, rng)
        keys = [f"/workerbeats/t-1-1/{number}" for number in range(WORKERS)]
        self.nimbus = NimbusProtocol(
            lambda: ClientProtocol(2**20),
            ["t-1-1"],
            keys,
            [[b"beat"]] * WORKERS,
            self.tally,
        )
        beats = SameBeat(b"beat")
        workers = [WorkerProtocol(key, beats, self.tally) for key in keys]
        self.load = Load("pm1", self.connections, workers, self.nimbus, self.tally)
        self._rng = rng

    def schedule(self, interval_s: float, begin_s: float) -> Schedule:
        """Return a schedule of the workers."""
        return Schedule(WORKERS, interval_s, self._rng, begin_s)

    def run(self, schedule: Schedule, end_s: float) -> None:
        """Send until a moment, undisturbed."""
        self.load.run(
            schedule,
            end_s,
            on_tick=lambda now_s: None,
            tick_s=FAR_S,
            is_stopped=lambda: False,
        )


@pytest.fixture
def rigs() -> Iterator[Callable[[FakeServer], Rig]]:
    """Return a function that makes a rig, which is closed at the end."""
    made: list[Rig] = []

    def make(server: FakeServer) -> Rig:
        made.append(Rig(server))
        return made[-1]

    yield make
    for rig in made:
        rig.connections.close()


def test_what_was_due_before_the_end_is_sent_after_it(
    rigs: Callable[[FakeServer], Rig],
) -> None:
    """A generator that comes late sends all of it, and says how late it was."""
    with FakeServer() as server:
        rig = rigs(server)
        rig.load.connect()
        begin_s = time.monotonic() - 2.0
        rig.run(rig.schedule(0.5, begin_s), begin_s + 1.5)
        rig.load.drain(time.monotonic() + FAR_S, lambda: False)
    assert (rig.tally.scheduled, rig.tally.unanswered) == (3 * WORKERS, 0)
    assert (rig.tally.behind, rig.tally.losses) == (3 * WORKERS, {})
    assert rig.tally.lag.max_s > 1


def test_stop_is_heard_between_turns(rigs: Callable[[FakeServer], Rig]) -> None:
    """However long the next pulse is off; nothing is due, and nothing sent."""
    answers = iter([False, False, True])
    with FakeServer() as server:
        rig = rigs(server)
        rig.load.connect()
        now_s = time.monotonic()
        rig.load.run(
            rig.schedule(FAR_S, now_s + FAR_S),
            now_s + FAR_S,
            on_tick=lambda now_s: None,
            tick_s=FAR_S,
            is_stopped=lambda: next(answers),
        )
    assert rig.tally.scheduled == 0


@pytest.mark.parametrize(("patience_s", "is_stopped"), [(0.0, False), (FAR_S, True)])
def test_last_answers_are_not_waited_for_for_ever(
    rigs: Callable[[FakeServer], Rig], patience_s: float, is_stopped: bool
) -> None:
    """Until the time is over, or somebody wants the end."""
    with FakeServer(*[silent] * (1 + WORKERS)) as server:
        rig = rigs(server)
        rig.load.connect()
        begin_s = time.monotonic() - 1.0
        rig.run(rig.schedule(0.5, begin_s), begin_s + 0.5)
        rig.load.drain(time.monotonic() + patience_s, lambda: is_stopped)
    assert rig.tally.unanswered == WORKERS


def test_connection_that_ends_at_once_is_an_error(
    rigs: Callable[[FakeServer], Rig],
) -> None:
    """Before the load begins, a loss is the end of it."""
    with FakeServer() as server:
        rig = rigs(server)
    with pytest.raises(CannotConnectError, match="pm1: Connection refused"):
        rig.load.connect()
