"""Random histories of two relays and three Pacemakers, compared with a model.

The model is small: the newest heartbeat of each worker, and which keys were deleted.
Pacemakers are cut off, stall with bytes in their kernels, and restart empty; workers
come and go; topologies are deleted in between.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from pacemaker.relay.core import limits
from pacemaker.relay.core.outbox import OutgoingPulse
from tests.relay.core.world import Asked, World

KEYS = [f"/w/t{topology}/w{worker}" for topology in range(2) for worker in range(2)]
RELAYS, SERVERS = 2, 3


def home_of(key: str) -> int:
    """Return the relay at which a worker writes and its topology is deleted.

    At another relay a delete and a pulse have no order, as at two Pacemakers without
    relays: the worker's next pulse decides.
    """
    return int(key.startswith("/w/t1/"))


relays = st.integers(0, RELAYS - 1)
servers = st.integers(0, SERVERS - 1)
keys = st.sampled_from(KEYS)
# Within this time after it is back, a Pacemaker has read what its kernel kept.
WAKE_S = 1.0


class Histories(RuleBasedStateMachine):
    """One random history."""

    @initialize()
    def begin(self) -> None:
        """Start with everything connected, and all Pacemakers complete."""
        self.stores: list[dict[str, bytes]] = [{} for _ in range(SERVERS)]
        self.worlds = [World(SERVERS, self.stores) for _ in range(RELAYS)]
        for world in self.worlds:
            world.connect()
            world.read("/nothing")
            world.connect_reads()
        self.time = 0
        # By key: every value that was written, the newest one, and the relay to which
        # its worker is connected.
        self.written: dict[str, set[bytes]] = {key: set() for key in KEYS}
        self.newest: dict[str, bytes] = {}
        self.homes: dict[str, int] = {}
        self.asked: list[Asked] = []
        self.pass_time(limits.COMPLETE_AFTER_S)

    @property
    def now_s(self) -> float:
        """The time."""
        return self.worlds[0].now_s

    def pass_time(self, seconds: float) -> None:
        """Let time pass for both relays, in small steps."""
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            step_s = min(WAKE_S, until_s - self.now_s)
            for world in self.worlds:
                world.wait(step_s)
                for number, server in enumerate(world.servers):
                    if server.is_up:
                        world.wake(number)

    @rule(key=keys)
    def pulse(self, key: str) -> None:
        """A worker writes its heartbeat at the relay of its host."""
        relay = self.homes.setdefault(key, home_of(key))
        self.time += 1
        value = b"%d" % self.time
        self.written[key].add(value)
        self.newest[key] = value
        self.worlds[relay].pulse(key, value, key)

    @rule(key=keys)
    def leave(self, key: str) -> None:
        """A worker's connection ends."""
        if key in self.homes:
            self.worlds[self.homes.pop(key)].relay.writer_left(key, self.now_s)

    @rule(key=keys, is_topology=st.booleans())
    def delete(self, key: str, is_topology: bool) -> None:
        """A worker deletes its key when it stops, or Nimbus deletes a dead topology."""
        path = key.rpartition("/")[0] if is_topology else key
        self.worlds[home_of(key)].delete(path)
        for other in KEYS:
            if f"{other}/".startswith(path + "/"):
                self.newest.pop(other, None)

    @rule(relay=relays, key=keys)
    def read(self, relay: int, key: str) -> None:
        """Nimbus reads."""
        self.asked.append(self.worlds[relay].read(key))

    @rule(relay=relays, server=servers)
    def serve(self, relay: int, server: int) -> None:
        """A Pacemaker handles one write and answers one read."""
        self.worlds[relay].store_one(server)
        self.worlds[relay].answer_one(server)

    @rule(relay=relays, server=servers, is_stalled=st.booleans())
    def cut(self, relay: int, server: int, is_stalled: bool) -> None:
        """A relay loses its connections to a Pacemaker."""
        self.worlds[relay].lose(server, is_stalled)

    @rule(server=servers)
    def restart(self, server: int) -> None:
        """A Pacemaker is killed: it comes back empty, without its kernel's buffers."""
        for world in self.worlds:
            world.lose(server)
            world.servers[server].old_items.clear()
        self.stores[server].clear()

    @rule(relay=relays, server=servers)
    def connect(self, relay: int, server: int) -> None:
        """A relay reaches a Pacemaker again."""
        if not self.worlds[relay].servers[server].is_up:
            self.worlds[relay].connect(server)

    @rule(seconds=st.sampled_from([0.1, 0.6, 3.0, 8.0, 25.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.pass_time(seconds)

    @invariant()
    def one_pulse_of_a_key_is_under_way(self) -> None:
        """At most one pulse per key is in transit, so an old one cannot overtake."""
        for world in getattr(self, "worlds", ()):
            for server in world.servers:
                under_way = [
                    i.key for i in server.items if isinstance(i, OutgoingPulse)
                ]
                assert len(under_way) == len(set(under_way))

    @invariant()
    def answers_were_written(self) -> None:
        """No read returns a value that no worker wrote for this key."""
        for asked in getattr(self, "asked", ()):
            for answer in asked.answers:
                written = self.written[asked.question.path]
                assert answer is None or answer in written
            assert len(asked.answers) <= 1

    @invariant()
    def hits_are_answered_in_time(self) -> None:
        """A read waits for long only if there is no usable answer."""
        for world in getattr(self, "worlds", ()):
            for question in world.relay._pending:
                is_late = (
                    world.now_s - question.round_s > limits.ANSWER_TIMEOUT_S + 0.001
                )
                assert not is_late or question.is_held

    @precondition(lambda self: hasattr(self, "worlds"))
    @rule()
    def calm(self) -> None:
        """Once all are connected, every Pacemaker has what the model has."""
        for world in self.worlds:
            for number, server in enumerate(world.servers):
                if not server.is_up:
                    world.connect(number)
        for world in self.worlds:
            world.settle()
        self.pass_time(limits.REPEAT_AFTER_S + WAKE_S)
        for world in self.worlds:
            world.settle()
        for store in self.stores:
            self.compare(store)
        for world in self.worlds:
            assert not any(outbox.waiting_deletes for outbox in world.relay.outboxes)

    def compare(self, store: dict[str, bytes]) -> None:
        """Compare a Pacemaker with the model."""
        for key in KEYS:
            if key in self.homes and key in self.newest:
                assert store.get(key) == self.newest[key]
            elif key not in self.newest:
                assert key not in store
            elif key in store:
                assert store[key] in self.written[key]

    def teardown(self) -> None:
        """End with everything connected, so that each read is answered."""
        if not hasattr(self, "worlds"):
            return
        self.calm()
        self.pass_time(limits.COMPLETE_AFTER_S + limits.OLDER_HIT_HELD_S)
        for _ in range(3):
            for world in self.worlds:
                world.settle()
            self.pass_time(limits.ASK_AGAIN_AFTER_S)
        assert all(asked.answers for asked in self.asked)


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=40, stateful_step_count=40)
