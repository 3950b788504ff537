"""Tests of benchmarks.isolation.page, and of the published results."""

from __future__ import annotations

from pathlib import Path

from benchmarks.isolation import page
from benchmarks.isolation.__main__ import PAGE
from benchmarks.isolation.results import restore, save
from benchmarks.page import insert
from tests.benchmarks.isolation import made_up


def test_page_shows_what_honest_peers_saw() -> None:
    """A line for each attack, with its verdict."""
    text = page.describe(made_up.results(made_up.row(0.120, 0.010)))
    assert "### Attackers with one address" in text
    assert (
        "| churn | 30.0 ms | 60.0 ms | 120 ms | 240 ms | 10.0 ms | 12.0 | 0 | 0"
        " | 0.00 s | 100 MiB | MISSED: p99.9 |" in text
    )
    limits = "| churn | 0.10 s | 1.50 s | 0.50 s | 0, 0, 0 | 0 | - |"
    assert f"{limits} 4.0 ms | 12.0 ms | - | - |" in text
    assert "| churn | they come and go |" in text


def test_page_says_why_a_row_is_empty() -> None:
    """In its own line."""
    row = made_up.row()
    row.server, row.figures, row.note = "jvm", None, "there is no Java"
    text = page.describe(made_up.results(row))
    assert "### Storm's own Pacemaker" in text
    assert "| churn |" + " - |" * 10 + " there is no Java |" in text


def test_page_in_the_repository_has_its_marks() -> None:
    """So that the next run can write it."""
    text = insert(PAGE.read_text(), "measured", page.BEGIN, page.END)
    assert f"{page.BEGIN}\n\nmeasured\n\n{page.END}" in text


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    """Rows with figures, and rows without."""
    empty = made_up.row()
    empty.figures = None
    results = made_up.results(made_up.row(), empty)
    save(results, tmp_path / "results.json")
    assert restore(tmp_path / "results.json") == results
