"""Random histories over real processes: two relays and three Pacemakers.

The rules are those of the model (`tests/relay/core/test_histories.py`), as far as they
can be seen from outside: no read returns what was never written, none goes back in time
for long, and none returns what was deleted.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from pacemaker.heartbeats.codec import encode
from pacemaker.heartbeats.model import WorkerHeartbeat
from tests.relay.processes import RelayProcess, Upstream
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type, Wire

pytestmark = pytest.mark.io

HISTORIES = 10
STEPS = 25
RELAYS, SERVERS = 2, 3
BACK_IN_TIME_S = 10.0


class Processes:
    """The processes, which all histories of a run share."""

    def __init__(self, parts: ExitStack) -> None:
        self.servers = [parts.enter_context(Upstream()) for _ in range(SERVERS)]
        names = [server.name for server in self.servers]
        self.relays = [parts.enter_context(RelayProcess(names)) for _ in range(RELAYS)]


@pytest.fixture(scope="module")
def processes() -> Iterator[Processes]:
    """Start them."""
    with ExitStack() as parts:
        yield Processes(parts)


class History:
    """One history: what was written, and what has been read."""

    def __init__(self, processes: Processes, seed: int) -> None:
        self.rng = random.Random(seed)  # noqa: S311  (no secret)
        self.servers = processes.servers
        self.parts = ExitStack()
        addresses = [relay.address for relay in processes.relays]
        self.topology = f"/workerbeats/history-{seed}"
        # Each worker writes at the relay of its host; each relay has a reader.
        self.workers = {
            f"{self.topology}/{number}": self.parts.enter_context(
                Wire(addresses[number % RELAYS])
            )
            for number in range(4)
        }
        self.readers = [
            self.parts.enter_context(Wire(address)) for address in addresses
        ]
        self.time_secs = 1_700_000_000
        self.written: dict[str, dict[int, bytes]] = {key: {} for key in self.workers}
        self.alive: set[str] = set()
        self.seen: dict[tuple[int, str], int] = {}
        self.back_s: dict[tuple[int, str], float] = {}
        self.stopped: Upstream | None = None

    def step(self) -> None:
        """Do something."""
        actions = [self.pulse] * 8 + [self.read] * 6 + [self.delete]
        self.rng.choice([*actions, self.kill, self.stop, self.go_on])()

    def pulse(self) -> None:
        """A worker writes its heartbeat."""
        key = self.rng.choice(list(self.workers))
        self.time_secs += 1
        heartbeat = WorkerHeartbeat(self.topology, self.time_secs, 1, {})
        value = encode(heartbeat)
        reply = self.workers[key].ask(wire.send_pulse(key, value, 1))
        assert reply == wire.ack(Type.SEND_PULSE_RESPONSE, 1)
        self.written[key][self.time_secs] = value
        self.alive.add(key)

    def read(self) -> None:
        """Nimbus reads a heartbeat."""
        if self.alive:
            key = self.rng.choice(sorted(self.alive))
            self.read_at(self.rng.randrange(RELAYS), key)

    def read_at(self, relay: int, key: str) -> int:
        """Read a heartbeat of a worker that lives, and return its time."""
        reply = self.readers[relay].ask(wire.path_request(Type.GET_PULSE, key, 7))
        if reply == wire.pulse_reply(key, None, 7):
            return 0
        times = [
            time_secs
            for time_secs, value in self.written[key].items()
            if reply == wire.pulse_reply(key, value, 7)
        ]
        assert times, f"never written: {reply!r}"
        last = self.seen.get((relay, key), 0)
        if times[0] < last:
            began_s = self.back_s.setdefault((relay, key), time.monotonic())
            assert time.monotonic() - began_s < BACK_IN_TIME_S
        else:
            self.back_s.pop((relay, key), None)
            self.seen[relay, key] = times[0]
        return times[0]

    def delete(self) -> None:
        """A worker deletes its key, and is not heard of for a while."""
        if self.alive:
            key = self.rng.choice(sorted(self.alive))
            reply = self.workers[key].ask(wire.path_request(Type.DELETE_PATH, key, 2))
            assert reply == wire.ack(Type.DELETE_PATH_RESPONSE, 2)
            self.alive.discard(key)
            for relay in range(RELAYS):
                self.seen.pop((relay, key), None)

    def kill(self) -> None:
        """A Pacemaker is killed and comes back empty."""
        server = self.rng.choice(self.servers)
        if server is not self.stopped:
            server.kill()
            server.start()

    def stop(self) -> None:
        """A Pacemaker hangs; only one at a time."""
        if self.stopped is None:
            self.stopped = self.rng.choice(self.servers)
            self.stopped.process.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """It goes on."""
        if self.stopped is not None:
            self.stopped.process.signal(signal.SIGCONT)
            self.stopped = None

    def end(self) -> None:
        """Once all are connected, both relays read the newest, and nothing deleted."""
        self.go_on()
        until_s = time.monotonic() + 30
        while not self.is_settled():
            assert time.monotonic() < until_s, "the relays do not agree"

    def is_settled(self) -> bool:
        """Return whether every Pacemaker has what the model has."""
        for server in self.servers:
            with Wire(server.address) as direct:
                for key in self.workers:
                    written = self.written[key]
                    value = written[max(written)] if key in self.alive else None
                    reply = direct.ask(wire.path_request(Type.GET_PULSE, key))
                    if reply != wire.pulse_reply(key, value):
                        return False
        return all(
            self.read_at(relay, key) == max(self.written[key])
            for relay in range(RELAYS)
            for key in self.alive
        )

    def close(self) -> None:
        """Let the workers go."""
        self.go_on()
        self.parts.close()


def test_histories_over_real_processes(processes: Processes) -> None:
    """Each history is another one; the seed repeats it."""
    for _ in range(HISTORIES):
        seed = random.SystemRandom().randrange(10**6)
        history = History(processes, seed)
        try:
            for _ in range(STEPS):
                history.step()
            history.end()
        except BaseException as exc:
            exc.add_note(f"the seed is {seed}") if hasattr(exc, "add_note") else None
            raise
        finally:
            history.close()
