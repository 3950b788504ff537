"""The columns in which topologies, components, workers and executors are shown; pure.

`top`, `top --once` and the page show the same columns.  The text of a cell may contain
anything that a worker wrote, so it must be escaped before it is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from pacemaker.observe.decoding import executor_figures as fig
from pacemaker.observe.tracking.worker_states import STATES
from pacemaker.observe.views.cluster_view import (
    ClusterView,
    ComponentView,
    ExecutorView,
    TopologyView,
    WorkerView,
)

Row = TypeVar("Row")

# The letters beside the colours.
BAD, WARNING, FINE = "B", "W", "-"

UNKNOWN: Final = "?"


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """One column.

    Attributes:
        name: a word for the command line.
        title: its heading.
        text: returns the text of a cell.
        key: returns what rows are sorted by; None sorts last.
        is_number: whether cells are aligned to the right, and sorted downwards.
        help: what it means.
    """

    name: str
    title: str
    text: Callable[[Row], str]
    key: Callable[[Row], Any]
    is_number: bool = True
    help: str = ""


def rate_text(value: float | None) -> str:
    """Return a rate with about three digits: ``0.42``, ``57.1``, ``3,120``."""
    if value is None:
        return UNKNOWN
    if value >= 1_000_000:
        return f"{value / 1_000_000:,.1f}M"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 or value == 0 else f"{value:.2f}"


def duration_text(seconds: float | None) -> str:
    """Return a time span in its two largest units: ``1h05m``."""
    if seconds is None:
        return UNKNOWN
    left = round(seconds)
    if left < 0:
        return f"-{duration_text(-left)}"
    for unit_s, unit, small_s, small in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "m"),
        (60, "m", 1, "s"),
    ):
        if left >= unit_s:
            return f"{left // unit_s}{unit}{left % unit_s // small_s:02}{small}"
    return f"{left}s"


def decimal_text(value: float | None, digits: int = 3) -> str:
    """Return a number with a fixed number of decimals."""
    return UNKNOWN if value is None else f"{value:,.{digits}f}"


def present_of_expected(present: int, expected: int | None) -> str:
    """Return how many are present, of how many are expected: ``3/4``."""
    return f"{present}/{UNKNOWN if expected is None else expected}"


def severity(view: ClusterView, topology: TopologyView) -> str:
    """Return the letter of a topology's worst trouble."""
    of_topology = [t for t in view.troubles if t.topology_id == topology.id]
    if any(trouble.is_bad for trouble in of_topology):
        return BAD
    return WARNING if of_topology else FINE


def severity_of_state(state: str) -> str:
    """Return the letter of a worker's state."""
    if state in ("missing", "late", "unreadable", "gone"):
        return BAD
    return WARNING if state in ("starting", "loading", "leftover") else FINE


_RANKS: Final = {BAD: 0, WARNING: 1, FINE: 2}
_STATE_RANKS: Final = {state: rank for rank, state in enumerate(STATES)}


def topology_columns(view: ClusterView) -> tuple[Column[TopologyView], ...]:
    """Return the columns of the list of topologies."""
    letters = {each.id: severity(view, each) for each in view.topologies}
    return (
        Column(
            "state",
            "!",
            lambda t: letters[t.id],
            lambda t: _RANKS[letters[t.id]],
            False,
            "B bad, W warning, - fine",
        ),
        Column("name", "TOPOLOGY", lambda t: t.name, lambda t: t.name, False),
        Column("status", "STATUS", lambda t: t.status or UNKNOWN, _status, False),
        *_part_columns(),
        *_rate_columns(),
        Column(
            "latency",
            "COMPLETE MS",
            lambda t: decimal_text(t.complete_latency_ms),
            lambda t: t.complete_latency_ms,
            help="complete latency over 10 minutes",
        ),
        Column(
            "capacity",
            "CAPACITY",
            lambda t: UNKNOWN if t.fullest is None else decimal_text(t.fullest.load),
            lambda t: None if t.fullest is None else t.fullest.load,
            help="the highest of a bolt's executors; 1 is full",
        ),
        Column(
            "where",
            "WHERE",
            lambda t: "" if t.fullest is None else t.fullest.name,
            lambda t: "" if t.fullest is None else t.fullest.name,
            False,
            "the bolt with the highest capacity",
        ),
    )


def _part_columns() -> tuple[Column[TopologyView], ...]:
    """Return the columns about a topology's workers and executors."""
    return (
        Column(
            "workers",
            "WORKERS",
            lambda t: present_of_expected(t.workers_present, t.workers_expected),
            lambda t: t.workers_present,
            help="workers that send heartbeats, of those assigned",
        ),
        Column(
            "executors",
            "EXECUTORS",
            lambda t: present_of_expected(t.executors, t.executors_expected),
            lambda t: t.executors,
            help="executors in heartbeats, of those assigned",
        ),
        Column(
            "oldest",
            "OLDEST",
            lambda t: duration_text(t.oldest_age_s),
            lambda t: t.oldest_age_s,
            help="age of the oldest heartbeat",
        ),
        Column(
            "restarts",
            "RESTARTS",
            lambda t: str(t.restarts),
            lambda t: t.restarts,
            help="of workers, in 10 minutes",
        ),
    )


def _status(topology: TopologyView) -> str:
    return topology.status or ""


def _rate_columns() -> tuple[Column[Any], ...]:
    """Return the columns that topologies and components share."""
    return (
        Column(
            "emitted",
            "EMITTED/S",
            lambda row: rate_text(row.rates.emitted),
            lambda row: row.rates.emitted,
        ),
        Column(
            "acked",
            "ACKED/S",
            lambda row: rate_text(row.rates.acked),
            lambda row: row.rates.acked,
        ),
        Column(
            "failed",
            "FAILED %",
            lambda row: decimal_text(row.rates.failed_percent, 1),
            lambda row: row.rates.failed_percent,
        ),
    )


def component_columns() -> tuple[Column[ComponentView], ...]:
    """Return the columns of a topology's components."""
    return (
        Column("name", "COMPONENT", _guessed, lambda c: c.name, False),
        Column("kind", "KIND", _kind, _kind, False),
        Column(
            "executors",
            "EXECUTORS",
            lambda c: present_of_expected(c.executors, c.expected),
            lambda c: c.executors,
        ),
        *_rate_columns(),
        Column(
            "executed",
            "EXECUTED/S",
            lambda c: rate_text(c.rates.executed),
            lambda c: c.rates.executed,
        ),
        _latency("execute", "EXECUTE MS", fig.EXECUTE_MS),
        _latency("process", "PROCESS MS", fig.PROCESS_MS),
        _latency("complete", "COMPLETE MS", fig.COMPLETE_MS),
        Column(
            "capacity", "CAPACITY", lambda c: decimal_text(c.load), lambda c: c.load
        ),
        Column(
            "error",
            "LAST ERROR",
            lambda c: "" if c.error is None else c.error.summary,
            lambda c: 0 if c.error is None else -c.error.time_secs,
            False,
        ),
    )


def _guessed(component: ComponentView) -> str:
    return f"{component.name} (guess)" if component.is_guess else component.name


def _kind(component: ComponentView) -> str:
    return "spout" if component.is_spout else "bolt"


def _latency(name: str, title: str, figure: int) -> Column[Any]:
    return Column(
        name,
        title,
        lambda row: decimal_text(row.totals.latency_ms(figure)),
        lambda row: row.totals.latency_ms(figure),
    )


def worker_columns() -> tuple[Column[WorkerView], ...]:
    """Return the columns of a topology's workers."""
    return (
        Column(
            "state",
            "!",
            lambda w: severity_of_state(w.state),
            lambda w: _STATE_RANKS[w.state],
            False,
        ),
        Column("worker", "WORKER", lambda w: w.place, lambda w: w.place, False),
        Column("is", "STATE", lambda w: w.state, lambda w: w.state, False),
        Column("age", "AGE", lambda w: duration_text(w.age_s), lambda w: w.age_s),
        Column(
            "uptime",
            "UPTIME",
            lambda w: duration_text(w.uptime_secs),
            lambda w: w.uptime_secs,
        ),
        Column(
            "executors", "EXECUTORS", lambda w: str(w.executors), lambda w: w.executors
        ),
        Column("restarts", "RESTARTS", lambda w: str(w.restarts), lambda w: w.restarts),
        Column(
            "gap",
            "LONGEST GAP",
            lambda w: duration_text(w.longest_gap_secs),
            lambda w: w.longest_gap_secs,
        ),
        Column(
            "skew", "SKEW S", lambda w: decimal_text(w.skew_s, 1), lambda w: w.skew_s
        ),
        Column("size", "BYTES", lambda w: f"{w.size_bytes:,}", lambda w: w.size_bytes),
    )


def executor_columns() -> tuple[Column[ExecutorView], ...]:
    """Return the columns of executors."""
    return (
        Column("tasks", "TASKS", _tasks, lambda e: e.tasks, False),
        Column(
            "component",
            "COMPONENT",
            lambda e: e.component,
            lambda e: e.component,
            False,
        ),
        Column("worker", "WORKER", lambda e: e.worker, lambda e: e.worker, False),
        Column(
            "uptime",
            "UPTIME",
            lambda e: duration_text(e.uptime_secs),
            lambda e: e.uptime_secs,
        ),
        *_rate_columns(),
        Column(
            "executed",
            "EXECUTED/S",
            lambda e: rate_text(e.rates.executed),
            lambda e: e.rates.executed,
        ),
        _latency("execute", "EXECUTE MS", fig.EXECUTE_MS),
        _latency("process", "PROCESS MS", fig.PROCESS_MS),
        Column(
            "capacity",
            "CAPACITY",
            lambda e: decimal_text(e.capacity if e.busy is None else e.busy),
            lambda e: e.capacity if e.busy is None else e.busy,
        ),
    )


def _tasks(executor: ExecutorView) -> str:
    first, last = executor.tasks
    return str(first) if first == last else f"{first}-{last}"


def sorted_rows(
    rows: Sequence[Row], column: Column[Row], *, is_reversed: bool = False
) -> list[Row]:
    """Sort rows by a column: texts upwards, numbers downwards, unknown ones last."""
    known = [row for row in rows if column.key(row) is not None]
    unknown = [row for row in rows if column.key(row) is None]
    known.sort(key=column.key, reverse=column.is_number != is_reversed)
    return known + unknown


def matching(
    rows: Sequence[Row], columns: Sequence[Column[Row]], text: str
) -> list[Row]:
    """Return the rows of which a cell contains the text, without regard to case."""
    wanted = text.casefold()
    return [
        row
        for row in rows
        if any(wanted in column.text(row).casefold() for column in columns)
    ]


def freshness(view: ClusterView) -> str:
    """Say how old the data are, and which servers are missing."""
    age_s = view.data_age_s
    parts = ["no data yet" if age_s is None else f"data {age_s:.0f} s old"]
    present = len(view.servers) - len(view.absent)
    if view.servers:
        parts.append(f"Pacemakers {present}/{len(view.servers)}")
    if view.absent:
        parts.append("missing " + ", ".join(name for name, _ in view.absent))
    if not view.has_zookeeper:
        parts.append("no ZooKeeper: names are guesses")
    elif view.nodes_read_s is not None and view.nodes_problem is not None:
        parts.append(f"ZooKeeper {view.time_s - view.nodes_read_s:.0f} s old")
    return "; ".join(parts)
