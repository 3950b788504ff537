"""The times that the relay has answered."""

from __future__ import annotations

from pacemaker.relay.core.remembered import Remembered


def test_last_answered_time_is_remembered() -> None:
    """The last time is remembered; an unreadable answer does not change it."""
    remembered = Remembered()
    assert remembered.get("k") is None
    remembered.answered("k", 5)
    remembered.answered("k", None)
    assert remembered.get("k") == 5
    remembered.forget("k")
    assert remembered.get("k") is None
    assert "keys=0" in repr(remembered)


def test_key_that_was_not_read_for_longest_is_forgotten_first() -> None:
    """The number of keys is bounded."""
    remembered = Remembered(most=2)
    for key in ("a", "b", "a", "c"):
        remembered.answered(key, 1)
    assert dict(remembered.items()) == {"a": 1, "c": 1}
    assert len(remembered) == 2
