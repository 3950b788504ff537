"""The tables of a run in Markdown, inserted between two marks of a handwritten page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from benchmarks.isolation import judge
from benchmarks.isolation.figures import Figures
from benchmarks.isolation.results import Results, Row

BEGIN: Final = "<!-- Written by `make isolation` from here ... -->"
END: Final = "<!-- ... to here. -->"

_MIB: Final = 2**20
_NONE: Final = "-"
# The column head for each kind of request; the column counts from when it was sent.
_KINDS: Final = {
    "pulse": "p99.9 of a pulse",
    "read": "of a read alone",
    "list": "of a list alone",
    "join": "of a new worker",
}
_ORIGINS: Final = {
    "one": "Attackers with one address",
    "sixteen": "Attackers with 16 addresses",
    "own": "Attackers with the one address of all honest peers",
}


def describe(results: Results) -> str:
    """Return all tables of a run."""
    parts = [_about(results)]
    for origin, heading in _ORIGINS.items():
        rows = [
            row for row in results.rows if row.origin == origin and row.server == "ours"
        ]
        if rows:
            parts += [f"### {heading}", latency_table(rows)]
        limits = [row for row in rows if row.figures and "reload" in row.figures.phases]
        if limits:
            parts += ["What else was measured:", limits_table(limits)]
    rows = [row for row in results.rows if row.server == "jvm"]
    if rows:
        parts += ["### Storm's own Pacemaker", latency_table(rows)]
    parts += ["### What was sent", _titles(results.rows)]
    return "\n\n".join(parts) + "\n"


def latency_table(rows: Sequence[Row]) -> str:
    """Return a table of what the honest peers saw, with a line for each row."""
    heads = ["", "p50", "p99", "p99.9", "largest", "quiet p99.9", "ratio"]
    heads += ["lost", "resets", "recovery", "resident", ""]
    return _table(heads, (_latency_cells(row) for row in rows))


def limits_table(rows: Sequence[Row]) -> str:
    """Return a table of the daemon's other limits, with a line for each row."""
    heads = ["", "SIGTERM", "reload", "watchdog not fed", "wrong, stale, missed"]
    heads += ["connections ended/s", "longest login", *_KINDS.values()]
    return _table(heads, (_limit_cells(row) for row in rows))


def _latency_cells(row: Row) -> Sequence[str]:
    figures = row.figures
    if figures is None:
        return (row.attack, *(_NONE for _ in range(10)), row.note)
    attacked = judge.attacked(figures)
    return (
        row.attack,
        *(_ms(each) for each in (attacked.p50_s, attacked.p99_s)),
        *(_ms(each) for each in (attacked.p999_s, attacked.max_s)),
        _ms(judge.quiet(figures).p999_s),
        f"{judge.ratio(figures):,.1f}",
        f"{figures.lost:,}",
        f"{figures.resets:,}",
        _seconds(figures.recovery_s),
        f"{figures.resident_bytes / _MIB:,.0f} MiB",
        judge.verdict(row) + (f" (of {row.tries} tries)" if row.tries > 1 else ""),
    )


def _limit_cells(row: Row) -> Sequence[str]:
    figures = row.figures or Figures()
    wrong = (figures.wrong, figures.stale, figures.missed)
    return (
        row.attack,
        _outcome(figures.stop_s),
        _outcome(figures.reload_s),
        _seconds(figures.unfed_s),
        ", ".join(f"{number:,}" for number in wrong),
        f"{figures.ended_per_s:,.0f}",
        _NONE if figures.login_s is None else _seconds(figures.login_s),
        *(
            _ms(figures.alone_s[kind]) if kind in figures.alone_s else _NONE
            for kind in _KINDS
        ),
    )


def _about(results: Results) -> str:
    lines = [*results.machine.items(), *results.versions.items()]
    lines += [("addresses", results.network)]
    lines += [("the run", f"{results.plan}, {results.minutes:.0f} minutes")]
    return _table(("", ""), lines)


def _titles(rows: Iterable[Row]) -> str:
    titles = {row.attack: row.title for row in rows}
    return _table(("", ""), titles.items())


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rule = "|---" * len(heads) + "|"
    return "\n".join([_line(heads), rule, *map(_line, lines)])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _ms(seconds: float) -> str:
    ms = seconds * 1e3
    return f"{ms:,.0f} ms" if ms >= 100 else f"{ms:.1f} ms"


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s"


def _outcome(seconds: float | None) -> str:
    return "none" if seconds is None else _seconds(seconds)
