"""Tests of pacemaker.server.io.page_returns."""

from __future__ import annotations

import pytest

from pacemaker.server.io.buffers.buffer_budget import BufferBudget
from pacemaker.server.io.page_returns import PageReturns
from pacemaker.server.process import memory
from tests.server.io.hand import Clock


def test_pages_are_returned_for_each_eighth_of_the_budget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However small the evicted buffers are."""
    returned: list[int] = []
    evicted_bytes = 0
    monkeypatch.setattr(
        memory, "return_free_pages", lambda: returned.append(evicted_bytes)
    )
    page_returns = PageReturns(BufferBudget(800), Clock())
    for _ in range(8):
        evicted_bytes += 30
        page_returns.note_evicted(30)
    assert returned == [120, 240]


def test_returning_takes_a_tenth_of_the_time_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If it took 1 s, the thread serves for 9 s before the next time."""
    clock = Clock()
    returned_s: list[float] = []

    def take_a_second() -> None:
        returned_s.append(clock())
        clock.now_s += 1.0

    monkeypatch.setattr(memory, "return_free_pages", take_a_second)
    page_returns = PageReturns(BufferBudget(800), clock)
    for _ in range(12):
        page_returns.note_evicted(100)
        clock.now_s += 1.0
    assert returned_s == [1000.0, 1010.0]
