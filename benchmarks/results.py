"""The results of a run, and the file that stores them.

A figure is a number with a name that says its unit.  If it was measured in several
rounds, its value is the median, and the values of the rounds are stored too.
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
    """The results of one server in one row.

    Attributes:
        figures: the medians, by name.
        rounds: the values from all rounds, by name.
        note: why there are no figures, or fewer than usual; else empty.
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
    """One row: its description, and the results of each server."""

    name: str
    title: str
    kind: str
    columns: dict[str, Column] = field(default_factory=dict)


@dataclass
class Results:
    """A whole run.

    Attributes:
        machine: the properties of the machine, as names and values.
        versions: the version of each server.
        plan: full, quick or smoke.
        minutes: how long the run took.
        rows: the results of each row, by its name.
    """

    machine: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    plan: str = "full"
    minutes: float = 0.0
    rows: dict[str, RowResult] = field(default_factory=dict)

    def figure(self, row: str, server: str, name: str) -> float | None:
        """Return a figure, or None if it was not measured."""
        if row not in self.rows or server not in self.rows[row].columns:
            return None
        return self.rows[row].columns[server].figures.get(name)

    def ratio(self, row: str, name: str, server: str, base: str) -> float | None:
        """Return a server's figure divided by another server's."""
        return divided(self.figure(row, server, name), self.figure(row, base, name))


def divided(value: float | None, base: float | None) -> float | None:
    """Return a quotient, or None if it is not defined."""
    return None if value is None or not base else value / base


def save(results: Results, path: Path) -> None:
    """Write results to a file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    text = json.dumps(asdict(results), indent=1)
    # Put the rounds of a figure on one line.
    text = re.sub(r",\n +(?=[-0-9])", ", ", text)
    text = re.sub(r"(?<=\[)\n +(?=[-0-9])|(?<=[0-9])\n +(?=\])", "", text)
    part.write_text(text + "\n")
    part.replace(path)


def restore(path: Path) -> Results:
    """Read results that `save` wrote."""
    return from_json(json.loads(path.read_text()))


def from_json(content: Mapping[str, Any]) -> Results:
    """Build results from the content of their file."""
    rows = {}
    for name, row in content["rows"].items():
        columns = {server: Column(**each) for server, each in row["columns"].items()}
        rows[name] = RowResult(row["name"], row["title"], row["kind"], columns)
    return Results(**{**content, "rows": rows})
