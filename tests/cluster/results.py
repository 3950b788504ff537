"""The figures of each try, one line of JSON each, and the table made of them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.cluster.observation import Outcome
from tests.cluster.pacemakers import Kind
from tests.real.jvm import ROOT, cache_dir

PAGE = ROOT / "docs" / "cluster.md"

FILE = "results.jsonl"

NOT_TRIED = 1000
"""More executors than there are: nothing is worse than what was not tried."""

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


def append(name: str, line: Mapping[str, Any]) -> None:
    """Add a line to one of the files of results, which outlive a run."""
    path = _folder() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    # One write of one line: processes side by side do not mix theirs.
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")


def recorded(name: str) -> list[dict[str, Any]]:
    """Return all tries so far, the oldest first."""
    path = _folder() / name
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines()]


def replace_in_page(mark: str, text: str) -> None:
    """Put text into the page, in the place of what is between two marks."""
    begin, end = f"<!-- {mark}: begin -->\n", f"<!-- {mark}: end -->\n"
    before, _, rest = PAGE.read_text().partition(begin)
    _, _, after = rest.partition(end)
    PAGE.write_text(f"{before}{begin}{text}{end}{after}")


def _folder() -> Path:
    return Path(os.environ.get("CLUSTER_RESULTS") or cache_dir() / "cluster")


def record(case: Case, outcome: Outcome) -> None:
    """Add the figures of one try."""
    line = {
        **case._asdict(),
        "back_s": round(outcome.flow.back_s, 1),
        "lost": outcome.flow.lost,
        "gap_s": round(max(outcome.flow.gaps_s), 1),
        "moved": len(outcome.moved),
        "executors": outcome.executors,
        "not_alive": len(outcome.not_alive),
        "replaced": len(outcome.replaced),
        "round_s": round(outcome.longest_round_s, 1),
        "nimbus_ended": outcome.nimbus_ended,
    }
    append(FILE, line)


def table(tries: Iterable[Mapping[str, Any]]) -> str:
    """Return the results as a table, a row for each case, and what stands out."""
    cases: dict[Case, list[Mapping[str, Any]]] = {}
    for one in tries:
        case = Case(one["scenario"], one["release"], one["pacemaker"])
        cases.setdefault(case, []).append(one)
    rows = "".join(_row(case, cases[case]) for case in sorted(cases, key=_order))
    most = {case: max(one["moved"] for one in cases[case]) for case in cases}
    worse = [
        f"{case.scenario} ({case.release})"
        for case in sorted(cases, key=_order)
        if case.pacemaker == Kind.OURS.value
        and most[case] > most.get(case._replace(pacemaker=Kind.JVM.value), NOT_TRIED)
    ]
    return f"""\
{HEADER}{rows}
Of the scenarios that were tried with both, more executors moved in some try of \
ours than in any of the JVM's in: {"; ".join(worse) or "none"}.
"""


def write_table() -> None:
    """Put the table of all tries so far into the page."""
    replace_in_page("results", table(recorded(FILE)))


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
        ranged([one["back_s"] for one in tries], " s"),
        ranged([one["lost"] for one in tries]),
        " or ".join(moved),
        ranged([one["round_s"] for one in tries], " s"),
        f"{sum(bool(one['nimbus_ended']) for one in tries)} of {len(tries)}",
    )
    return f"| {' | '.join(cells)} |\n"


def ranged(values: list[float], unit: str = "") -> str:
    """Return the least and the most of some figures."""
    least, most = min(values), max(values)
    return f"{least}{unit}" if least == most else f"{least} to {most}{unit}"
