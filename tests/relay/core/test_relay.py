"""What a relay answers, and when, while its Pacemakers fail and return."""

from __future__ import annotations

import pytest

from pacemaker.relay.core import limits
from pacemaker.relay.core.question import QuestionKind
from tests.relay.core.world import OutgoingPulse, World

KEY = "/workerbeats/words-1-1700000000/7a4e-6700"
OTHER = "/workerbeats/words-1-1700000000/7a4e-6701"
TOPOLOGY = "/workerbeats/words-1-1700000000"


@pytest.fixture
def world() -> World:
    """Return two Pacemakers that have been connected for long, and a reader."""
    world = World()
    world.connect()
    world.read("/nothing")
    world.connect_reads()
    world.wait(limits.COMPLETE_AFTER_S + limits.REPEAT_AFTER_S)
    world.settle()
    # The one that was not waited for is in time now.
    world.read("/nothing")
    world.settle()
    return world


def test_pulse_goes_to_every_pacemaker(world: World) -> None:
    """Both Pacemakers store the pulse."""
    world.pulse(KEY, b"5")
    world.settle()
    assert [server.stored for server in world.servers] == [{KEY: b"5"}] * 2


def test_only_the_newest_pulse_waits_behind_an_unanswered_one(world: World) -> None:
    """However many pulses came while the Pacemaker was silent, one is sent."""
    for number in range(5):
        world.pulse(KEY, b"%d" % number)
    assert len(world.servers[0].items) == 1
    world.store_one(0)
    assert [item.value for item in world.servers[0].items] == [b"4"]  # type: ignore[union-attr]


def test_slow_pacemaker_delays_no_other(world: World) -> None:
    """If one acknowledges nothing, the other one is still up to date."""
    world.pulse(KEY, b"1")
    world.settle(1)
    world.pulse(KEY, b"2")
    world.settle(1)
    assert world.servers[1].stored == {KEY: b"2"}
    assert not world.servers[0].stored


def test_read_takes_the_newest_heartbeat(world: World) -> None:
    """An older answer is not used, even if it arrives first."""
    world.servers[0].stored[KEY] = b"5"
    world.servers[1].stored[KEY] = b"8"
    asked = world.read(KEY)
    world.answer_one(0)
    assert asked.is_waiting
    world.answer_one(1)
    assert asked.answer == b"8"


def test_hit_is_answered_within_a_second(world: World) -> None:
    """A Pacemaker that does not answer costs one deadline, and only once."""
    world.servers[0].stored[KEY] = b"5"
    asked = world.read(KEY)
    world.answer_one(0)
    world.wait(limits.ANSWER_TIMEOUT_S)
    assert asked.answer == b"5"
    again = world.read(KEY)
    world.answer_one(0)
    assert again.answer == b"5"


def test_pacemaker_that_answers_in_time_is_waited_for_again(world: World) -> None:
    """Even though no read waits for it, and it is never the first to answer."""
    world.servers[0].stored[KEY] = b"5"
    world.servers[1].stored[KEY] = b"6"
    late = world.read(KEY)
    world.answer_one(0)
    world.wait(limits.ANSWER_TIMEOUT_S)
    assert late.answer == b"5"
    # An answer that is too late does not show that the next one will be in time.
    world.wait(0.1)
    world.answer_one(1)
    without = world.read(KEY)
    world.answer_one(0)
    assert without.answer == b"5"
    world.wait(0.1)
    world.answer_one(1)
    asked = world.read(KEY)
    world.answer_one(0)
    assert asked.is_waiting
    world.answer_one(1)
    assert asked.answer == b"6"


def test_dead_pacemaker_is_not_waited_for(world: World) -> None:
    """If one is dead, the other's answer is enough."""
    world.servers[1].stored[KEY] = b"5"
    asked = world.read(KEY)
    world.answer_one(1)
    world.lose(0)
    assert asked.answer == b"5"


def test_miss_of_a_complete_pacemaker_is_answered(world: World) -> None:
    """A complete Pacemaker knows every worker, so its miss means a dead worker."""
    asked = world.read(KEY)
    world.settle()
    assert asked.answer is None


def test_miss_of_a_restarted_pacemaker_is_held(world: World) -> None:
    """It may be empty, so its miss does not count until all workers have reached it."""
    world.lose(0)
    world.lose(1)
    world.connect()
    asked = world.read(KEY)
    world.settle()
    assert asked.is_waiting
    world.servers[1].stored[KEY] = b"7"
    world.wait(limits.ASK_AGAIN_AFTER_S)
    world.settle()
    assert asked.answer == b"7"


def test_held_miss_is_answered_once_a_pacemaker_is_complete(world: World) -> None:
    """After twenty seconds without an interruption its miss counts."""
    world.lose(0)
    world.lose(1)
    world.connect(0)
    asked = world.read(KEY)
    for _ in range(int(limits.COMPLETE_AFTER_S / limits.ASK_AGAIN_AFTER_S)):
        assert asked.is_waiting
        world.settle()
        world.wait(limits.ASK_AGAIN_AFTER_S)
    world.settle()
    assert asked.answer is None


def test_first_read_does_not_make_a_pacemaker_incomplete() -> None:
    """Its read connection is new, but its pulse connection is old."""
    world = World()
    world.connect()
    world.wait(limits.COMPLETE_AFTER_S)
    asked = world.read(KEY)
    world.connect_reads()
    world.settle()
    assert asked.answer is None


def test_lost_read_connection_makes_a_pacemaker_incomplete(world: World) -> None:
    """It may have been restarted before the pulse connection has noticed."""
    world.relay.reads_down(0, world.now_s)
    world.lose(1)
    world.relay.reads_up(0, world.now_s)
    asked = world.read(KEY)
    world.settle(0)
    assert asked.is_waiting


def test_read_waits_while_no_pacemaker_is_alive(world: World) -> None:
    """It is answered by the first that comes back with the heartbeat."""
    world.lose(0)
    world.lose(1)
    asked = world.read(KEY)
    world.wait(100)
    assert asked.is_waiting
    world.servers[1].stored[KEY] = b"5"
    world.connect(1)
    world.settle()
    assert asked.answer == b"5"


def test_hit_does_not_wait_for_a_pacemaker_that_holds_misses(world: World) -> None:
    """A Pacemaker that has just started delays a hit briefly, not to the deadline."""
    world.lose(1)
    world.connect(1)
    world.servers[0].stored[KEY] = b"5"
    asked = world.read(KEY)
    world.answer_one(0)
    world.wait(limits.HIT_GRACE_S)
    assert asked.answer == b"5"


def test_late_answer_of_a_holding_pacemaker_is_used(world: World) -> None:
    """A held read asks it once, and uses its answer whenever it arrives."""
    world.lose(0)
    world.lose(1)
    world.connect(0)
    asked = world.read(KEY)
    world.wait(5)
    assert len(world.servers[0].questions) == 1
    world.servers[0].stored[KEY] = b"5"
    world.answer_one(0)
    assert asked.answer == b"5"


def test_heartbeat_that_went_back_in_time_is_held(world: World) -> None:
    """If only a stale Pacemaker is left, its old heartbeat is no sign of life."""
    world.servers[0].stored[KEY] = b"5"
    world.servers[1].stored[KEY] = b"9"
    world.read(KEY)
    world.settle()
    world.lose(1)
    asked = world.read(KEY)
    world.settle()
    assert asked.is_waiting
    world.servers[0].stored[KEY] = b"10"
    world.wait(limits.ASK_AGAIN_AFTER_S)
    world.settle()
    assert asked.answer == b"10"


def test_heartbeat_that_stays_back_is_believed_after_a_while(world: World) -> None:
    """It is believed, because the clock of the worker's host may have been set back."""
    world.servers[0].stored[KEY] = b"9"
    world.read(KEY)
    world.settle()
    world.lose(1)
    world.servers[0].stored[KEY] = b"5"
    asked = world.read(KEY)
    while asked.is_waiting:
        world.settle()
        world.wait(limits.ASK_AGAIN_AFTER_S)
    assert asked.answer == b"5"
    assert (
        world.now_s - asked.question.began_s
        <= limits.OLDER_HIT_HELD_S + limits.ASK_AGAIN_AFTER_S
    )


def test_older_heartbeat_is_answered_if_all_complete_agree(world: World) -> None:
    """If all are complete and agree, there can be no newer heartbeat."""
    for server in world.servers:
        server.stored[KEY] = b"9"
    world.read(KEY)
    world.settle()
    for server in world.servers:
        server.stored[KEY] = b"5"
    asked = world.read(KEY)
    world.settle()
    assert asked.answer == b"5"


def test_value_that_cannot_be_read_passes(world: World) -> None:
    """If no other value exists, an unreadable one is returned unchanged."""
    world.servers[0].stored[KEY] = b"\0not a heartbeat"
    asked = world.read(KEY)
    world.settle()
    assert asked.answer == b"\0not a heartbeat"


def test_lists_are_joined(world: World) -> None:
    """The lists of all Pacemakers are joined, and each name is listed once."""
    world.servers[0].stored = {"/w/a": b"1", "/w/b": b"1"}
    world.servers[1].stored = {"/w/b": b"1", "/w/c": b"1"}
    asked = world.question(QuestionKind.NODES, "/w")
    world.settle()
    assert asked.answer == ["a", "b", "c"]


@pytest.mark.parametrize(("has_it", "answer"), [(True, True), (False, False)])
def test_exists_is_joined(world: World, has_it: bool, answer: bool) -> None:
    """The answer is true if any Pacemaker has the key."""
    if has_it:
        world.servers[1].stored[KEY] = b"1"
    asked = world.question(QuestionKind.EXISTS, KEY)
    world.settle()
    assert asked.answer is answer


def test_delete_is_acknowledged_when_all_have_answered(world: World) -> None:
    """By then, the heartbeat is gone everywhere."""
    world.pulse(KEY, b"5")
    world.settle()
    asked = world.delete(TOPOLOGY)
    world.store_one(0)
    assert asked.is_waiting
    world.store_one(1)
    assert asked.answers == [None]
    assert not any(server.stored for server in world.servers)


def test_delete_is_acknowledged_within_a_second(world: World) -> None:
    """A Pacemaker that hangs delays the acknowledgement by a second at most."""
    asked = world.delete(TOPOLOGY)
    world.store_one(0)
    world.wait(limits.ANSWER_TIMEOUT_S)
    assert asked.answers == [None]


def test_delete_is_acknowledged_while_nobody_is_alive(world: World) -> None:
    """The delete is kept for all Pacemakers."""
    world.lose(0)
    world.lose(1)
    assert world.delete(TOPOLOGY).answers == [None]


def test_waiting_pulse_does_not_undo_a_delete(world: World) -> None:
    """A pulse from before the delete is not sent after it."""
    world.pulse(KEY, b"1")
    world.pulse(KEY, b"2")
    world.delete(KEY)
    world.settle()
    assert not world.servers[0].stored


def test_pulse_after_a_delete_is_kept(world: World) -> None:
    """The pulse belongs to a worker that was restarted in the same slot."""
    world.pulse(KEY, b"1")
    world.delete(KEY)
    world.pulse(KEY, b"2")
    world.settle()
    assert world.servers[0].stored == {KEY: b"2"}


def test_pacemaker_that_was_away_gets_the_deletes_first(world: World) -> None:
    """A Pacemaker that was cut off still has what was deleted meanwhile."""
    world.pulse(KEY, b"1")
    world.pulse(OTHER, b"1", "other")
    world.settle()
    world.lose(0)
    world.delete(KEY)
    world.pulse(KEY, b"2")
    world.connect(0)
    world.settle(0)
    assert world.servers[0].stored == {KEY: b"2", OTHER: b"1"}


def test_pacemaker_that_comes_back_empty_gets_every_connected_worker(
    world: World,
) -> None:
    """It is complete once it has the newest pulse of each worker."""
    world.pulse(KEY, b"1")
    world.pulse(OTHER, b"2", "other")
    world.settle()
    world.lose(0)
    world.servers[0].stored.clear()
    world.connect(0)
    world.settle(0)
    assert world.servers[0].stored == {KEY: b"1", OTHER: b"2"}


def test_all_is_sent_once_more_after_a_while(world: World) -> None:
    """Bytes of the old connection may be read after those of the new one."""
    world.pulse(KEY, b"1")
    world.lose(0, is_stalled=True)
    world.pulse(KEY, b"2")
    world.connect(0)
    world.settle(0)
    world.wake(0)
    assert world.servers[0].stored == {KEY: b"1"}
    world.wait(limits.REPEAT_AFTER_S)
    world.settle(0)
    assert world.servers[0].stored == {KEY: b"2"}


def test_missed_delete_is_sent_once_more_after_a_while(world: World) -> None:
    """Another relay's delayed pulse may have undone it."""
    world.lose(0)
    world.delete(KEY)
    world.connect(0)
    world.settle(0)
    world.servers[0].stored[KEY] = b"1"
    world.wait(limits.REPEAT_AFTER_S)
    world.settle(0)
    assert not world.servers[0].stored
    assert world.relay.outboxes[0].waiting_deletes == 0


def test_pulse_of_a_gone_worker_is_dropped(world: World) -> None:
    """The old value of a worker that has left must not be a sign of life."""
    world.lose(0)
    world.pulse(KEY, b"1")
    world.relay.writer_left("w", world.now_s)
    world.wait(limits.GONE_AFTER_S)
    world.connect(0)
    world.settle(0)
    assert not world.servers[0].stored
    assert not world.values


def test_pulse_of_a_worker_that_has_just_gone_still_arrives(world: World) -> None:
    """A Pacemaker that returns in time still gets the last pulse."""
    world.lose(0)
    world.pulse(KEY, b"1")
    world.relay.writer_left("w", world.now_s)
    world.wait(limits.GONE_AFTER_S / 2)
    world.connect(0)
    world.settle(0)
    assert world.servers[0].stored == {KEY: b"1"}


def test_worker_that_comes_back_is_connected_again(world: World) -> None:
    """Its newest pulse is repeated again."""
    world.pulse(KEY, b"1", "first")
    world.relay.writer_left("first", world.now_s)
    world.pulse(KEY, b"2", "second")
    world.wait(limits.GONE_AFTER_S)
    world.lose(0)
    world.servers[0].stored.clear()
    world.connect(0)
    world.settle(0)
    assert world.servers[0].stored == {KEY: b"2"}


def test_end_of_an_old_connection_does_not_end_the_new_one(world: World) -> None:
    """A worker may reconnect before the relay notices the end."""
    world.pulse(KEY, b"1", "first")
    world.pulse(KEY, b"2", "second")
    world.relay.writer_left("first", world.now_s)
    world.wait(limits.GONE_AFTER_S)
    assert world.values == {KEY: b"2"}


def test_dropped_question_is_abandoned(world: World) -> None:
    """The answer to a dropped question is discarded."""
    asked = world.read(KEY)
    world.relay.drop(asked.question)
    world.settle()
    assert asked.is_waiting
    assert world.relay.pending_questions == 0
    assert {number for number, _ in world.abandoned} == {0, 1}


@pytest.mark.parametrize("path", [KEY, TOPOLOGY, "/workerbeats"])
def test_deleted_keys_are_forgotten(world: World, path: str) -> None:
    """A connection may write and delete any number of keys."""
    world.lose(1)
    world.pulse(KEY, b"1")
    world.pulse("/other/key", b"1")
    world.settle(0)
    world.delete(path)
    world.wait(0)
    assert list(world.relay.writers.connected) == ["/other/key"]
    assert [outbox.waiting_pulses for outbox in world.relay.outboxes] == [0, 1]
    # The worker is still connected.
    world.pulse(KEY, b"2")
    assert set(world.relay.writers.connected) == {KEY, "/other/key"}


def test_deletes_of_trees_forget_any_number_of_keys(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few at a time, and those of a delete that comes meanwhile too."""
    monkeypatch.setattr(limits, "SWEPT_AT_ONCE", 2)
    for number in range(5):
        world.pulse(f"/a/{number}", b"1")
        world.pulse(f"/b/{number}", b"1")
    world.settle()
    world.delete("/a")
    world.relay.tick(world.now_s)
    assert len(world.relay.writers.connected) > 5
    world.delete("/b")
    world.wait(0)
    assert not world.relay.writers.connected
    assert world.relay.next_s != float("-inf")


def test_refused_pulse_holds_up_no_other_worker(world: World) -> None:
    """A Pacemaker that cannot store a pulse ends the connection of all workers."""
    keys = [f"/w/{number}" for number in range(6)]
    for key in keys:
        world.pulse(key, b"1")
    losses = 0
    server = world.servers[0]
    until_s = world.now_s + 60
    while world.now_s < until_s:
        while server.items:
            item = server.items[0]
            if isinstance(item, OutgoingPulse) and item.key == keys[2]:
                losses += 1
                world.lose(0)
                world.connect(0)
            else:
                world.store_one(0)
        world.wait(1)
        for key in keys:
            world.pulse(key, b"%d" % world.now_s)
    for key in keys:
        assert (server.stored.get(key) == b"%d" % (until_s - 1)) is (key != keys[2])
    # Alone after the first two losses, and ever later after that.
    assert 3 <= losses <= 8


def test_few_held_reads_are_asked_again_at_once(world: World) -> None:
    """Only a few of ten thousand held reads are asked again at a time."""
    world.lose(0)
    world.lose(1)
    world.connect(0)
    for number in range(limits.MAX_ASKED_AGAIN_AT_ONCE * 2):
        world.read(f"/nothing/{number}")
    world.settle(0)
    world.wait(limits.ASK_AGAIN_AFTER_S)
    assert len(world.servers[0].questions) == limits.MAX_ASKED_AGAIN_AT_ONCE


def test_relay_shows_what_waits(world: World) -> None:
    """The repr says how much waits, for the log of a bug."""
    world.lose(1)
    world.pulse(KEY, b"1")
    assert "pulses=1" in repr(world.relay)
    assert "connected=1" in repr(world.relay.writers)
    assert "slow=False" in repr(world.relay.pacemakers[0])
