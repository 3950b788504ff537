"""Cost classes: how costly a connection's recent events were."""

from __future__ import annotations

import pytest

from pacemaker.server.io.fairness.cost_classes import (
    GUESS_BYTES,
    NEW_CLASS,
    guessed_class,
    next_class,
)
from tests.wire.by_hand import send_pulse


def test_class_rises_and_falls_by_one_step_an_event() -> None:
    """One slow event is forgotten after some fast ones."""
    cost_class, classes = NEW_CLASS, []
    for elapsed_s in (*[0.00001] * 3, 0.0009, 0.0009, *[0.00001] * 3):
        cost_class = next_class(cost_class, elapsed_s, 1)
        classes.append(cost_class)
    assert classes == [1, 0, 0, 1, 2, 1, 0, 0]


@pytest.mark.parametrize(
    ("elapsed_s", "slice_cost", "expected"),
    [
        (0.00001, 1, 0),
        (0.00001, 8, 0),
        (0.00001, 9, 3),
        (0.00079, 1, 0),
        (0.00081, 1, 4),
        (0.00039, 30, 3),
        (0.0009, 30, 4),
    ],
)
def test_class_of_equal_events(
    elapsed_s: float, slice_cost: int, expected: int
) -> None:
    """The class settles at the class of the events, from below or from above."""
    for cost_class in (0, 9):
        for _ in range(9):
            cost_class = next_class(cost_class, elapsed_s, slice_cost)
        assert cost_class == expected


@pytest.mark.parametrize(
    ("first_bytes", "expected"),
    [
        (b"", NEW_CLASS),
        (send_pulse("/a", bytes(5000)), NEW_CLASS),
        (send_pulse("/a", bytes(6 * 1024)), NEW_CLASS + 1),
        (send_pulse("/a", b"1") * 2, NEW_CLASS),
        (send_pulse("/a", bytes(1000)) * 6, NEW_CLASS + 1),
        (bytes(100), NEW_CLASS + 1),
    ],
    ids=["nothing", "a heartbeat", "a large one", "two", "many", "garbage"],
)
def test_new_connection_is_guessed_to_be_costly_unless_it_has_sent_little(
    first_bytes: bytes, expected: int
) -> None:
    """A worker sends its first heartbeat."""
    assert guessed_class(first_bytes[:GUESS_BYTES]) == expected
