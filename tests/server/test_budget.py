"""Tests of pacemaker.server.budget."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacemaker.server.budget import BufferBudget


def test_holders_that_fit_stay() -> None:
    """Up to the budget, to the byte, nobody has to go."""
    budget: BufferBudget[str] = BufferBudget(100)
    assert budget.hold("a", 60) is None
    assert budget.hold("b", 40) is None
    assert budget.total_bytes == 100


def test_largest_holder_goes() -> None:
    """Past the budget the one that holds most goes, whoever asked for more."""
    budget: BufferBudget[str] = BufferBudget(100)
    budget.hold("a", 60)
    budget.hold("b", 30)
    assert budget.hold("c", 11) == "a"
    assert budget.total_bytes == 41


def test_holder_that_asks_for_most_goes_itself() -> None:
    """Where the last one is the largest, nobody else suffers."""
    budget: BufferBudget[str] = BufferBudget(100)
    budget.hold("a", 30)
    assert budget.hold("b", 80) == "b"
    assert budget.total_bytes == 30


def test_what_a_holder_says_replaces_what_it_said() -> None:
    """A holder counts with its last size; with none it is forgotten."""
    budget: BufferBudget[str] = BufferBudget(100)
    budget.hold("a", 90)
    budget.hold("a", 20)
    assert budget.total_bytes == 20
    budget.hold("a", 0)
    assert budget.total_bytes == 0
    assert budget._held == {}


def test_who_had_to_go_may_say_so() -> None:
    """A connection that ends after its eviction frees nothing a second time."""
    budget: BufferBudget[str] = BufferBudget(100)
    budget.hold("a", 30)
    assert budget.hold("b", 101) == "b"
    assert budget.hold("b", 0) is None
    assert budget.total_bytes == 30


def test_ebb_is_counted_from_the_highest_since_it_was_asked_for() -> None:
    """What has been freed since the last time is told once."""
    budget: BufferBudget[str] = BufferBudget(100)
    assert budget.take_ebb_bytes() == 0
    for size in (50, 80, 10):
        budget.hold("a", size)
    assert budget.take_ebb_bytes() == 70
    assert budget.take_ebb_bytes() == 0
    budget.hold("a", 5)
    budget.hold("b", 30)
    assert budget.take_ebb_bytes() == 0


def test_pages_are_given_back_for_each_eighth_of_the_budget() -> None:
    """What the evicted held is summed up until it is worth it, again and again."""
    budget: BufferBudget[str] = BufferBudget(800)
    answers = [budget.note_evicted(size) for size in (60, 39, 1, 99, 500, 99)]
    assert answers == [False, False, True, False, True, False]


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 150)), max_size=40))
def test_budget_is_kept_whatever_is_held(calls: list[tuple[str, int]]) -> None:
    """After each call all fit together, and the sum is that of those who stay."""
    budget: BufferBudget[str] = BufferBudget(200)
    held: dict[str, int] = {}
    for holder, size in calls:
        held[holder] = size
        evicted = budget.hold(holder, size)
        if evicted is not None:
            assert held[evicted] == max(held.values())
            del held[evicted]
        assert budget.total_bytes == sum(held.values()) <= 200


@pytest.mark.parametrize("seed", range(3))
def test_threads_agree_on_the_sum(seed: int) -> None:
    """Threads that hold and let go at once leave nothing counted behind."""
    budget: BufferBudget[tuple[int, int]] = BufferBudget(5_000)
    start = threading.Barrier(4)

    def hold_and_let_go(number: int) -> None:
        random = Random(seed * 10 + number)  # noqa: S311  (no secret)
        start.wait()
        for _ in range(500):
            budget.hold((number, random.randrange(10)), random.randrange(1_000))
        for other in range(10):
            budget.hold((number, other), 0)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(hold_and_let_go, range(4)))
    assert (budget.total_bytes, budget._held) == (0, {})
