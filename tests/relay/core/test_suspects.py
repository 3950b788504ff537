"""Tests of pacemaker.relay.core.suspects."""

from __future__ import annotations

from pacemaker.relay.core.suspects import Suspects


def waits_s(suspects: Suspects, losses: int) -> list[float]:
    """Return how long a key waits after each loss in a row."""
    waits = []
    for _ in range(losses):
        now_s = 100.0
        suspects.suspect("k", now_s)
        while suspects.pop_due() is None:
            assert suspects.next_s is not None
            now_s = suspects.next_s
            suspects.tick(now_s)
        waits.append(now_s - 100.0)
    return waits


def test_suspect_waits_twice_as_long_after_each_loss() -> None:
    """Not after the first, and never for more than a minute."""
    assert waits_s(Suspects(), 9) == [0, 1, 2, 4, 8, 16, 32, 60, 60]


def test_suspect_that_was_stored_is_trusted_again() -> None:
    """The next loss counts as the first."""
    suspects = Suspects()
    waits_s(suspects, 5)
    suspects.clear("k")
    assert waits_s(suspects, 2) == [0, 1]


def test_suspect_is_known_until_it_is_taken() -> None:
    """Whether it waits or may be sent."""
    suspects = Suspects()
    suspects.suspect("k", 0.0)
    assert ("k" in suspects, len(suspects)) == (True, 1)
    assert suspects.pop_due() == "k"
    assert ("k" in suspects, len(suspects)) == (False, 0)
    suspects.suspect("k", 0.0)
    assert ("k" in suspects, suspects.pop_due()) == (True, None)
    suspects.tick(0.9)
    assert suspects.pop_due() is None
    suspects.tick(1.0)
    assert suspects.pop_due() == "k"


def test_suspect_is_urgent_once_it_has_yielded_for_a_second() -> None:
    """It may be sent before, if nothing else is on its way."""
    suspects = Suspects()
    for key in ("a", "b"):
        suspects.suspect(key, 5.0)
    suspects.tick(5.9)
    assert not suspects.are_urgent
    assert suspects.pop_due() == "a"
    suspects.tick(6.0)
    assert (suspects.are_urgent, "b" in suspects, len(suspects)) == (True, True, 1)
    assert suspects.next_s is None
    assert suspects.pop_due() == "b"
    assert not suspects.are_urgent


def test_cleared_suspect_waits_no_more() -> None:
    """One that may be sent, and one that waits."""
    suspects = Suspects()
    for key in ("a", "b", "b"):
        suspects.suspect(key, 0.0)
    suspects.clear("a")
    suspects.clear("b")
    suspects.clear("unknown")
    suspects.tick(100.0)
    assert (len(suspects), suspects.pop_due()) == (0, None)
