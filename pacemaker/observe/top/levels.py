"""What `top` shows at each level: a heading, columns and rows; without Textual."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from pacemaker.observe.views import tables
from pacemaker.observe.views.cluster_view import ClusterView, TopologyView
from pacemaker.observe.views.tables import Column
from pacemaker.observe.views.view_source import ViewSource
from pacemaker.texts import clipped, printable

# The most characters of a cell: anyone can write names of any length.
MAX_CELL_CHARACTERS: Final = 60

# The most troubles that are shown above the table.
MAX_TROUBLES: Final = 8

TOPOLOGIES, COMPONENTS, WORKERS, EXECUTORS = (
    "topologies",
    "components",
    "workers",
    "executors",
)


@dataclass(frozen=True, slots=True)
class Level:
    """One level: what is shown, and how.

    Attributes:
        kind: TOPOLOGIES, COMPONENTS, WORKERS or EXECUTORS.
        topology_id: the topology, except for TOPOLOGIES.
        component: for EXECUTORS: shows only those of this component.
        worker: for EXECUTORS: shows only those of this worker.
        sort: the name of the column that rows are sorted by.
        is_reversed: whether the order is reversed.
        filter_text: shows only rows that contain it.
        hidden: names of columns that are not shown.
    """

    kind: str = TOPOLOGIES
    topology_id: str = ""
    component: str | None = None
    worker: str | None = None
    sort: str = "state"
    is_reversed: bool = False
    filter_text: str = ""
    hidden: frozenset[str] = field(default_factory=frozenset)


class Cell(NamedTuple):
    """One cell: text that is safe in a terminal, and its alignment."""

    text: str
    is_number: bool


class SheetLine(NamedTuple):
    """One row.

    Attributes:
        key: identifies the row from refresh to refresh.
        letter: B, W or - for its colour.
        cells: one for each column.
    """

    key: str
    letter: str
    cells: list[Cell]


class Sheet(NamedTuple):
    """What a level shows.

    Attributes:
        heading: what the rows are, and of which topology.
        names: the names of the columns that are shown.
        titles: their titles; the title of the sorting column has an arrow.
        lines: the rows.
    """

    heading: str
    names: list[str]
    titles: list[Cell]
    lines: list[SheetLine]


DEFAULT_SORTS: Final = {
    TOPOLOGIES: "state",
    COMPONENTS: "capacity",
    WORKERS: "state",
    EXECUTORS: "tasks",
}


def sheet_of(level: Level, view: ClusterView, source: ViewSource) -> Sheet:
    """Return what a level shows now."""
    heading, columns, rows, key, letter = _content(level, view, source)
    by_name = {column.name: column for column in columns}
    order = by_name.get(level.sort, columns[0])
    found = tables.matching(rows, columns, level.filter_text)
    found = tables.sorted_rows(found, order, is_reversed=level.is_reversed)
    shown = [each for each in columns if each.name not in level.hidden] or columns[:1]
    return Sheet(
        safe(heading),
        [each.name for each in shown],
        [_title(each, order, level.is_reversed) for each in shown],
        [
            SheetLine(
                key(row),
                letter(row),
                [Cell(safe(each.text(row)), each.is_number) for each in shown],
            )
            for row in found
        ],
    )


def safe(text: str) -> str:
    """Return text that cannot drive a terminal, cut after `MAX_CELL_CHARACTERS`."""
    return clipped(printable(text[: MAX_CELL_CHARACTERS + 1]), MAX_CELL_CHARACTERS)


def _title(column: Column[Any], order: Column[Any], is_reversed: bool) -> Cell:
    if column is not order:
        return Cell(column.title, column.is_number)
    is_downwards = column.is_number != is_reversed
    return Cell(f"{column.title} {'v' if is_downwards else '^'}", column.is_number)


class _Content(NamedTuple):
    heading: str
    columns: Sequence[Column[Any]]
    rows: Sequence[Any]
    key: Callable[[Any], str]
    letter: Callable[[Any], str]


def _content(level: Level, view: ClusterView, source: ViewSource) -> _Content:
    if level.kind == TOPOLOGIES:
        columns = tables.topology_columns(view)
        return _Content(
            "topologies", columns, view.topologies, lambda t: t.id, columns[0].text
        )
    topology = view.topology(level.topology_id)
    if topology is None:
        return _Content(
            f"{level.topology_id} no longer exists",
            tables.component_columns(),
            [],
            str,
            lambda _: tables.FINE,
        )
    if level.kind == COMPONENTS:
        return _Content(
            f"{topology.name}: components",
            tables.component_columns(),
            topology.components,
            lambda c: c.name,
            lambda c: _letter(view, topology, c.name),
        )
    if level.kind == WORKERS:
        return _Content(
            f"{topology.name}: workers",
            tables.worker_columns(),
            topology.workers,
            lambda w: w.name,
            lambda w: _letter(view, topology, w.name),
        )
    of = level.component or level.worker or "all"
    rows = source.executors(level.topology_id, level.component, level.worker)
    return _Content(
        f"{topology.name}: executors of {of}",
        tables.executor_columns(),
        rows,
        lambda e: f"{e.tasks}",
        lambda _: tables.FINE,
    )


def _letter(view: ClusterView, topology: TopologyView, subject: str) -> str:
    found = [
        trouble.is_bad
        for trouble in view.troubles
        if trouble.topology_id == topology.id and trouble.subject == subject
    ]
    if not found:
        return tables.FINE
    return tables.BAD if any(found) else tables.WARNING


def opened(level: Level, key: str) -> Level | None:
    """Return the level below a row; None if there is none."""
    if level.kind == TOPOLOGIES:
        return _level(COMPONENTS, key)
    if level.kind == COMPONENTS:
        return _level(EXECUTORS, level.topology_id, component=key)
    if level.kind == WORKERS:
        return _level(EXECUTORS, level.topology_id, worker=key)
    return None


def switched(level: Level, kind: str) -> Level:
    """Return the level of the same topology that shows something else."""
    if level.kind == TOPOLOGIES:
        return level
    return _level(kind, level.topology_id)


def _level(
    kind: str, topology_id: str, component: str | None = None, worker: str | None = None
) -> Level:
    return Level(kind, topology_id, component, worker, DEFAULT_SORTS[kind])


def next_sort(level: Level, names: Sequence[str], step: int) -> Level:
    """Return the level sorted by a later column, or by an earlier one if `step` < 0."""
    place = names.index(level.sort) if level.sort in names else -step
    name = names[(place + step) % len(names)]
    return replace(level, sort=name, is_reversed=False)


def troubles(view: ClusterView) -> list[tuple[str, str]]:
    """Return the letter and the text of the worst troubles."""
    shown = [
        (tables.BAD if each.is_bad else tables.WARNING, safe_line(each.text))
        for each in view.troubles[:MAX_TROUBLES]
    ]
    more = len(view.troubles) - len(shown)
    return [*shown, (tables.WARNING, f"and {more} more")] if more > 0 else shown


def safe_line(text: str) -> str:
    """Return text that cannot drive a terminal, at most 200 characters."""
    return clipped(printable(text[:201]), 200)
