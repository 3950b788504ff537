"""Tests of benchmarks.isolation.history."""

from __future__ import annotations

import pytest

from benchmarks.isolation.history import (
    MISS,
    OK,
    STALE,
    WRONG,
    History,
    make_value,
)

SIZE = 64


@pytest.fixture
def history() -> History:
    """A key of which three pulses were sent, and two acknowledged."""
    history = History(7, SIZE)
    for _ in range(3):
        history.next_value()
    history.acknowledged = 1
    return history


def test_values_are_all_different() -> None:
    """Those of one key, and those of two."""
    history, other = History(7, SIZE), History(8, SIZE)
    values = {history.next_value() for _ in range(300)}
    values |= {other.next_value() for _ in range(300)}
    assert len(values) == 600
    assert {len(value) for value in values} == {SIZE}


@pytest.mark.parametrize(
    ("sequence", "outcome"), [(0, STALE), (1, OK), (2, OK), (3, WRONG)]
)
def test_read_finds_what_was_acknowledged_or_is_under_way(
    history: History, sequence: int, outcome: str
) -> None:
    """Nothing older, and nothing that nobody has sent."""
    assert history.judge(make_value(7, sequence, SIZE), 1) == outcome


def test_miss_is_right_before_anything_is_acknowledged(history: History) -> None:
    """And wrong after it."""
    assert history.judge(None, -1) == OK
    assert history.judge(None, 0) == MISS


@pytest.mark.parametrize(
    "value",
    [
        make_value(8, 1, SIZE),
        make_value(7, 1, SIZE - 1),
        make_value(7, 1, SIZE)[:-1] + b"?",
        b"",
    ],
)
def test_value_of_another_key_or_size_is_wrong(history: History, value: bytes) -> None:
    """Down to its last byte."""
    assert history.judge(value, 1) == WRONG
