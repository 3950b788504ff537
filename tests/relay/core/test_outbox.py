"""What waits to be sent to one Pacemaker, and what is dropped if it stays away."""

from __future__ import annotations

import pytest

from pacemaker.relay.core import limits
from pacemaker.relay.core.outbox import (
    Outbox,
    OutgoingDelete,
    OutgoingItem,
    OutgoingPulse,
)


def outbox_of(values: dict[str, bytes]) -> Outbox:
    """Return an outbox that looks values up in a dict."""
    return Outbox(values.get)


def taken(outbox: Outbox) -> list[OutgoingItem]:
    """Take everything that may be sent."""
    return list(iter(outbox.pop_next, None))


def test_nothing_is_sent_while_the_pacemaker_is_away() -> None:
    """While the Pacemaker is away, everything waits."""
    outbox = outbox_of({"k": b"1"})
    outbox.pulse("k")
    assert not taken(outbox)
    assert outbox.waiting_pulses == 1


def test_key_without_a_value_is_skipped() -> None:
    """A key without a value was deleted, or its worker has left."""
    outbox = outbox_of({"k": b"1"})
    outbox.came_up((), 0.0)
    outbox.pulse("gone")
    outbox.pulse("k")
    assert [item.key for item in taken(outbox) if isinstance(item, OutgoingPulse)] == [
        "k"
    ]


def test_deletes_are_sent_before_pulses_that_wait() -> None:
    """A pulse is sent after the deletes, because it may be newer."""
    outbox = outbox_of({"k": b"1"})
    outbox.pulse("k")
    outbox.delete(OutgoingDelete("k", True, 0.0))
    outbox.came_up((), 0.0)
    assert [type(item) for item in taken(outbox)] == [OutgoingDelete, OutgoingPulse]


def test_unanswered_delete_is_sent_again_after_a_loss() -> None:
    """After a lost connection, an unanswered delete may not have arrived."""
    outbox = outbox_of({})
    outbox.came_up((), 0.0)
    delete = OutgoingDelete("k", True, 0.0)
    outbox.delete(delete)
    assert taken(outbox) == [delete]
    outbox.went_down(1.0)
    outbox.came_up((), 2.0)
    assert taken(outbox) == [delete]


def test_delete_soon_after_a_return_is_repeated() -> None:
    """A pulse of the lost connection may be stored after the delete's acknowledgement.

    Later, no such pulse is left, and a delete is sent once.
    """
    outbox = outbox_of({})
    outbox.came_up((), 0.0)
    early = OutgoingDelete("k", True, 1.0)
    outbox.delete(early)
    assert taken(outbox) == [early]
    outbox.acknowledged(early)
    outbox.tick((), limits.REPEAT_AFTER_S)
    assert taken(outbox) == [early]
    outbox.acknowledged(early)
    outbox.delete(OutgoingDelete("k", True, 3.0))
    assert len(taken(outbox)) == 1
    assert outbox.next_s is None


def test_older_answer_does_not_settle_a_later_delete_of_the_same_path() -> None:
    """Between the two the key may have been written."""
    outbox = outbox_of({})
    outbox.came_up((), 0.0)
    first, second = OutgoingDelete("k", True, 0.0), OutgoingDelete("k", True, 1.0)
    outbox.delete(first)
    taken(outbox)
    outbox.delete(second)
    taken(outbox)
    outbox.acknowledged(first)
    outbox.went_down(2.0)
    assert outbox.kept_deletes() == [second]


def test_deletes_of_one_path_are_kept_once() -> None:
    """While the Pacemaker is away, the last one is enough."""
    outbox = outbox_of({})
    last = OutgoingDelete("k", True, 2.0)
    for delete in (
        OutgoingDelete("k", True, 0.0),
        OutgoingDelete("k", False, 1.0),
        last,
    ):
        outbox.delete(delete)
    assert len(outbox.kept_deletes()) == 2
    assert outbox.kept_deletes()[-1] is last


def test_too_many_deletes_drop_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number that is kept is bounded, and what is dropped is counted."""
    monkeypatch.setattr(limits, "MAX_KEPT_DELETES", 3)
    outbox = outbox_of({})
    for number in range(5):
        outbox.delete(OutgoingDelete(f"k{number}", True, float(number)))
    assert [delete.path for delete in outbox.kept_deletes()] == ["k2", "k3", "k4"]
    assert outbox.dropped_deletes == 2


def test_old_deletes_are_dropped() -> None:
    """A Pacemaker that was away for an hour does not get what was deleted before."""
    outbox = outbox_of({})
    outbox.delete(OutgoingDelete("old", True, 0.0))
    outbox.delete(OutgoingDelete("new", True, 100.0))
    outbox.came_up((), limits.MAX_DELETE_AGE_S + 50)
    assert [
        item.path for item in taken(outbox) if isinstance(item, OutgoingDelete)
    ] == ["new"]
    assert outbox.dropped_deletes == 1


def sent_keys(outbox: Outbox) -> list[str]:
    """Take everything that may be sent, and return the keys of the pulses."""
    return [item.key for item in taken(outbox) if isinstance(item, OutgoingPulse)]


def test_first_unanswered_pulse_is_sent_alone_after_a_loss() -> None:
    """It may be why the connection was lost, and would take the others with it."""
    outbox = outbox_of({"a": b"1", "b": b"1", "c": b"1"})
    outbox.came_up("abc", 0.0)
    first, *rest = taken(outbox)
    assert [item.key for item in rest if isinstance(item, OutgoingPulse)] == ["b", "c"]
    outbox.went_down(1.0)
    outbox.came_up("abc", 1.1)
    assert sent_keys(outbox) == ["b", "c"]
    outbox.pulse("a")
    outbox.acknowledged(rest[0])
    assert (sent_keys(outbox), outbox.waiting_pulses) == ([], 1)
    outbox.acknowledged(rest[1])
    assert sent_keys(outbox) == ["a"]
    outbox.acknowledged(first)
    outbox.pulse("a")
    outbox.pulse("b")
    assert sent_keys(outbox) == ["a", "b"]


def test_pulse_that_ends_one_connection_after_another_waits_longer() -> None:
    """Each attempt costs all workers a reconnect."""
    outbox = outbox_of({"a": b"1"})
    now_s, waits_s = 0.0, []
    outbox.came_up("a", now_s)
    assert sent_keys(outbox) == ["a"]
    for _ in range(4):
        lost_s = now_s
        outbox.went_down(lost_s)
        assert outbox.next_s is None
        outbox.came_up("a", lost_s)
        while not sent_keys(outbox):
            assert outbox.next_s is not None
            now_s = outbox.next_s
            outbox.tick("a", now_s)
        waits_s.append(now_s - lost_s)
    assert waits_s == [0, 1, 2, 4]


def test_innocent_suspect_is_sent_however_busy_the_others_are() -> None:
    """After a second, the others wait until nothing is in flight, and it is stored."""
    outbox = outbox_of({"a": b"1", "b": b"1", "c": b"1"})
    outbox.came_up("abc", 0.0)
    taken(outbox)
    outbox.went_down(0.0)
    outbox.came_up("abc", 0.0)
    (b, c), now_s = taken(outbox), 0.0
    while now_s < 0.95:
        now_s += 0.1
        outbox.tick("", now_s)
        outbox.pulse("b")
        outbox.acknowledged(b)
        (b,) = taken(outbox)
        outbox.pulse("c")
        outbox.acknowledged(c)
        (c,) = taken(outbox)
    outbox.tick("", 1.0)
    outbox.pulse("b")
    outbox.acknowledged(b)
    assert not taken(outbox)
    outbox.acknowledged(c)
    (a, b) = taken(outbox)
    assert [item.key for item in (a, b) if isinstance(item, OutgoingPulse)] == [
        "a",
        "b",
    ]


def test_suspect_that_was_deleted_is_forgotten() -> None:
    """Its worker has stopped."""
    values = {"a": b"1"}
    outbox = outbox_of(values)
    outbox.came_up("a", 0.0)
    assert sent_keys(outbox) == ["a"]
    outbox.went_down(0.0)
    del values["a"]
    outbox.came_up("", 0.0)
    assert (sent_keys(outbox), outbox.waiting_pulses) == ([], 0)
    values["a"] = b"2"
    outbox.pulse("a")
    assert sent_keys(outbox) == ["a"]


def test_dropped_pulse_is_counted() -> None:
    """A dropped pulse is counted only if it was waiting, not if it was sent."""
    outbox = outbox_of({"waits": b"1", "sent": b"1", "behind": b"1"})
    outbox.came_up((), 0.0)
    for key in ("sent", "behind"):
        outbox.pulse(key)
        taken(outbox)
    outbox.pulse("behind")
    outbox.pulse("waits")
    for key in ("sent", "behind", "waits"):
        outbox.drop(key)
    assert outbox.dropped_pulses == 2


@pytest.mark.parametrize(
    ("path", "is_tree"), [("/w/t", True), ("/w/t/k", True), ("/w/t/k", False)]
)
def test_delete_shows_what_it_is(path: str, is_tree: bool) -> None:
    """The repr names the delete, for the log of a bug."""
    assert path in repr(OutgoingDelete(path, is_tree, 0.0))
    assert str(is_tree) in repr(OutgoingDelete(path, is_tree, 0.0))
