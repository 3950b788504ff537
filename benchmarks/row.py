"""The interface of a row, and the parts that rows of all kinds share.

The servers of a row all run, but only one at a time is loaded, in turn, so that a slow
phase of the machine affects all of them.  Rows that are measured quickly have several
sittings, some minutes apart: a disturbance of a minute affects only one of them, and so
no median.
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
    """A row of the tables: its name, and the way to measure it."""

    @property
    def name(self) -> str:
        """Its name on the command line."""

    def fits(self, plan: Plan) -> bool:
        """Return whether it is part of a plan."""

    def sittings(self, plan: Plan) -> int:
        """Return the number of its sittings."""

    def describe(self, plan: Plan) -> RowResult:
        """Return its result before the first sitting, with nothing measured."""

    def measure(self, plan: Plan, result: RowResult) -> None:
        """Measure it for one sitting, and add the figures to its result."""


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
    """Run the servers of a row; note in the result those that cannot take part."""
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
    """Measure the servers in turn; note those that fail, and leave them out then."""
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
    """Load a server until it has compiled its code, if it does that."""
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
