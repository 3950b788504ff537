"""Outages of the only Pacemaker, and upgrades: what is tried, figures, the tables."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.cluster import tries
from tests.cluster.observation import Outcome
from tests.cluster.pacemakers import Kind
from tests.cluster.releases import OLDEST_RELEASE, RELEASES
from tests.cluster.tries import Key
from tests.real.jvm import NEWEST_RELEASE

FILE = "outages.jsonl"
SUMS = "cluster-outages.jsonl"

PLACES_S = (0, 2, 4, 6, 8)
"""How old Nimbus' round is when a try's outage begins, one try after another."""

ALL_OUTAGES_S = (0, 1, 5, 10, 15, 20, 25, 30, 60, 100)
SOME_OUTAGES_S = (5, 25)
SIGNALS = (signal.SIGTERM, signal.SIGKILL)


class Site(NamedTuple):
    """A cluster with one Pacemaker, where outages are tried one after another.

    Attributes:
        release: of Storm.
        kind: whose Pacemaker it is.
        holds: whether misses are held after a start, as they are by default.
        number: which of several clusters of this kind.
    """

    release: str
    kind: Kind
    holds: bool
    number: int

    def __str__(self) -> str:
        pacemaker = self.kind.name.lower() + ("" if self.holds else "_no_hold")
        return f"{self.release}_{pacemaker}_{self.number}"

    @property
    def serve_options(self) -> tuple[str, ...]:
        """The options of our daemon."""
        return () if self.holds else ("--hold", "0")


class Try(NamedTuple):
    """One outage, or an upgrade in place.

    Attributes:
        number: which of several of this length.
        kept: whether the port goes on listening meanwhile.
        outage_s: its length, without the start.
        how: the signal that ends the Pacemaker, or has it upgrade itself.
    """

    number: int
    kept: bool
    outage_s: int
    how: signal.Signals

    @property
    def is_upgrade(self) -> bool:
        """Whether the Pacemaker upgrades itself in place, and does not go away."""
        return self.how is signal.SIGUSR2

    def __str__(self) -> str:
        port = "kept" if self.kept else "closed"
        return f"{port}-{self.outage_s}s-{self.how.name[3:]}-{self.number}"

    @property
    def place_s(self) -> int:
        """How old Nimbus' round is when it begins."""
        return PLACES_S[self.number % len(PLACES_S)]


@dataclass
class Sum:
    """What all tries of a length came to; the first five say of which.

    Attributes:
        release: of Storm.
        pacemaker: whose.
        holds: whether it holds misses after a start.
        kept: whether its port goes on listening meanwhile.
        outage_s: how long it is away; None for an upgrade in place.
        tries: how many there were.
        called_dead: in how many Nimbus called a living worker dead.
        gap_s: the longest time between two heartbeats of a worker; the least and
            the most, as all ranges here.
        back_s: from the Pacemaker's return until all workers have written.
        nimbus_ended: in how many Nimbus ended itself.
    """

    release: str
    pacemaker: str
    holds: bool
    kept: bool
    outage_s: int | None
    tries: int = 0
    called_dead: int = 0
    gap_s: list[int] = field(default_factory=list)
    back_s: list[float] = field(default_factory=list)
    nimbus_ended: int = 0

    @property
    def key(self) -> Key:
        """Its first five fields."""
        return self.release, self.pacemaker, self.holds, self.kept, self.outage_s

    def add(self, one: Mapping[str, Any]) -> None:
        """Add the figures of a try, as `record` wrote them."""
        self.tries += 1
        self.called_dead += bool(one["not_alive"])
        self.gap_s = tries.ends([*self.gap_s, round(max(one["gaps_s"]))])
        self.back_s = tries.ends([*self.back_s, one["back_s"]])
        self.nimbus_ended += bool(one["nimbus_ended"])


def planned() -> list[tuple[Site, Try]]:
    """Return what is to be tried: some outages, or with ALL=1 all of them.

    TRIES says how many of each length there are, by SIGTERM and SIGKILL in
    turn, each in a cluster of its own, so that they run side by side.
    """
    of_jvm = os.environ.get("CLUSTER_PACEMAKER") == "jvm"
    kind = Kind.JVM if of_jvm else Kind.OURS
    if os.environ.get("ALL") == "1":
        return [
            (Site(NEWEST_RELEASE, kind, holds, number), one)
            for holds in ((False,) if of_jvm else (True, False))
            for number in range(int(os.environ.get("TRIES") or 2))
            for one in _tries(kind, [number], ALL_OUTAGES_S)
        ]
    numbers = {NEWEST_RELEASE: (0, 1), OLDEST_RELEASE: (0,)}
    return [
        (Site(release, kind, kind is Kind.OURS, 0), one)
        for release in RELEASES
        for one in _tries(kind, numbers[release], SOME_OUTAGES_S)
    ]


def _tries(kind: Kind, numbers: Sequence[int], outages_s: Sequence[int]) -> list[Try]:
    of_ours = kind is Kind.OURS
    upgrades = [Try(number, True, 0, signal.SIGUSR2) for number in numbers]
    return (upgrades if of_ours else []) + [
        Try(number, kept, outage_s, SIGNALS[(index + number) % 2])
        # Storm's Pacemaker cannot take over a listening socket.
        for kept in ((True, False) if of_ours else (False,))
        for number in numbers
        for index, outage_s in enumerate(outages_s)
    ]


def record(site: Site, one: Try, outcome: Outcome, away_s: float) -> None:
    """Add the figures of one try.

    Args:
        site: where.
        one: which try.
        outcome: what became of it.
        away_s: how long the outage was, with the start.

    """
    tries.append(
        FILE,
        {
            **_key(site, one),
            "place_s": one.place_s,
            "away_s": round(away_s, 1),
            "executors": outcome.executors,
            "not_alive": sorted(outcome.not_alive),
            "moved": sorted(outcome.moved),
            "replaced": sorted(outcome.replaced),
            "back_s": round(outcome.flow.back_s, 1),
            "lost": outcome.flow.lost,
            "gaps_s": [round(gap_s, 1) for gap_s in outcome.flow.gaps_s],
            "round_s": round(outcome.longest_round_s, 1),
            "nimbus_ended": outcome.nimbus_ended,
        },
    )


def is_tried(site: Site, one: Try) -> bool:
    """Tell whether the figures of a try are there already."""
    key = _key(site, one)
    return any(key.items() <= line.items() for line in tries.recorded(FILE))


def _key(site: Site, one: Try) -> dict[str, Any]:
    return {
        "release": site.release,
        "pacemaker": site.kind.value,
        "holds": site.holds,
        "kept": one.kept,
        "outage_s": one.outage_s,
        "signal": one.how.name,
        "number": one.number,
    }


def write_tables() -> None:
    """Add the tries that this machine keeps to the sums, and write these down."""
    sums = tries.add_up(FILE, SUMS, Sum, _sum_key, _order)
    tries.replace_in_page("outages", tables(sums))


def _sum_key(line: Mapping[str, Any]) -> Key:
    is_upgrade = line["signal"] == signal.SIGUSR2.name
    outage_s = None if is_upgrade else line["outage_s"]
    return line["release"], line["pacemaker"], line["holds"], line["kept"], outage_s


def _order(one: Sum) -> tuple[int, int, int]:
    # The newest release first, of each what stands first in a table.
    outage_s = -1 if one.outage_s is None else one.outage_s
    return (RELEASES.index(one.release), outage_s, _COLUMNS.index(_column(one)))


def _column(one: Sum) -> str:
    if one.pacemaker == Kind.JVM.value:
        return "JVM's Pacemaker"
    port = "port kept" if one.kept else "port closed"
    return f"{port}, {'misses held' if one.holds else '`--hold 0`'}"


def tables(sums: Sequence[Sum]) -> str:
    """Return the sums as tables: a row for each length, a column for each kind."""
    return "\n".join(
        f"**Storm {release}.** {title}\n\n{_table(some, cell)}"
        for release in RELEASES
        if (some := [one for one in sums if one.release == release])
        for title, cell in _CELLS.items()
    )


def _table(sums: Sequence[Sum], cell: Callable[[Sum], str]) -> str:
    """Return a table with a column for each of _COLUMNS that has been tried."""
    columns = [title for title in _COLUMNS if title in map(_column, sums)]
    cells = {(one.outage_s, _column(one)): cell(one) for one in sums}
    rows = [["outage", *columns], ["---"] * (1 + len(columns))]
    for outage_s in dict.fromkeys(one.outage_s for one in sums):
        title = "upgrade in place" if outage_s is None else f"{outage_s} s"
        rows.append([title, *(cells.get((outage_s, each), "") for each in columns)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


_COLUMNS = (
    "port kept, misses held",
    "port kept, `--hold 0`",
    "port closed, misses held",
    "port closed, `--hold 0`",
    "JVM's Pacemaker",
)

_CELLS: Mapping[str, Callable[[Sum], str]] = {
    "Tries in which Nimbus called a living worker dead and reassigned its "
    "executors:": lambda one: f"{one.called_dead} of {one.tries}",
    "The longest time between two heartbeats of a worker:": lambda one: tries.ranged(
        one.gap_s, " s"
    ),
    "From the Pacemaker's return until all workers have written:": (
        lambda one: tries.ranged(one.back_s, " s")
    ),
    "Tries in which Nimbus ended itself:": (
        lambda one: f"{one.nimbus_ended} of {one.tries}"
    ),
}
