"""The figures of each try, one line of JSON each, and the table made of them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.cluster.observation import Outcome
from tests.real.jvm import ROOT, cache_dir

PAGE = ROOT / "docs" / "cluster.md"
BEGIN, END = "<!-- results: begin -->\n", "<!-- results: end -->\n"

HEADER = """\
| scenario | Storm | Pacemaker | tries | heartbeats flow again after | \
lost | executors moved | longest round of Nimbus | Nimbus ended itself |
|---|---|---|---|---|---|---|---|---|
"""


class Case(NamedTuple):
    """What was tried: the key of a result.

    Attributes:
        scenario: in words, with its number before them.
        release: of Storm.
        pacemaker: whose.
    """

    scenario: str
    release: str
    pacemaker: str


def results_file() -> Path:
    """Return the file of the results, which outlives a run."""
    default = cache_dir() / "cluster" / "results.jsonl"
    return Path(os.environ.get("CLUSTER_RESULTS") or default)


def record(case: Case, outcome: Outcome) -> None:
    """Add the figures of one try."""
    line = {
        **case._asdict(),
        "back_s": round(outcome.flow.back_s, 1),
        "lost": outcome.flow.lost,
        "gap_s": round(outcome.flow.gap_s, 1),
        "moved": len(outcome.moved),
        "executors": outcome.executors,
        "not_alive": len(outcome.not_alive),
        "replaced": len(outcome.replaced),
        "round_s": round(outcome.longest_round_s, 1),
        "nimbus_ended": outcome.nimbus_ended,
    }
    path = results_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    # One write of one line: processes side by side do not mix theirs.
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")


def recorded() -> list[dict[str, Any]]:
    """Return all tries so far, the oldest first."""
    path = results_file()
    return [json.loads(line) for line in path.open()] if path.exists() else []


def table(tries: Iterable[Mapping[str, Any]]) -> str:
    """Return the results as a table: a row for each case, in order."""
    cases: dict[Case, list[Mapping[str, Any]]] = {}
    for one in tries:
        case = Case(one["scenario"], one["release"], one["pacemaker"])
        cases.setdefault(case, []).append(one)
    return HEADER + "".join(
        _row(case, cases[case]) for case in sorted(cases, key=_order)
    )


def write_table(page: Path = PAGE) -> None:
    """Put the table of all tries so far into the page, in the old one's place."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}{table(recorded())}{END}{after}")


def _order(case: Case) -> tuple[str, tuple[int, ...], str]:
    # The newest release first, of each ours before the JVM's.
    release = tuple(-int(part) for part in case.release.split("."))
    return (case.scenario, release, case.pacemaker.lower()[::-1])


def _row(case: Case, tries: list[Mapping[str, Any]]) -> str:
    moved = sorted({f"{one['moved']} of {one['executors']}" for one in tries})
    cells = (
        case.scenario,
        case.release,
        case.pacemaker,
        str(len(tries)),
        _range([one["back_s"] for one in tries], " s"),
        _range([one["lost"] for one in tries]),
        " or ".join(moved),
        _range([one["round_s"] for one in tries], " s"),
        f"{sum(bool(one['nimbus_ended']) for one in tries)} of {len(tries)}",
    )
    return f"| {' | '.join(cells)} |\n"


def _range(values: list[float], unit: str = "") -> str:
    least, most = min(values), max(values)
    return f"{least}{unit}" if least == most else f"{least} to {most}{unit}"


if __name__ == "__main__":
    write_table()
