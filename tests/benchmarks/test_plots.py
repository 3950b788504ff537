"""Tests of benchmarks.plots."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.plots import draw
from benchmarks.results import Results
from tests.benchmarks import made_up

MAX_BYTES = 60_000
"""Plots are kept beside the page."""


@pytest.mark.slow
def test_plots_of_the_same_results_are_the_same(tmp_path: Path) -> None:
    """No date, no chance: a page that is written anew has no other files."""
    results = made_up.results(made_up.request_row("2k-2000"))
    first, second = (draw(results, tmp_path / name) for name in ("1", "2"))
    assert [title for title, _ in first] == [title for title, _ in second]
    for (_, one), (_, other) in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
        assert one.stat().st_size < MAX_BYTES


@pytest.mark.slow
def test_plots_are_drawn_of_what_there_is(tmp_path: Path) -> None:
    """Requests give throughput, CPU time and, of one row, latencies."""
    drawn = draw(made_up.results(made_up.request_row("2k-2000")), tmp_path)
    assert [path.name for _, path in drawn] == [
        "throughput.svg",
        "cpu.svg",
        "latency.svg",
    ]
    assert draw(Results(), tmp_path) == []
