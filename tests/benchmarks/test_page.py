"""Tests of benchmarks.page."""

from __future__ import annotations

import pytest

from benchmarks import page
from tests.benchmarks import made_up

BY_HAND = f"# Performance\n\nBefore.\n\n{page.BEGIN}\nold\n{page.END}\n\nBehind.\n"


def test_page_keeps_what_was_written_by_hand() -> None:
    """Only what stands between the marks is another run's."""
    once = page.insert(BY_HAND, "new\n")
    assert once == BY_HAND.replace("\nold\n", "\n\nnew\n\n")
    assert page.insert(once, "new\n") == once


@pytest.mark.parametrize("mark", [page.BEGIN, page.END])
def test_page_without_a_mark_is_left_alone(mark: str) -> None:
    """Nothing by hand is written over."""
    with pytest.raises(ValueError, match="must have the lines"):
        page.insert(BY_HAND.replace(mark, ""), "new")


def test_page_shows_what_each_server_did() -> None:
    """A line for each server that was measured, with ratios beside it."""
    text = page.describe(made_up.results())
    assert "| pulses | storm-pacemaker-py | 83,333 | 12 us | 2 | 0.40 |" in text
    assert "|  | Storm's JVM | 33,333 | 30 us | 5 | 1 |" in text
    assert "| pulses | storm-pacemaker-py | 1,000 | 1.20 ms | 2.40 ms |" in text


def test_page_says_what_is_not_there() -> None:
    """A server that could not take part is named with the reason."""
    text = page.describe(made_up.results())
    assert "| pulses | ZooKeeper | takes less than that |" in text


def test_page_shows_a_must_that_is_missed() -> None:
    """In capitals, beside what was demanded and what was reached."""
    results = made_up.results()
    results.rows["2k-100"].columns["ours"].figures["cpu_us"] = 15.0
    (line,) = (
        line
        for line in page.bars_table(results).splitlines()
        if "times the floor's, 100 connections" in line
    )
    assert line.endswith("| 2 | 1.40 | **2.50** | MISSED |")


def test_page_links_its_plots() -> None:
    """By their title and their file."""
    text = page.describe(made_up.results(), [("Much", "plots/much.svg")])
    assert "![Much](plots/much.svg)" in text


def test_one_row_is_shown_with_its_notes() -> None:
    """What is printed while a run goes on."""
    text = page.row_table(made_up.request_row())
    assert "storm-pacemaker-py" in text
    assert text.endswith("zookeeper: takes less than that")
