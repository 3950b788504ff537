"""The scenarios' figures: of each try, of all tries of a case, and their table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.cluster import tries
from tests.cluster.observation import Outcome
from tests.cluster.pacemakers import Kind

FILE = "results.jsonl"
SUMS = "cluster-scenarios.jsonl"

NOT_TRIED = 1000
"""More executors than there are: nothing is worse than what was not tried."""

HEADER = """\
| scenario | Storm | Pacemaker | tries | heartbeats flow again after | \
lost | longest gap of a worker | executors moved | longest round of Nimbus | \
Nimbus ended itself |
|---|---|---|---|---|---|---|---|---|---|
"""


RELAYS_HEADER = """\
| event | cluster | tries | lost heartbeats | longest gap of a worker | \
longest round of Nimbus | executors moved | Nimbus ended itself |
|---|---|---|---|---|---|---|---|
"""

# "2. relays: one of two is killed", and the same without relays.
_ABOUT_RELAYS = re.compile(r"(\d\.|control:) (relays|without relays): (.*)")


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
    """What all tries of a case came to; the first three say which it is.

    Attributes:
        tries: how many there were.
        executors: that the topology has.
        back_s: from the end of the event until the last worker has written; the
            least and the most, as all ranges here.
        lost: heartbeats.
        moved: how many executors moved in one try: each number that there was.
        round_s: the longest round of Nimbus.
        nimbus_ended: in how many tries Nimbus ended itself.
        gap_s: the longest time without a heartbeat of any worker; empty if none of the
            tries noted it.
    """

    scenario: str
    release: str
    pacemaker: str
    tries: int = 0
    executors: int = 0
    back_s: list[float] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    moved: list[int] = field(default_factory=list)
    round_s: list[float] = field(default_factory=list)
    nimbus_ended: int = 0
    gap_s: list[float] = field(default_factory=list)

    @property
    def key(self) -> Case:
        """Which case it is the sum of."""
        return Case(self.scenario, self.release, self.pacemaker)

    def add(self, one: Mapping[str, Any]) -> None:
        """Add the figures of a try, as `record` wrote them."""
        self.tries += 1
        self.executors = one["executors"]
        self.back_s = tries.ends([*self.back_s, one["back_s"]])
        self.lost = tries.ends([*self.lost, one["lost"]])
        self.moved = sorted({*self.moved, one["moved"]})
        self.round_s = tries.ends([*self.round_s, one["round_s"]])
        self.nimbus_ended += bool(one["nimbus_ended"])
        self.gap_s = tries.ends([*self.gap_s, one["gap_s"]])


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
    tries.append(FILE, line)


def write_table() -> None:
    """Add the tries that this machine keeps to the sums, and write these down."""
    sums = tries.add_up(FILE, SUMS, Sum, _case, _order)
    tries.replace_in_page("results", table(sums))
    tries.replace_in_page("relays", relays_table(sums), tries.RELAYS_PAGE)


def _case(line: Mapping[str, Any]) -> Case:
    return Case(line["scenario"], line["release"], line["pacemaker"])


def table(sums: Sequence[Sum]) -> str:
    """Return the sums as a table, a row for each case, and what stands out.

    Those of `relays_table` are left out.
    """
    sums = [one for one in sums if not _ABOUT_RELAYS.match(one.scenario)]
    most = {one.key: max(one.moved) for one in sums}
    worse = [
        f"{case.scenario} ({case.release})"
        for case in most
        if case.pacemaker == Kind.OURS.value
        and most[case] > most.get(case._replace(pacemaker=Kind.JVM.value), NOT_TRIED)
    ]
    return f"""\
{HEADER}{"".join(map(_row, sums))}
In these scenarios, tried with both Pacemakers, the worst try of storm-pacemaker-py \
moved more executors than the JVM's worst: {"; ".join(worse) or "none"}.
"""


def relays_table(sums: Sequence[Sum]) -> str:
    """Return what happened with relays, and without, as a table of its own."""
    matches = [(_ABOUT_RELAYS.match(one.scenario), one) for one in sums]
    found = [(match.groups(), one) for match, one in matches if match]
    # Of each event, first what happened without relays.
    found.sort(
        key=lambda row: (row[0][0], _by_numbers(row[0][2]), row[0][1] == "relays")
    )
    return RELAYS_HEADER + "".join(
        _relays_row(one, has, event) for (_, has, event), one in found
    )


def _by_numbers(text: str) -> list[tuple[int, str]]:
    """Return a key that sorts texts by the numbers in them: 5 s before 25 s."""
    parts: list[str] = re.split(r"(\d+)", text)
    return [
        (int(number), word)
        for word, number in zip(parts[::2], [*parts[1::2], "0"], strict=True)
    ]


def _relays_row(one: Sum, has: str, event: str) -> str:
    whose = ", JVM's Pacemakers" if one.pacemaker == Kind.JVM.value else ""
    relays = "relays" if has == "relays" else "**no relays**"
    cells = (
        event,
        f"{relays}, Storm {one.release}{whose}",
        str(one.tries),
        tries.ranged(one.lost),
        tries.ranged(one.gap_s, " s") if one.gap_s else "",
        tries.ranged(one.round_s, " s"),
        " or ".join(map(str, one.moved)),
        f"{one.nimbus_ended} of {one.tries}",
    )
    return f"| {' | '.join(cells)} |\n"


def _order(one: Sum) -> tuple[str, tuple[int, ...], str]:
    # The newest release first, of each ours behind the JVM's.
    release = tuple(-int(part) for part in one.release.split("."))
    return (one.scenario, release, one.pacemaker.lower()[::-1])


def _row(one: Sum) -> str:
    cells = (
        *one.key,
        str(one.tries),
        tries.ranged(one.back_s, " s"),
        tries.ranged(one.lost),
        tries.ranged(one.gap_s, " s") if one.gap_s else "",
        " or ".join(f"{moved} of {one.executors}" for moved in one.moved),
        tries.ranged(one.round_s, " s"),
        f"{one.nimbus_ended} of {one.tries}",
    )
    return f"| {' | '.join(cells)} |\n"
