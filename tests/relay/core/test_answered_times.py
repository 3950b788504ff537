"""The times that the relay has answered."""

from __future__ import annotations

from pacemaker.relay.core.answered_times import AnsweredTimes


def test_last_answered_time_is_remembered() -> None:
    """The last time is remembered; an unreadable answer does not change it."""
    times = AnsweredTimes()
    assert times.get("k") is None
    times.note("k", 5)
    times.note("k", None)
    assert times.get("k") == 5
    times.forget("k")
    assert times.get("k") is None
    assert "keys=0" in repr(times)


def test_key_that_was_not_read_for_longest_is_forgotten_first() -> None:
    """The number of keys is bounded."""
    times = AnsweredTimes(most=2)
    for key in ("a", "b", "a", "c"):
        times.note(key, 1)
    assert dict(times.items()) == {"a": 1, "c": 1}
    assert len(times) == 2
