"""The columns: texts, order and filter."""

from __future__ import annotations

import pytest

from pacemaker.observe.views import tables
from pacemaker.observe.views.make_views import make_cluster_view, make_executor_views
from tests.observe import made_up
from tests.observe.made_up import NOW, TOPOLOGY


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "?"),
        (0, "0.0"),
        (0.417, "0.42"),
        (57.14, "57.1"),
        (3120.4, "3,120"),
        (1_234_567, "1.2M"),
    ],
)
def test_rates_have_three_digits(value: float | None, text: str) -> None:
    """They are short, and unknown ones say so."""
    assert tables.rate_text(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "?"),
        (0, "0s"),
        (59.6, "1m00s"),
        (3900, "1h05m"),
        (90000, "1d01h"),
        (-5, "-5s"),
    ],
)
def test_spans_have_two_units(seconds: float | None, text: str) -> None:
    """As `top` of the system has them."""
    assert tables.duration_text(seconds) == text


def test_rows_show_a_topology_and_all_below_it() -> None:
    """Each table has a text for every cell."""
    cluster = made_up.running()
    cluster.on_nodes(made_up.NODES)
    view = make_cluster_view(cluster, NOW)
    topology = view.topologies[0]
    cells = {c.name: c.text(topology) for c in tables.topology_columns(view)}
    assert cells == {
        "state": "-",
        "name": "words",
        "status": "ACTIVE",
        "workers": "2/2",
        "executors": "5/5",
        "oldest": "0s",
        "restarts": "0",
        "emitted": "1.83",
        "acked": "1.00",
        "failed": "0.0",
        "latency": "40.000",
        "capacity": "0.010",
        "where": "count",
    }
    count = topology.components[1]
    assert [c.text(count) for c in tables.component_columns()][:3] == [
        "count",
        "bolt",
        "2/2",
    ]
    worker = topology.workers[0]
    assert [c.text(worker) for c in tables.worker_columns()][:4] == [
        "-",
        "alpha:6700",
        "ok",
        "0s",
    ]
    executor = make_executor_views(cluster, cluster.topologies[TOPOLOGY])[0]
    assert [c.text(executor) for c in tables.executor_columns()][:2] == [
        "1",
        "__acker",
    ]


def test_unknown_values_sort_last() -> None:
    """Numbers go down, texts up, whichever way is chosen."""
    numbers: tables.Column[int | None] = tables.Column("n", "N", str, lambda row: row)
    assert tables.sorted_rows([1, None, 3], numbers) == [3, 1, None]
    assert tables.sorted_rows([1, None, 3], numbers, is_reversed=True) == [1, 3, None]
    texts: tables.Column[str] = tables.Column("t", "T", str, lambda row: row, False)
    assert tables.sorted_rows(["b", "a"], texts) == ["a", "b"]


def test_a_filter_finds_text_in_any_column() -> None:
    """Without regard to case."""
    texts: tables.Column[str] = tables.Column("t", "T", str, lambda row: row, False)
    assert tables.matching(["Words", "other"], [texts], "wORD") == ["Words"]
