"""What a run found, and the file that keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.isolation.figures import Figures, Latencies


@dataclass
class Row:
    """One trial.

    Attributes:
        attack: its name, or "all".
        title: what the attackers sent.
        server: "ours" or "jvm".
        origin: where they came from: one, sixteen or own.
        pause_s: for how long the daemon stood still.
        budget_bytes: both budgets of the daemon.
        is_digest: whether passwords were guessed.
        figures: None if there are none.
        note: why there are none.
    """

    attack: str
    title: str
    server: str
    origin: str
    pause_s: float = 0.0
    budget_bytes: int = 0
    is_digest: bool = False
    figures: Figures | None = None
    note: str = ""


@dataclass
class Results:
    """A whole run.

    Attributes:
        machine: where it ran, as pairs of a name and a value.
        versions: what was attacked, by server.
        network: where the addresses were.
        plan: full or quick.
        minutes: how long it took.
        rows: in the order in which they were tried.
    """

    machine: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    network: str = ""
    plan: str = "full"
    minutes: float = 0.0
    rows: list[Row] = field(default_factory=list)


def save(results: Results, path: Path) -> None:
    """Write results to a file, so that it is never half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(_rounded(asdict(results)), indent=1) + "\n")
    part.replace(path)


def restore(path: Path) -> Results:
    """Read results that `save` wrote."""
    content = json.loads(path.read_text())
    return Results(**{**content, "rows": [_row(row) for row in content["rows"]]})


def _row(content: Mapping[str, Any]) -> Row:
    figures = content["figures"]
    if figures is not None:
        phases = {name: Latencies(**each) for name, each in figures["phases"].items()}
        figures = Figures(**{**figures, "phases": phases})
    return Row(**{**content, "figures": figures})


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return value
