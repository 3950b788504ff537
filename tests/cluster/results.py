"""The figures of each try, what they come to for each case, and the table of these.

Tries are kept on the machine until a table is made of them: then they are added to
the sums of all that went before, which lie beside the page.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tests.cluster.observation import Outcome
from tests.cluster.pacemakers import Kind
from tests.real.jvm import ROOT, cache_dir

PAGE = ROOT / "docs" / "cluster.md"
SUMS = PAGE.with_suffix(".jsonl")

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


@dataclass
class Sum:
    """What all tries of a case came to.

    Attributes:
        tries: how many there were.
        executors: that the topology has.
        back_s: from the end of the event until the last worker has written; the
            least and the most, as all ranges here.
        lost: heartbeats.
        moved: how many executors moved in one try: each number that there was.
        round_s: the longest round of Nimbus.
        nimbus_ended: in how many tries Nimbus ended itself.
    """

    tries: int = 0
    executors: int = 0
    back_s: list[float] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    moved: list[int] = field(default_factory=list)
    round_s: list[float] = field(default_factory=list)
    nimbus_ended: int = 0

    def add(self, one: Mapping[str, Any]) -> None:
        """Add the figures of a try, as `record` wrote them."""
        self.tries += 1
        self.executors = one["executors"]
        self.back_s = _ends([*self.back_s, one["back_s"]])
        self.lost = _ends([*self.lost, one["lost"]])
        self.moved = sorted({*self.moved, one["moved"]})
        self.round_s = _ends([*self.round_s, one["round_s"]])
        self.nimbus_ended += bool(one["nimbus_ended"])


Sums = dict[Case, Sum]
_Figure = TypeVar("_Figure", int, float)


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


def restored() -> Sums:
    """Return the sums that lie beside the page."""
    sums: Sums = {}
    for line in SUMS.read_text().splitlines():
        content = json.loads(line)
        case = Case(*(content.pop(name) for name in Case._fields))
        sums[case] = Sum(**content)
    return sums


def table(sums: Sums) -> str:
    """Return the sums as a table, a row for each case, and what stands out."""
    cases = sorted(sums, key=_order)
    most = {case: max(sums[case].moved) for case in cases}
    worse = [
        f"{case.scenario} ({case.release})"
        for case in cases
        if case.pacemaker == Kind.OURS.value
        and most[case] > most.get(case._replace(pacemaker=Kind.JVM.value), NOT_TRIED)
    ]
    return f"""\
{HEADER}{"".join(_row(case, sums[case]) for case in cases)}
Of the scenarios that were tried with both, more executors moved in some try of \
ours than in any of the JVM's in: {"; ".join(worse) or "none"}.
"""


def write_table() -> None:
    """Add the tries that this machine keeps to the sums, and write these down."""
    sums = restored()
    for one in recorded(FILE):
        case = Case(one["scenario"], one["release"], one["pacemaker"])
        sums.setdefault(case, Sum()).add(one)
    lines = (
        json.dumps({**case._asdict(), **asdict(sums[case])})
        for case in sorted(sums, key=_order)
    )
    SUMS.write_text("".join(f"{line}\n" for line in lines))
    replace_in_page("results", table(sums))
    # From now on they are in the sums.
    (_folder() / FILE).unlink(missing_ok=True)


def _order(case: Case) -> tuple[str, tuple[int, ...], str]:
    # The newest release first, of each ours before the JVM's.
    release = tuple(-int(part) for part in case.release.split("."))
    return (case.scenario, release, case.pacemaker.lower()[::-1])


def _row(case: Case, one: Sum) -> str:
    cells = (
        *case,
        str(one.tries),
        ranged(one.back_s, " s"),
        ranged(one.lost),
        " or ".join(f"{moved} of {one.executors}" for moved in one.moved),
        ranged(one.round_s, " s"),
        f"{one.nimbus_ended} of {one.tries}",
    )
    return f"| {' | '.join(cells)} |\n"


def _ends(values: list[_Figure]) -> list[_Figure]:
    return [min(values), max(values)]


def ranged(values: Sequence[float], unit: str = "") -> str:
    """Return the least and the most of some figures."""
    least, most = min(values), max(values)
    return f"{least}{unit}" if least == most else f"{least} to {most}{unit}"
