"""The results of a run, and the file that stores them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.isolation.figures import Figures, Latencies


@dataclass
class Row:
    """The results of one trial.

    Attributes:
        attack: the name of the attack, or "all".
        title: what the attackers sent.
        server: "ours" or "jvm".
        origin: where the attackers came from: one, sixteen or own.
        pause_s: how long the daemon was paused.
        budget_bytes: the sum of the daemon's two budgets.
        is_digest: whether passwords were guessed.
        figures: the figures of the trial; None if it failed.
        note: why there are no figures.
        tries: of how many tries this is the median one.
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
    tries: int = 1


@dataclass
class Results:
    """The results of a whole run.

    Attributes:
        machine: the machine, as names and values.
        versions: the version of each server.
        network: the network of the addresses.
        plan: full or quick.
        minutes: how long the run took.
        rows: the trials, in the order in which they were run.
    """

    machine: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    network: str = ""
    plan: str = "full"
    minutes: float = 0.0
    rows: list[Row] = field(default_factory=list)


def save(results: Results, path: Path) -> None:
    """Write results to a file atomically."""
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
