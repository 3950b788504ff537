"""Write a run's results as Markdown tables, between two marks in a page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from benchmarks.bars import BARS, Bar
from benchmarks.results import Column, Results, RowResult, divided
from benchmarks.servers import KINDS

BEGIN: Final = "<!-- Written by `make bench` from here ... -->"
END: Final = "<!-- ... to here. -->"

_MIB: Final = 2**20
_NONE: Final = "-"


def insert(
    page: str, measured: str, begin_mark: str = BEGIN, end_mark: str = END
) -> str:
    """Replace the measured part of a page with a new run's.

    Raises:
        ValueError: the page lacks a mark, or they are in the wrong order.
    """
    before, begin, rest = page.partition(begin_mark)
    _, end, after = rest.partition(end_mark)
    if not begin or not end:
        raise ValueError(f"the page must have the lines {begin_mark} and {end_mark}")
    return f"{before}{begin}\n\n{measured.strip()}\n\n{end}{after}"


def describe(results: Results, plots: Sequence[tuple[str, str]] = ()) -> str:
    """Write all tables of a run.

    Args:
        results: the run's results.
        plots: title and file of each plot; the file is a link relative to the page.
    """
    parts = [
        _about(results),
        "### Targets",
        "Ratios to other servers in the same run.  A missed *must* is a defect.",
        bars_table(results),
        *(f"![{title}]({file})" for title, file in plots),
    ]
    for heading, kind, table in _TABLES:
        rows = [row for row in results.rows.values() if row.kind == kind]
        if rows:
            parts += [f"### {heading}", table(rows)]
    notes = _notes(results)
    if notes:
        parts += ["### What is missing, and why", notes]
    return "\n\n".join(parts) + "\n"


def row_table(row: RowResult) -> str:
    """Write the table of one row, and the reasons for missing columns."""
    table = next(table for _, kind, table in _TABLES if kind == row.kind)
    notes = [
        f"{server}: {column.note}"
        for server, column in row.columns.items()
        if column.note
    ]
    return "\n".join([table([row]), *notes])


def _about(results: Results) -> str:
    lines = [f"| {name} | {value} |" for name, value in results.machine.items()]
    lines += [
        f"| {KINDS[name].label} | {version} |"
        for name, version in results.versions.items()
    ]
    lines.append(f"| the run | {results.plan}, {results.minutes:.0f} minutes |")
    return "\n".join(["| | |", "|---|---|", *lines])


def bars_table(results: Results) -> str:
    """Write the table of the bars and the values reached."""
    lines = []
    for bar in BARS:
        value = bar.value(results)
        aim = _NONE if bar.aim is None else _amount(bar, bar.aim)
        reached = _NONE if value is None else f"**{_amount(bar, value)}**"
        floor = bar.floor(results) if bar.floor else None
        if floor is not None:
            reached += f" (the floor: {_amount(bar, floor)})"
        lines.append(
            f"| {bar.what} | {_amount(bar, bar.must)} | {aim} | {reached}"
            f" | {bar.verdict(value)} |"
        )
    return _table(("", "must", "aim", "reached", ""), lines)


def _amount(bar: Bar, value: float) -> str:
    number = _short(value)
    return number if bar.unit in ("", "x") else f"{number} {bar.unit}"


def _short(value: float) -> str:
    """Write a number with its significant digits only."""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _table(heads: Sequence[str], lines: Iterable[str]) -> str:
    head = "| " + " | ".join(heads) + " |"
    rule = "|---" * len(heads) + "|"
    return "\n".join([head, rule, *lines])


def _lines(
    rows: Sequence[RowResult],
    needs: str,
    cells: Callable[[RowResult, Column], Sequence[str]],
) -> list[str]:
    """Write a line for each server that has the figure `needs`, row by row."""
    lines = []
    for row in rows:
        title = row.title
        for server, column in row.columns.items():
            if needs in column.figures:
                label = KINDS[server].label if server in KINDS else server
                lines.append(
                    "| " + " | ".join([title, label, *cells(row, column)]) + " |"
                )
                title = ""
    return lines


def _requests(rows: Sequence[RowResult]) -> str:
    def saturated(row: RowResult, column: Column) -> Sequence[str]:
        figures = column.figures
        return [
            f"{figures['throughput_per_s']:,.0f}",
            f"{_short(figures['cpu_us'])} us",
            _times(row, column, "cpu_us", "floor"),
            _times(row, column, "cpu_us", "jvm"),
            _ms(figures["saturated_p99_us"]),
            _mib(figures["resident_bytes"]),
            f"{figures['written_bytes_per_request']:,.0f}",
        ]

    def at_rate(row: RowResult, column: Column) -> Sequence[str]:
        figures = column.figures
        return [
            f"{figures['rate_per_s']:,.0f}",
            *(_ms(figures[f"{name}_us"]) for name in ("p50", "p99", "p99.9", "max")),
            f"{_short(figures['cpu_at_rate_us'])} us",
        ]

    heads = ["", "", "requests/s", "CPU time per request", "times the floor's"]
    heads += ["times the JVM's", "p99", "resident", "bytes to disk per request"]
    rate_heads = ("", "", "requests/s", "p50", "p99", "p99.9", "largest")
    return "\n\n".join(
        [
            "The maximum throughput:",
            _table(heads, _lines(rows, "throughput_per_s", saturated)),
            "All servers at the same rate, half of the slowest server's maximum, sent"
            " whether or not replies arrive in time; the cores kept awake:",
            _table(
                (*rate_heads, "CPU time per request"), _lines(rows, "p50_us", at_rate)
            ),
        ]
    )


def _stores(rows: Sequence[RowResult]) -> str:
    def cells(row: RowResult, column: Column) -> Sequence[str]:
        figures = column.figures
        return [
            _ms(figures["list_us"]),
            _times(row, column, "list_us", "ours"),
            _ms(figures["delete_us"]),
            _times(row, column, "delete_us", "ours"),
        ]

    heads = ("", "", "list of the topologies", "times ours", "delete of 100 workers")
    return _table((*heads, "times ours"), _lines(rows, "delete_us", cells))


def _memory(rows: Sequence[RowResult]) -> str:
    def cells(row: RowResult, column: Column) -> Sequence[str]:
        figures = column.figures
        resident, content = figures["resident_bytes"], figures["content_bytes"]
        return [
            _mib(content),
            _mib(resident),
            f"{resident / content:.2f}",
            _mib(figures["rest_bytes"]),
            f"{figures['seconds']:.1f} s",
        ]

    heads = (
        "",
        "",
        "keys and values",
        "resident",
        "ratio",
        "resident before",
        "written in",
    )
    return _table(heads, _lines(rows, "content_bytes", cells))


def _latencies(rows: Sequence[RowResult]) -> str:
    def cells(row: RowResult, column: Column) -> Sequence[str]:
        figures = column.figures
        return [
            f"{figures['rate_per_s']:,.0f}",
            *(_ms(figures[f"{name}_us"]) for name in ("p50", "p99", "p99.9", "max")),
            f"{figures['lost']:,.0f}",
        ]

    heads = ("", "", "requests/s", "p50", "p99", "p99.9", "largest", "not answered")
    return _table(heads, _lines(rows, "p50_us", cells))


def _steady(rows: Sequence[RowResult]) -> str:
    def cells(row: RowResult, column: Column) -> Sequence[str]:
        figures = column.figures
        return [f"{figures['cores']:.2f}", _mib(figures["resident_bytes"])]

    costs = _table(
        ("", "", "cores used", "most resident"), _lines(rows, "cores", cells)
    )
    return f"{_latencies(rows)}\n\n{costs}"


def _starts(rows: Sequence[RowResult]) -> str:
    def cells(row: RowResult, column: Column) -> Sequence[str]:
        figures = column.figures
        return [f"{figures['start_s']:.2f} s", _mib(figures["rest_bytes"])]

    heads = ("", "", "start to first reply", "resident memory then")
    return _table(heads, _lines(rows, "start_s", cells))


def _variants(rows: Sequence[RowResult]) -> str:
    def cells(row: RowResult, column: Column) -> Sequence[str]:
        figures = column.figures
        return [
            f"{figures['throughput_per_s']:,.0f}",
            f"{_short(figures['cpu_us'])} us",
            _ms(figures["saturated_p99_us"]),
        ]

    heads = ("", "", "requests/s", "CPU time per request", "p99")
    return _table(heads, _lines(rows, "throughput_per_s", cells))


def _relays(rows: Sequence[RowResult]) -> str:
    def cells(row: RowResult, column: Column) -> Sequence[str]:
        figures = column.figures
        is_relayed = "relay_cpu_us" in figures
        return [
            *(
                _ms(figures[f"{name}_us"])
                for name in ("p50", "p99", "p99.9", "read_p99")
            ),
            f"{_short(figures['relay_cpu_us'])} us" if is_relayed else _NONE,
            f"{_short(figures['pacemaker_cpu_us'])} us",
            f"{100 * figures['cores']:.2f} %" if is_relayed else _NONE,
            _mib(figures["resident_bytes"]) if is_relayed else _NONE,
        ]

    pulses = ("p50 of a pulse", "p99", "p99.9", "p99 of a read")
    times = ("CPU time of the relay per pulse", "of the Pacemaker")
    heads = ("", "", *pulses, *times, "the relay's part of a core", "its memory")
    return _table(heads, _lines(rows, "pacemaker_cpu_us", cells))


def _notes(results: Results) -> str:
    lines = [
        f"| {row.title} | {KINDS[server].label} | {column.note} |"
        for row in results.rows.values()
        for server, column in row.columns.items()
        if column.note
    ]
    return _table(("", "", ""), lines) if lines else ""


def _times(row: RowResult, column: Column, figure: str, base: str) -> str:
    other = row.columns.get(base)
    ratio = divided(
        column.figures[figure], None if other is None else other.figures.get(figure)
    )
    return _NONE if ratio is None else _short(ratio)


def _ms(us: float) -> str:
    return f"{_short(us / 1e3)} ms"


def _mib(size_bytes: float) -> str:
    return f"{size_bytes / _MIB:,.0f} MiB"


_TABLES: Final = (
    ("Requests", "requests", _requests),
    ("A list and a delete", "store", _stores),
    ("Memory of the heartbeats", "memory", _memory),
    ("Pauses", "pause", _latencies),
    ("Start", "start", _starts),
    ("Clusters", "steady", _steady),
    ("A relay", "relay", _relays),
    ("I/O threads, history and endpoint", "variants", _variants),
)
