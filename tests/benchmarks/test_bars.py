"""Tests of benchmarks.bars."""

from __future__ import annotations

import pytest

from benchmarks.bars import BARS, Bar
from benchmarks.plans import PLANS
from benchmarks.results import Column, RowResult
from benchmarks.rows import ROWS
from benchmarks.variants import DIRECTLY, RELAYED
from tests.benchmarks import made_up


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (None, "not measured"),
        (1.4, "met"),
        (1.5, "must met, aim missed"),
        (2.0, "must met, aim missed"),
        (2.1, "MISSED"),
    ],
)
def test_less_is_better(value: float | None, verdict: str) -> None:
    """A bar itself is reached; beyond the must nothing is excused."""
    assert Bar("", lambda _: value, 2.0, 1.4).verdict(value) == verdict


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(6.0, "met"), (5.9, "must met, aim missed"), (2.9, "MISSED")],
)
def test_more_is_better_where_a_bar_says_so(value: float, verdict: str) -> None:
    """Throughput has to be above its bars."""
    assert Bar("", lambda _: value, 3.0, 6.0, is_least=True).verdict(value) == verdict


def test_bar_without_an_aim_is_met_by_its_must() -> None:
    """There is no more to wish for."""
    assert Bar("", lambda _: 1.0, 1.0, None).verdict(1.0) == "met"


def test_bars_read_the_figures_of_their_rows() -> None:
    """The first, third and fifth: ours beside the floor, the JVM's and redis."""
    values = [bar.value(made_up.results()) for bar in BARS]
    assert values[0] == 2.0
    assert values[2] == pytest.approx(0.4)
    assert values[4] == pytest.approx(1.2)


def test_worst_row_is_the_one_that_counts() -> None:
    """A latency above the JVM's in one row is not made up for by another."""
    slow = made_up.request_row("mix")
    slow.columns["ours"].figures["p99_us"] = 9_000.0
    (bar,) = (bar for bar in BARS if bar.what.startswith("p99,"))
    value = bar.value(made_up.results(made_up.request_row(), slow))
    assert value == pytest.approx(1.5)
    assert bar.verdict(value) == "MISSED"
    assert bar.floor is not None
    assert bar.floor(made_up.results()) == pytest.approx(0.2)


def test_relay_is_judged_by_its_memory_its_time_and_what_it_adds() -> None:
    """The last three: MiB, percent of a core, and milliseconds beyond a direct read."""
    row = RowResult(
        "relay-10", "a host", "relay", {DIRECTLY: Column(), RELAYED: Column()}
    )
    row.columns[DIRECTLY].add(read_p99_us=500.0)
    row.columns[RELAYED].add(
        read_p99_us=2_600.0, cores=0.002, resident_bytes=40 * 2**20
    )
    found = [(bar.value(made_up.results(row)), bar) for bar in BARS[-3:]]
    assert [value for value, _ in found] == pytest.approx([40.0, 0.2, 2.1])
    assert [bar.verdict(value) for value, bar in found] == ["met", "met", "MISSED"]


def test_bars_of_an_empty_run_are_not_measured() -> None:
    """A run of one row leaves all other bars open, and breaks none."""
    empty = made_up.results()
    empty.rows.clear()
    assert {bar.verdict(bar.value(empty)) for bar in BARS} == {"not measured"}


def test_rows_have_names_of_their_own() -> None:
    """`make bench ROW=...` finds one row."""
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)


def test_quick_plan_leaves_out_what_takes_long() -> None:
    """Rows of many connections and of many keys; the full plan has every row."""
    full, quick = (
        {row.name for row in ROWS if row.fits(PLANS[name])}
        for name in ("full", "quick")
    )
    assert full == {row.name for row in ROWS}
    assert {"2k-2000", "cluster-1500", "store-1m-10"} <= full - quick
    assert {"2k-100", "mix", "store-100k-10", "pause"} <= quick
