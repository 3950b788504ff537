"""The schedule: each worker once an interval, in the order of the scheduled times."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from pacemaker.simulate.schedule import Schedule


def schedule(workers: int, seed: int = 1) -> Schedule:
    """Return one that begins at 100 s, with an interval of 3 s."""
    rng = random.Random(seed)  # noqa: S311  (no secret)
    return Schedule(workers, 3.0, rng, 100.0)


@given(st.integers(1, 50), st.integers())
def test_each_worker_is_due_once_an_interval(workers: int, seed: int) -> None:
    """In 9 s each has 3 pulses, 3 s apart, and all come in order."""
    found = list(schedule(workers, seed).pop_until(108.999999, 1000))
    due = [scheduled_s for _, scheduled_s in found]
    assert due == sorted(due)
    for worker in range(workers):
        own = [scheduled_s for number, scheduled_s in found if number == worker]
        assert [round(each_s - own[0], 6) for each_s in own] in ([0, 3, 6], [0, 3])
        assert 100 <= own[0] <= 103


def test_phases_are_spread() -> None:
    """Of 3,000 workers about a third is due in each second."""
    counts = [
        len(
            [
                at_s
                for _, at_s in schedule(3000).pop_until(103, 3000)
                if second <= at_s - 100 < second + 1
            ]
        )
        for second in range(3)
    ]
    assert all(800 < count < 1200 for count in counts)


def test_most_are_taken() -> None:
    """What is left for later is due then, by its own time and not by the clock's."""
    turns = schedule(10)
    first = list(turns.pop_until(200, 4))
    assert len(first) == 4
    assert turns.next_s < 103
    later = list(turns.pop_until(200, 6))
    assert {number for number, _ in first + later} == set(range(10))


def test_nothing_is_due_early() -> None:
    """Before the next is due there is none, and the clock reaches it exactly."""
    turns = schedule(3)
    assert list(turns.pop_until(turns.next_s - 1e-9, 10)) == []
    assert len(list(turns.pop_until(turns.next_s, 10))) == 1
