"""Functions that are called later."""

from __future__ import annotations

import math

from pacemaker.server.io.timers import Timers


def test_functions_are_due_in_the_order_of_their_times() -> None:
    """Timers with equal times run in the order in which they were added."""
    timers = Timers()
    done: list[int] = []
    for number, due_s in enumerate((2.0, 1.0, 2.0, 3.0)):
        timers.add(due_s, lambda number=number: done.append(number))  # type: ignore[misc]
    assert timers.next_s == 1.0
    assert timers.pop_due(0.9) is None
    while (function := timers.pop_due(2.0)) is not None:
        function()
    assert done == [1, 0, 2]
    assert timers.next_s == 3.0


def test_nothing_is_due_without_timers() -> None:
    """Without timers, an I/O thread waits for events only."""
    timers = Timers()
    assert timers.next_s == math.inf
    assert timers.pop_due(1e9) is None
