"""Outages of the only Pacemaker: which are tried, their figures, and the table."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from typing import NamedTuple

from tests.cluster.observation import Outcome
from tests.cluster.pacemakers import Kind
from tests.cluster.releases import OLDEST_RELEASE, RELEASES
from tests.cluster.results import append, recorded
from tests.real.jvm import NEWEST_RELEASE

FILE = "outages.jsonl"

PLACES_S = (0, 2, 4, 6, 8)
"""How old Nimbus' round is when a try's outage begins, one try after another."""

ALL_OUTAGES_S = (0, 1, 5, 10, 15, 20, 25, 30, 60, 100)
SOME_OUTAGES_S = (5, 25)

HARMLESS_S = 15
"""So long an outage has moved nothing, whoever served."""


class Way(NamedTuple):
    """How a Pacemaker goes away and comes back.

    Attributes:
        kind: whose it is.
        keeps_port: whether the port goes on listening meanwhile.
        holds: whether misses are held after the start, as they are by default.
    """

    kind: Kind
    keeps_port: bool
    holds: bool

    @property
    def serve_options(self) -> tuple[str, ...]:
        """The options of our daemon."""
        return () if self.holds else ("--hold", "0")


WAYS = {
    "kept-held": Way(Kind.OURS, keeps_port=True, holds=True),
    "kept": Way(Kind.OURS, keeps_port=True, holds=False),
    "closed-held": Way(Kind.OURS, keeps_port=False, holds=True),
    "closed": Way(Kind.OURS, keeps_port=False, holds=False),
    "jvm": Way(Kind.JVM, keeps_port=False, holds=False),
}

TITLES = {
    "kept-held": "port kept, misses held",
    "kept": "port kept, `--hold 0`",
    "closed-held": "port closed, misses held",
    "closed": "port closed, `--hold 0`",
    "jvm": "JVM's Pacemaker",
}


class Site(NamedTuple):
    """A cluster with one Pacemaker, where outages are tried one after another.

    Attributes:
        release: of Storm.
        way: a key of WAYS.
        number: which of several clusters of this kind.
    """

    release: str
    way: str
    number: int

    def __str__(self) -> str:
        return f"{self.release}-{self.way}-{self.number}"


class Try(NamedTuple):
    """One outage.

    Attributes:
        number: which of several of this length.
        outage_s: its length, without the start.
        how: the signal that ends the Pacemaker.
    """

    number: int
    outage_s: int
    how: signal.Signals

    def __str__(self) -> str:
        return f"{self.outage_s}s-{self.how.name[3:]}-{self.number}"

    @property
    def place_s(self) -> int:
        """How old Nimbus' round is when it begins."""
        return PLACES_S[self.number % len(PLACES_S)]


def tries(number: int, outages_s: Sequence[int]) -> list[Try]:
    """Return a try of each length, by SIGTERM and SIGKILL in turn."""
    signals = (signal.SIGTERM, signal.SIGKILL)
    return [
        Try(number, outage_s, signals[(index + number) % 2])
        for index, outage_s in enumerate(outages_s)
    ]


def planned() -> list[tuple[Site, Try]]:
    """Return what is to be tried: some outages, or with ALL=1 all of them.

    TRIES says how many of each length there are.  Each number is a cluster of
    its own, so that they run side by side.
    """
    if os.environ.get("ALL") == "1":
        numbers = range(int(os.environ.get("TRIES") or 2))
        return [
            (Site(NEWEST_RELEASE, way, number), one)
            for number in numbers
            for way in WAYS
            for one in tries(number, ALL_OUTAGES_S)
        ]
    ways = ("jvm",) if os.environ.get("CLUSTER_PACEMAKER") == "jvm" else OURS
    counts = {NEWEST_RELEASE: 2, OLDEST_RELEASE: 1}
    return [
        (Site(release, way, 0), one)
        for release in RELEASES
        for way in ways
        for number in range(counts[release])
        for one in tries(number, SOME_OUTAGES_S)
    ]


OURS = ("kept-held", "closed-held")


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
            "release": site.release,
            "way": site.way,
            "outage_s": one.outage_s,
            "number": one.number,
            "signal": one.how.name,
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
    key = (site.release, site.way, one.outage_s, one.number)
    return key in {
        (line["release"], line["way"], line["outage_s"], line["number"])
        for line in recorded(FILE)
    }


def write_table() -> None:
    """Put the tables of all tries so far into the page."""
