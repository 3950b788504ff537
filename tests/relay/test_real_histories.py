"""Random histories over real processes: two relays and three Pacemakers.

The rules are those of the model (`tests/relay/core/test_histories.py`), as far as they
can be seen from outside: no read returns what was never written, none goes back in time
for long, and none returns what was deleted.

Two exceptions are documented, because a relay keeps nothing on a disk and bounds what
it keeps.  They are allowed here too, but only for the keys that they concern, and they
are counted and printed:

* A relay that is killed forgets the deletes that a Pacemaker has missed, and the times
  that it has answered.
* A relay drops the oldest missed deletes if there are too many.
"""

from __future__ import annotations

import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from pacemaker.heartbeats.codec import encode
from pacemaker.heartbeats.model import WorkerHeartbeat
from tests.relay.processes import KilledRelay, Upstream
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type, Wire

pytestmark = pytest.mark.io

HISTORIES = 10
STEPS = 25
RELAYS, SERVERS = 2, 3
KEYS = range(4)
BACK_IN_TIME_S = 10.0
KEPT_DELETES = 20
# With a bound that a test can pass.
BOUNDED_RELAY = (
    sys.executable,
    "-c",
    "from pacemaker.cli import main; from pacemaker.relay.core import limits;"
    f" limits.MAX_KEPT_DELETES = {KEPT_DELETES}; main()",
    "relay",
)


class Processes:
    """The processes, which all histories of a run share."""

    def __init__(self, parts: ExitStack) -> None:
        self.servers = [parts.enter_context(Upstream()) for _ in range(SERVERS)]
        names = [server.name for server in self.servers]
        self.relays = [
            parts.enter_context(KilledRelay(names, BOUNDED_RELAY))
            for _ in range(RELAYS)
        ]


@pytest.fixture(scope="module")
def processes() -> Iterator[Processes]:
    """Start the processes."""
    with ExitStack() as parts:
        yield Processes(parts)


class History:
    """One history: what was written, and what has been read.

    Attributes:
        counts: how often something happened, exceptions included.
    """

    def __init__(self, processes: Processes, seed: int) -> None:
        self.rng = random.Random(seed)  # noqa: S311  (no secret)
        self.servers = processes.servers
        self.relays = processes.relays
        self.parts = ExitStack()
        self.topology = f"/workerbeats/history-{seed}"
        # Each worker writes at the relay of its host; each relay has a reader.
        self.relay_of = {
            f"{self.topology}/{number}": number % RELAYS for number in KEYS
        }
        self.writers: dict[str, Wire] = {}
        self.readers: dict[int, Wire] = {}
        for number in range(RELAYS):
            self.connect(number)
        self.time_secs = 1_700_000_000
        self.written: dict[str, dict[int, bytes]] = {key: {} for key in self.relay_of}
        self.alive: set[str] = set()
        self.seen: dict[tuple[int, str], int] = {}
        self.back_s: dict[tuple[int, str], float] = {}
        self.stopped: Upstream | None = None
        self.counts: Counter[str] = Counter()
        # Deleted keys whose delete a Pacemaker may never receive, and the times that
        # a relay had answered before it was killed.
        self.excused: set[str] = set()
        self.forgotten: dict[tuple[int, str], int] = {}

    def connect(self, relay: int) -> None:
        """Connect the workers of a relay, and its reader."""
        address = self.relays[relay].address
        self.readers[relay] = self.parts.enter_context(Wire(address))
        for key, number in self.relay_of.items():
            if number == relay:
                self.writers[key] = self.parts.enter_context(Wire(address))

    def step(self) -> None:
        """Make one random step."""
        actions = [self.pulse] * 8 + [self.read] * 6 + [self.delete]
        rare = [self.kill_relay, self.pass_bound]
        self.rng.choice([*actions, self.kill, self.stop, self.go_on, *rare])()

    def pulse(self) -> None:
        """A worker writes its heartbeat."""
        self.pulse_of(self.rng.choice(list(self.writers)))

    def pulse_of(self, key: str) -> None:
        """Write a worker's next heartbeat."""
        self.time_secs += 1
        heartbeat = WorkerHeartbeat(self.topology, self.time_secs, 1, {})
        value = encode(heartbeat)
        reply = self.writers[key].ask(wire.send_pulse(key, value, 1))
        assert reply == wire.ack(Type.SEND_PULSE_RESPONSE, 1)
        self.written[key][self.time_secs] = value
        self.alive.add(key)
        self.excused.discard(key)

    def read(self) -> None:
        """Nimbus reads a heartbeat."""
        if self.alive:
            key = self.rng.choice(sorted(self.alive))
            self.read_at(self.rng.randrange(RELAYS), key)

    def read_at(self, relay: int, key: str) -> int:
        """Read a living worker's heartbeat, and return its time."""
        reply = self.readers[relay].ask(wire.path_request(Type.GET_PULSE, key, 7))
        if reply == wire.pulse_reply(key, None, 7):
            return 0
        times = [
            time_secs
            for time_secs, value in self.written[key].items()
            if reply == wire.pulse_reply(key, value, 7)
        ]
        assert times, f"never written: {reply!r}"
        self.counts["reads"] += 1
        forgotten = self.forgotten.pop((relay, key), 0)
        self.counts["went back after a relay was killed"] += times[0] < forgotten
        last = self.seen.get((relay, key), 0)
        if times[0] < last:
            began_s = self.back_s.setdefault((relay, key), time.monotonic())
            assert time.monotonic() - began_s < BACK_IN_TIME_S
        else:
            self.back_s.pop((relay, key), None)
            self.seen[relay, key] = times[0]
        return times[0]

    def delete(self) -> None:
        """A worker deletes its key, and is silent for a while."""
        if self.alive:
            key = self.rng.choice(sorted(self.alive))
            reply = self.writers[key].ask(wire.path_request(Type.DELETE_PATH, key, 2))
            assert reply == wire.ack(Type.DELETE_PATH_RESPONSE, 2)
            self.alive.discard(key)
            for relay in range(RELAYS):
                self.seen.pop((relay, key), None)
                self.forgotten.pop((relay, key), None)

    def kill_relay(self) -> None:
        """A relay is killed; its workers connect to its successor and write again."""
        relay = self.rng.randrange(RELAYS)
        self.relays[relay].restart()
        self.counts["relays killed"] += 1
        self.excuse(relay)
        for place in [place for place in self.seen if place[0] == relay]:
            self.forgotten[place] = self.seen.pop(place)
            self.back_s.pop(place, None)
        self.connect(relay)
        for key in sorted(self.alive):
            if self.relay_of[key] == relay:
                self.pulse_of(key)

    def pass_bound(self) -> None:
        """A relay has to keep too many deletes for a Pacemaker that hangs."""
        if self.stopped is not None:
            relay = self.rng.randrange(RELAYS)
            reader = self.readers[relay]
            # A request with the id of an unanswered one is that request, sent again.
            ids = range(100, 101 + KEPT_DELETES)
            for number in ids:
                path = f"{self.topology}-{number}"
                reader.send(wire.path_request(Type.DELETE_PATH, path, number))
            replies = {reader.receive() for _ in ids}
            assert replies == {wire.ack(Type.DELETE_PATH_RESPONSE, n) for n in ids}
            self.counts["bounds passed"] += 1
            self.excuse(relay)

    def excuse(self, relay: int) -> None:
        """Allow that a Pacemaker misses the deletes of a relay's workers."""
        deleted = {key for key, written in self.written.items() if written} - self.alive
        self.excused |= {key for key in deleted if self.relay_of[key] == relay}

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
        """A Pacemaker that hung continues."""
        if self.stopped is not None:
            self.stopped.process.signal(signal.SIGCONT)
            self.stopped = None

    def end(self) -> None:
        """Once all are connected, both relays return the newest heartbeats only."""
        self.go_on()
        until_s = time.monotonic() + 30
        while not self.is_settled():
            assert time.monotonic() < until_s, "the relays do not agree"
        self.counts["deleted keys that came back"] += len(self.excused & self.present())

    def is_settled(self) -> bool:
        """Return whether every Pacemaker has what the model has."""
        for server in self.servers:
            with Wire(server.address) as direct:
                for key in self.relay_of.keys() - self.excused:
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

    def present(self) -> set[str]:
        """Return the keys that any Pacemaker has."""
        found = set()
        for server in self.servers:
            with Wire(server.address) as direct:
                for key in self.relay_of:
                    reply = direct.ask(wire.path_request(Type.EXISTS, key))
                    if reply == wire.exists_reply(True):
                        found.add(key)
        return found

    def close(self) -> None:
        """Close the workers' connections."""
        self.go_on()
        self.parts.close()


def test_histories_over_real_processes(
    processes: Processes, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each run has random histories; its seed repeats them."""
    counts: Counter[str] = Counter()
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
        counts.update(history.counts)
    with capsys.disabled():
        print(  # noqa: T201  (the exceptions are part of the result)
            f"\nhistories over real processes: {dict(sorted(counts.items()))}"
        )
