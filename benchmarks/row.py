"""What a row is, and what rows of all kinds share.

Each row runs its servers one beside the other but loads one at a time, round
by round, so that a machine that is slower for a while is slower for all.  Rows
whose figures are short take several sittings, some minutes apart: a machine that
is disturbed for a minute disturbs one of them, and no median.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Protocol

from benchmarks.jars import MissingError
from benchmarks.load import Group, Heartbeats, LoadError, Seen, load
from benchmarks.plans import Plan
from benchmarks.results import Column, RowResult
from benchmarks.servers import KINDS, Server, running


class Row(Protocol):
    """A row of the tables: a name, and how it is measured."""

    @property
    def name(self) -> str:
        """What it is called on the command line."""

    def fits(self, plan: Plan) -> bool:
        """Tell whether it is part of a plan."""

    def sittings(self, plan: Plan) -> int:
        """Tell how often it is measured."""

    def describe(self, plan: Plan) -> RowResult:
        """Return its result before the first sitting, with nothing measured."""

    def measure(self, plan: Plan, result: RowResult) -> None:
        """Measure it for one sitting, and add to its result what was found."""


class Once:
    """A row of one sitting."""

    def sittings(self, plan: Plan) -> int:
        """As `Row`."""
        return 1


class Always:
    """A row that is part of every plan."""

    def fits(self, plan: Plan) -> bool:
        """As `Row`."""
        return True


@contextmanager
def servers_of(
    result: RowResult, names: Sequence[str], refusals: Mapping[str, str]
) -> Iterator[dict[str, Server]]:
    """Run the servers of a row; say in the result which cannot take part."""
    with ExitStack() as stack:
        servers = {}
        for name in names:
            column = result.columns.setdefault(
                name, Column(note=refusals.get(name, ""))
            )
            if column.note:
                continue
            try:
                servers[name] = stack.enter_context(running(name))
            except MissingError as exc:
                column.note = str(exc)
        yield servers


def on_each(
    result: RowResult,
    servers: dict[str, Server],
    measure: Callable[[Server, Column], None],
) -> None:
    """Measure one after the other; who fails is noted, and out of the row."""
    for name, server in list(servers.items()):
        sys.stderr.write(".")
        sys.stderr.flush()
        try:
            measure(server, result.columns[name])
        except LoadError as exc:
            result.columns[name].note = str(exc)
            del servers[name]


def warm_up(
    plan: Plan, server: Server, stored: Heartbeats, groups: Sequence[Group]
) -> None:
    """Load a server for as long as it may get faster."""
    compiles = KINDS[server.name].compiles
    load(server, stored, groups, plan.compile_s if compiles else plan.warm_up_s)


def latency_figures(seen: Seen) -> dict[str, float]:
    """Return the figures of a load at a rate."""
    percentiles_us = seen.latencies.percentiles_us
    return {
        **{f"p{share}_us": value for share, value in percentiles_us.items()},
        "max_us": seen.latencies.max_us,
        "lost": seen.lost,
        "generator_late_us": seen.generator_late_us,
        "cpu_at_rate_us": seen.cpu_us,
    }
