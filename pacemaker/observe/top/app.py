"""The application: Textual's widgets around `levels`."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Final

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.timer import Timer
from textual.widgets import DataTable, Footer, Input, Static

from pacemaker.observe.top import levels
from pacemaker.observe.top.levels import Cell, Level, Sheet, SheetLine
from pacemaker.observe.views import tables
from pacemaker.observe.views.cluster_view import ClusterView
from pacemaker.observe.views.troubles import sentence
from pacemaker.observe.views.view_source import ViewSource

# The refresh intervals that + and - choose from.
INTERVALS_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)

# Each colour also has a letter; see `levels.SheetLine`.
_STYLES: Final = {tables.BAD: "bold red", tables.WARNING: "yellow", tables.FINE: ""}


class TopApp(App[None]):
    """The topologies of a cluster, and what is below them.

    Args:
        source: gives the view; its methods are called on a thread of their own.
        sort: the column that topologies are sorted by.
        filter_text: shows only topologies that contain it.
        columns: the names of the columns of topologies.
        interval_s: how often the screen is refreshed.
    """

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #sentence { text-style: bold; height: auto; max-height: 3; }
    #freshness { color: $text-muted; height: 1; }
    #troubles { height: auto; max-height: 10; }
    #heading { text-style: bold; height: 1; margin-top: 1; }
    #filter { display: none; }
    #filter.is-open { display: block; }
    DataTable { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        ("q", "quit", "Quit"),
        ("escape", "leave", "Back"),
        ("c", "show('components')", "Components"),
        ("w", "show('workers')", "Workers"),
        ("e", "show('executors')", "Executors"),
        ("s", "sort(1)", "Sort"),
        ("S", "sort(-1)", "Sort back"),
        ("r", "reverse", "Reverse"),
        ("h", "hide", "Hide column"),
        ("H", "unhide", "All columns"),
        ("slash", "filter", "Filter"),
        ("plus", "interval(1)", "Slower"),
        ("minus", "interval(-1)", "Faster"),
    ]

    def __init__(
        self,
        source: ViewSource,
        sort: str,
        filter_text: str,
        columns: tuple[str, ...],
        interval_s: float,
    ) -> None:
        super().__init__()
        self._source = source
        # Only these columns are shown.  They are applied with the first view, because
        # the names of the others are not known before.
        self._columns = columns
        self._stack = [Level(sort=sort, filter_text=filter_text)]
        self._interval_s = interval_s
        self._sheet: Sheet | None = None
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        yield Static(id="sentence")
        yield Static(id="freshness")
        yield Static(id="troubles")
        yield Static(id="heading")
        yield DataTable(id="rows", cursor_type="row", zebra_stripes=True)
        yield Input(id="filter", placeholder="show only rows that contain ...")
        yield Footer()

    def on_mount(self) -> None:
        """Begin to refresh."""
        self._table.focus()
        self._restart_timer()
        self.load()

    def load(self) -> None:
        """Fetch the view on a thread, and show it."""
        self.run_worker(self._load, thread=True, exclusive=True, group="load")

    def _load(self) -> None:
        level = self._stack[-1]
        view = self._source.view()
        if level.kind == levels.TOPOLOGIES and self._columns:
            names = {column.name for column in tables.topology_columns(view)}
            level = self._stack[-1] = replace(
                level, hidden=frozenset(names - set(self._columns))
            )
            self._columns = ()
        sheet = levels.sheet_of(level, view, self._source)
        self.call_from_thread(self._show, level, view, sheet)

    def _show(self, level: Level, view: ClusterView, sheet: Sheet) -> None:
        if level != self._stack[-1]:
            return  # the user has gone elsewhere meanwhile
        self._static("sentence").update(Text(levels.safe_line(sentence(view))))
        freshness = levels.safe_line(tables.freshness(view))
        self._static("freshness").update(
            Text(f"{freshness}; every {self._interval_s:g} s")
        )
        lines = [
            Text(f"{letter} {text}", style=_STYLES[letter])
            for letter, text in levels.troubles(view)
        ]
        self._static("troubles").update(Text("\n").join(lines))
        filtered = f"  [filter: {level.filter_text}]" if level.filter_text else ""
        self._static("heading").update(Text(levels.safe_line(sheet.heading + filtered)))
        self._fill(sheet)

    def _fill(self, sheet: Sheet) -> None:
        rows = self._table
        selected = self._selected_key()
        scroll_y = rows.scroll_y
        is_same = self._sheet is not None and self._sheet.heading == sheet.heading
        self._sheet = sheet
        rows.clear(columns=True)
        for name, title in zip(sheet.names, sheet.titles, strict=True):
            rows.add_column(_text(title), key=name)
        for line in sheet.lines:
            rows.add_row(*_texts(line), key=line.key)
        keys = [line.key for line in sheet.lines]
        if is_same and selected in keys:
            rows.move_cursor(row=keys.index(selected), scroll=False)
            rows.scroll_to(y=scroll_y, animate=False)

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Open the row."""
        level = levels.opened(self._stack[-1], str(event.row_key.value))
        if level is not None:
            self._push(level)

    def action_leave(self) -> None:
        """Close the filter, or go up a level."""
        if self._filter.has_class("is-open"):
            self._close_filter()
        elif len(self._stack) > 1:
            self._stack.pop()
            self.load()

    def action_show(self, kind: str) -> None:
        """Show components, workers or executors of the topology."""
        level = levels.switched(self._stack[-1], kind)
        if level.kind != levels.TOPOLOGIES:
            del self._stack[1:]
            self._push(level)

    def action_sort(self, step: int) -> None:
        """Sort by the next column."""
        if self._sheet is not None:
            self._replace(levels.next_sort(self._stack[-1], self._sheet.names, step))

    def action_reverse(self) -> None:
        """Sort in the other direction."""
        level = self._stack[-1]
        self._replace(replace(level, is_reversed=not level.is_reversed))

    def action_hide(self) -> None:
        """Hide the column that the rows are sorted by, and sort by the next one."""
        level = self._stack[-1]
        if self._sheet is None or len(self._sheet.names) < 2:
            return
        following = levels.next_sort(level, self._sheet.names, 1)
        self._replace(replace(following, hidden=level.hidden | {level.sort}))

    def action_unhide(self) -> None:
        """Show all columns."""
        self._replace(replace(self._stack[-1], hidden=frozenset()))

    def action_filter(self) -> None:
        """Open the filter."""
        self._filter.value = self._stack[-1].filter_text
        self._filter.add_class("is-open")
        self._filter.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while the user types."""
        if self._filter.has_class("is-open"):
            self._replace(replace(self._stack[-1], filter_text=event.value))

    def on_input_submitted(self) -> None:
        """Keep the filter."""
        self._close_filter()

    def action_interval(self, step: int) -> None:
        """Refresh more or less often."""
        others = [each for each in INTERVALS_S if (each - self._interval_s) * step > 0]
        if others:
            self._interval_s = min(others) if step > 0 else max(others)
            self._restart_timer()
            self.load()

    def _restart_timer(self) -> None:
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_interval(self._interval_s, self.load)

    def _push(self, level: Level) -> None:
        self._stack.append(level)
        self.load()

    def _replace(self, level: Level) -> None:
        self._stack[-1] = level
        self.load()

    def _close_filter(self) -> None:
        self._filter.remove_class("is-open")
        self._table.focus()

    def _selected_key(self) -> str | None:
        rows = self._table
        if not rows.is_valid_row_index(rows.cursor_row):
            return None
        key = rows.coordinate_to_cell_key(rows.cursor_coordinate).row_key
        return key.value

    @property
    def _table(self) -> DataTable[Text]:
        return self.query_one("#rows", DataTable)

    @property
    def _filter(self) -> Input:
        return self.query_one("#filter", Input)

    def _static(self, name: str) -> Static:
        return self.query_one(f"#{name}", Static)


def _text(cell: Cell) -> Text:
    return Text(cell.text, justify="right" if cell.is_number else "left")


def _texts(line: SheetLine) -> list[Text]:
    style = _STYLES[line.letter]
    return [
        Text(cell.text, style=style, justify="right" if cell.is_number else "left")
        for cell in line.cells
    ]
