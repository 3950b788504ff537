"""Tests of tests.cluster.results: no cluster is needed to add figures up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cluster import results
from tests.cluster.results import FILE, Case, Sum, append, recorded, restored

OURS = Case("2. one is killed", "2.8.3", "storm-pacemaker-py")
JVM = OURS._replace(pacemaker="JVM")


def one_try(case: Case, **figures: Any) -> dict[str, Any]:
    """Return the figures of a try as they are recorded."""
    usual = {"back_s": 2.5, "lost": 3, "moved": 0, "executors": 12, "round_s": 10.1}
    return {**case._asdict(), **usual, "nimbus_ended": 0, **figures}


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page with nothing in it yet, and nothing tried."""
    monkeypatch.setenv("CLUSTER_RESULTS", str(tmp_path / "tries"))
    path = tmp_path / "page.md"
    monkeypatch.setattr(results, "PAGE", path)
    monkeypatch.setattr(results, "SUMS", tmp_path / "page.jsonl")
    path.write_text("Before\n<!-- results: begin -->\n<!-- results: end -->\nAfter\n")
    results.SUMS.write_text("")
    return path


def test_tries_are_added_to_those_of_other_runs(page: Path) -> None:
    """The least and the most of all, each number that moved, and once each."""
    append(FILE, one_try(JVM))
    results.write_table()
    for figures in ({"back_s": 0.5, "moved": 4}, {"lost": 9, "nimbus_ended": 1}):
        append(FILE, one_try(OURS, **figures))
    results.write_table()
    before = page.read_text()
    results.write_table()
    assert page.read_text() == before
    assert recorded(FILE) == []
    assert restored()[OURS] == Sum(
        2, 12, [0.5, 2.5], [3, 9], moved=[0, 4], round_s=[10.1, 10.1], nimbus_ended=1
    )
    assert restored()[JVM].tries == 1


def test_table_says_where_more_moved_than_with_the_jvm(page: Path) -> None:
    """A row for each case, and what stands out among those tried with both."""
    for case, moved in ((OURS, 6), (JVM, 4), (OURS._replace(release="1.2.4"), 6)):
        append(FILE, one_try(case, moved=moved))
    results.write_table()
    text = page.read_text()
    assert (
        "| 2. one is killed | 2.8.3 | storm-pacemaker-py | 1 | 2.5 s | 3 | 6 of 12 |"
        " 10.1 s | 0 of 1 |\n"
    ) in text
    assert "of the JVM's in: 2. one is killed (2.8.3).\n" in text
    assert text.startswith("Before\n<!-- results: begin -->\n| scenario |")
    assert text.endswith("<!-- results: end -->\nAfter\n")


def test_published_table_is_made_of_the_published_sums() -> None:
    """Nobody has changed one of them by hand, and not the other."""
    assert results.table(restored()) in results.PAGE.read_text()
