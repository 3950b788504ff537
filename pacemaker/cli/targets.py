"""What the client's commands do alike: which servers, how long, which path."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from pacemaker.cli.output import printable
from pacemaker.cli.preparation import configuration_options, prepare
from pacemaker.config import Settings

if TYPE_CHECKING:
    from pacemaker.client import PacemakerPool

DEFAULT_TIMEOUT_S = 5.0
"""Longer than a program's calls: a person has no second try waiting."""


@dataclasses.dataclass(frozen=True)
class Target:
    """Which servers a command is for, as its options say.

    Attributes:
        config_file: of --config.
        overrides: of -c.
        log_level: of --log-level.
        server: of --server; None for all of pacemaker.servers.
        timeout_s: of --timeout.
    """

    config_file: str | None
    overrides: Sequence[str]
    log_level: str
    server: str | None
    timeout_s: float

    @contextmanager
    def pool(self, warn: bool = True) -> Iterator[PacemakerPool]:
        """Open the pool for the time of a `with`.

        Args:
            warn: at the end say which servers had no part in the answer.

        Raises:
            ConfigError: the configuration is wrong, or names no server.
        """
        # Imported where it is needed: --help starts without.
        from pacemaker.client import PacemakerPool

        with PacemakerPool(self.settings(), timeout_s=self.timeout_s) as pool:
            yield pool
            if warn:
                _warn_of_absent(pool)

    def settings(self) -> Settings:
        """Read the configuration, in which --server is the only server.

        Raises:
            ConfigError: the configuration is wrong.
        """
        from pacemaker.client.address import parse_server

        settings = prepare(self.config_file, self.overrides, self.log_level).settings
        if self.server is None:
            return settings
        try:
            parse_server(self.server, settings.port)
        except ValueError as exc:
            raise click.BadParameter(str(exc), param_hint="'--server'") from exc
        return dataclasses.replace(settings, servers=(self.server,))


def client_command(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of all client commands, as its `target`."""

    @functools.wraps(command)
    def run(
        config_file: str | None,
        overrides: Sequence[str],
        log_level: str,
        server: str | None,
        timeout_s: float,
        **others: Any,
    ) -> None:
        target = Target(config_file, overrides, log_level, server, timeout_s)
        command(target, **others)

    for option in reversed(_OPTIONS):
        run = option(run)
    # What goes wrong is told in the command's own words.
    return configuration_options(run, log_level="error")


def checked_path(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    """Return a path of the command line that can be sent: one that is UTF-8."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise click.BadParameter("must be UTF-8") from None
    return value


path_argument = click.argument("path", callback=checked_path)
"""The path of a heartbeat, or of a directory of them."""

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, for programs."
)

_OPTIONS = (
    click.option(
        "--server",
        metavar="HOST[:PORT]",
        help="Ask this server alone; else all of pacemaker.servers.",
    ),
    click.option(
        "--timeout",
        "timeout_s",
        metavar="SECONDS",
        type=click.FloatRange(min=0, min_open=True, max=3600),
        default=DEFAULT_TIMEOUT_S,
        show_default=True,
        help="How long the servers may take for each request.",
    ),
)


def _warn_of_absent(pool: PacemakerPool) -> None:
    for connection in pool.connections:
        problem = connection.standing.problem
        if problem:
            text = f"Warning: {connection.name} has no part in this: {problem}"
            click.echo(printable(text), err=True)
