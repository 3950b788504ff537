"""What the client's commands do alike: which servers, how long, which path."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from pacemaker.cli.output import note, printable, warn
from pacemaker.cli.preparation import configuration_options, prepare
from pacemaker.config import Settings

if TYPE_CHECKING:
    from pacemaker.client import PacemakerPool

DEFAULT_TIMEOUT_S = 5.0
"""Longer than a program's calls: a person has no second try waiting."""


DEFAULT_HOST = "localhost"
"""The server that is asked when none is named, at pacemaker.port."""


@dataclasses.dataclass(frozen=True)
class Target:
    """Which servers a command is for, as its options say.

    Attributes:
        config_file: of --config.
        overrides: of -c.
        log_level: of --log-level.
        server: of --server; None for all of pacemaker.servers, or for this host
            if they are none.
        timeout_s: of --timeout.
    """

    config_file: str | None
    overrides: Sequence[str]
    log_level: str
    server: str | None
    timeout_s: float

    @contextmanager
    def pool(self, warns: bool = True) -> Iterator[PacemakerPool]:
        """Open the pool for the time of a `with`.

        Args:
            warns: at the end say which servers had no part in the answer.

        Raises:
            ConfigError: the configuration is wrong.
        """
        # Imported where it is needed: --help starts without.
        from pacemaker.client import PacemakerPool

        pool = PacemakerPool(self.settings(), timeout_s=self.timeout_s)
        is_interrupted = False
        try:
            yield pool
            if warns:
                _warn_of_absent(pool)
        except KeyboardInterrupt:
            # Nobody wants to wait now, and closing waits for a look-up of a host's
            # name that is under way.  The process ends anyway.
            is_interrupted = True
            raise
        finally:
            if not is_interrupted:
                pool.close()

    def settings(self) -> Settings:
        """Read the configuration, in which --server is the only server.

        If neither names a server, `DEFAULT_HOST` is the server, and a line on stderr
        says so.

        Raises:
            ConfigError: the configuration is wrong.
        """
        from pacemaker.client.address import parse_server

        settings = prepare(self.config_file, self.overrides, self.log_level).settings
        server = self.server
        if server is None:
            if settings.servers:
                return settings
            server = DEFAULT_HOST
            note(f"pacemaker.servers names no server: asking {server}:{settings.port}")
        try:
            parse_server(server, settings.port)
        except ValueError as exc:
            raise click.BadParameter(str(exc), param_hint="'--server'") from exc
        return dataclasses.replace(settings, servers=(server,))


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
    """Return a path of the command line: it begins with a slash and is UTF-8."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise click.BadParameter("must be UTF-8") from None
    if not value.startswith("/"):
        raise click.BadParameter(f"must begin with a slash: {printable('/' + value)}")
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
        help="Ask this server alone; else all of pacemaker.servers, or localhost if"
        " it names none.",
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
            warn(
                f"no answer from {connection.name} ({problem});"
                " results do not include it"
            )
