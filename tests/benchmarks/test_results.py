"""Tests of benchmarks.results."""

from __future__ import annotations

from pathlib import Path

from benchmarks.results import Column, divided, restore, save
from tests.benchmarks import made_up


def test_figure_is_the_median_of_its_rounds() -> None:
    """One round that was disturbed does not move a figure."""
    column = Column()
    for cpu_us in (12.0, 900.0, 10.0):
        column.add(cpu_us=cpu_us)
    assert column.figures == {"cpu_us": 12.0}
    assert column.rounds == {"cpu_us": [12.0, 900.0, 10.0]}


def test_ratio_is_of_two_servers_in_one_row() -> None:
    """Ours over the other's."""
    assert made_up.results().ratio("2k-100", "cpu_us", "ours", "floor") == 2.0


def test_ratio_is_none_where_anything_is_missing() -> None:
    """No row, no server, no figure, or nothing to divide by: no ratio."""
    results = made_up.results()
    assert results.ratio("1m-20", "cpu_us", "ours", "jvm") is None
    assert results.ratio("2k-100", "cpu_us", "ours", "zookeeper") is None
    assert results.ratio("2k-100", "cpu_us", "ours", "valkey") is None
    assert results.ratio("2k-100", "list_us", "ours", "jvm") is None
    assert divided(1.0, 0.0) is None


def test_percentiles_have_a_median_each() -> None:
    """The median of each over the rounds, whichever round it is from."""
    column = Column()
    for p50_us, p999_us in ((1.0, 9.0), (3.0, 5.0), (2.0, 7.0)):
        column.add(cpu_us=1.0, **{"p50_us": p50_us, "p99.9_us": p999_us})
    assert column.percentiles_us == {50.0: 2.0, 99.9: 7.0}


def test_results_are_restored_as_they_were_saved(tmp_path: Path) -> None:
    """The file holds all that there is."""
    results = made_up.results()
    save(results, tmp_path / "some" / "results.json")
    assert restore(tmp_path / "some" / "results.json") == results
    assert [each.name for each in (tmp_path / "some").iterdir()] == ["results.json"]


def test_rounds_of_a_figure_are_one_line_of_the_file(tmp_path: Path) -> None:
    """A person can read it, and what has changed from one run to the next."""
    results = made_up.results()
    results.rows["2k-100"].columns["ours"].add(cpu_us=13.0)
    save(results, tmp_path / "results.json")
    lines = (tmp_path / "results.json").read_text().splitlines()
    assert '"cpu_us": [12.0, 13.0],' in map(str.strip, lines)
