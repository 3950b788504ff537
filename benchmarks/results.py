"""Results: what a run found, row by row, and the file that keeps it.

A figure is a number with a name that says its unit.  Where it was measured in
several rounds, its value is the median, and the rounds are kept beside it.
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

_PERCENTILE: Final = re.compile(r"p([0-9.]+)_us")


@dataclass
class Column:
    """What one server did in one row.

    Attributes:
        figures: the medians, by name.
        rounds: what they are the medians of.
        note: why there is less than usual, if there is.
    """

    figures: dict[str, float] = field(default_factory=dict)
    rounds: dict[str, list[float]] = field(default_factory=dict)
    note: str = ""

    def add(self, **figures: float) -> None:
        """Add one round's figures."""
        for name, value in figures.items():
            self.rounds.setdefault(name, []).append(round(value, 3))
            self.figures[name] = statistics.median(self.rounds[name])

    @property
    def percentiles_us(self) -> dict[float, float]:
        """The latencies at the constant rate, by percentage: ``{99.9: 1234.0}``."""
        return {
            float(found[1]): value
            for name, value in self.figures.items()
            if (found := _PERCENTILE.fullmatch(name))
        }


@dataclass
class RowResult:
    """One row: what it is, and what each server did."""

    name: str
    title: str
    kind: str
    columns: dict[str, Column] = field(default_factory=dict)


@dataclass
class Results:
    """A whole run.

    Attributes:
        machine: where it ran, as pairs of a name and a value.
        versions: what was measured, by server.
        plan: full, quick or smoke.
        minutes: how long it took.
        rows: by name.
    """

    machine: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    plan: str = "full"
    minutes: float = 0.0
    rows: dict[str, RowResult] = field(default_factory=dict)

    def figure(self, row: str, server: str, name: str) -> float | None:
        """Return a figure, or None where it was not measured."""
        if row not in self.rows or server not in self.rows[row].columns:
            return None
        return self.rows[row].columns[server].figures.get(name)

    def ratio(self, row: str, name: str, server: str, base: str) -> float | None:
        """Return a server's figure, times that of another."""
        return divided(self.figure(row, server, name), self.figure(row, base, name))


def divided(value: float | None, base: float | None) -> float | None:
    """Return a quotient, or None where there is none."""
    return None if value is None or not base else value / base


def save(results: Results, path: Path) -> None:
    """Write results to a file, so that it is never half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    text = json.dumps(asdict(results), indent=1)
    # The rounds of a figure on one line.
    text = re.sub(r",\n +(?=[-0-9])", ", ", text)
    text = re.sub(r"(?<=\[)\n +(?=[-0-9])|(?<=[0-9])\n +(?=\])", "", text)
    part.write_text(text + "\n")
    part.replace(path)


def restore(path: Path) -> Results:
    """Read results that `save` wrote."""
    return from_json(json.loads(path.read_text()))


def from_json(content: Mapping[str, Any]) -> Results:
    """Make results of what their file holds."""
    rows = {}
    for name, row in content["rows"].items():
        columns = {server: Column(**each) for server, each in row["columns"].items()}
        rows[name] = RowResult(row["name"], row["title"], row["kind"], columns)
    return Results(**{**content, "rows": rows})
