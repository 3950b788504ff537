"""Outages of the only Pacemaker, and upgrades: what is tried, figures, the tables."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tests.cluster.observation import Outcome
from tests.cluster.pacemakers import Kind
from tests.cluster.releases import OLDEST_RELEASE, RELEASES
from tests.cluster.results import append, ranged, recorded, replace_in_page
from tests.real.jvm import NEWEST_RELEASE

FILE = "outages.jsonl"

Cell = Callable[[Sequence[Mapping[str, Any]]], str]
"""What a table says of the tries of one length and kind."""

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
    append(
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
    return any(key.items() <= line.items() for line in recorded(FILE))


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


def tables(lines: Sequence[Mapping[str, Any]]) -> str:
    """Return the figures of all tries as tables: a row for each length."""
    return "\n".join(
        f"**Storm {release}.** {title}\n\n{_table(some, cell)}"
        for release in RELEASES
        if (some := [line for line in lines if line["release"] == release])
        for title, cell in _CELLS.items()
    )


def write_tables() -> None:
    """Put the tables of all tries so far into the page."""
    replace_in_page("outages", tables(recorded(FILE)))


def _table(lines: Sequence[Mapping[str, Any]], cell: Cell) -> str:
    """Return a table with a column for each of COLUMNS that has been tried."""
    columns = {
        title: found
        for title, wanted in _COLUMNS.items()
        if (found := [line for line in lines if wanted.items() <= line.items()])
    }
    rows = [["outage", *columns], ["---"] * (1 + len(columns))]
    for row in sorted({_row(line) for line in lines}):
        cells = [
            cell(some) if some else ""
            for column in columns.values()
            for some in [[line for line in column if _row(line) == row]]
        ]
        rows.append([row[1], *cells])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(line: Mapping[str, Any]) -> tuple[int, str]:
    """Return which row a try belongs to: its place and its title."""
    if line["signal"] == signal.SIGUSR2.name:
        return -1, "upgrade in place"
    return line["outage_s"], f"{line['outage_s']} s"


def _count(lines: Sequence[Mapping[str, Any]], key: str) -> str:
    return f"{sum(bool(line[key]) for line in lines)} of {len(lines)}"


_COLUMNS: dict[str, Mapping[str, Any]] = {
    f"{port}, {misses}": {
        "pacemaker": Kind.OURS.value,
        "kept": port == "port kept",
        "holds": misses == "misses held",
    }
    for port in ("port kept", "port closed")
    for misses in ("misses held", "`--hold 0`")
}
_COLUMNS["JVM's Pacemaker"] = {"pacemaker": Kind.JVM.value}

_CELLS: dict[str, Cell] = {
    "Tries in which Nimbus called a living worker dead, and gave its executors "
    "out anew:": lambda lines: _count(lines, "not_alive"),
    "The longest time between two heartbeats of a worker:": lambda lines: ranged(
        [round(max(line["gaps_s"])) for line in lines], " s"
    ),
    "From the Pacemaker's return until all workers have written:": (
        lambda lines: ranged([line["back_s"] for line in lines], " s")
    ),
    "Tries in which Nimbus ended itself:": lambda lines: _count(lines, "nimbus_ended"),
}
