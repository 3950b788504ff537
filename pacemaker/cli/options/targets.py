"""What the client commands share: the servers, the timeout and the path."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from pacemaker.cli.options.configuration import configuration_options, prepare
from pacemaker.cli.options.daemon_options import OptionValue, daemon_option
from pacemaker.cli.options.seconds import TIMEOUT
from pacemaker.cli.output.printing import note, printable, warn
from pacemaker.config import Configuration, Settings

if TYPE_CHECKING:
    from pacemaker.client import PacemakerPool

# Longer than the default of the client, because a person does not retry.
DEFAULT_TIMEOUT_S: Final = 5.0


# The server to ask, at pacemaker.port, if the user names none.
DEFAULT_HOST: Final = "localhost"


@dataclasses.dataclass(frozen=True)
class Target:
    """The servers that a command asks, from its options.

    Attributes:
        config_file: the value of --config.
        overrides: the values of -c.
        log_level: the value of --log-level.
        server: the value of --server; None means all of pacemaker.servers, or this
            host if that names none.
        timeout_s: the value of --timeout.
        server_origin: where `server` comes from, for errors.
    """

    config_file: str | None
    overrides: Sequence[str]
    log_level: str
    server: str | None
    timeout_s: float
    server_origin: str = "--server"

    @contextmanager
    def pool(
        self, warns: bool = True, behind_relays: bool = False
    ) -> Iterator[PacemakerPool]:
        """Open the pool for the duration of a `with` block.

        Args:
            warns: whether to warn, at the end, about servers that did not answer.
            behind_relays: whether to ask the Pacemakers of pacemaker.relay.servers
                too, unless --server names the only server.

        Raises:
            ConfigError: the configuration is wrong.
        """
        # Imported where it is needed: --help starts without.
        from pacemaker.client import PacemakerPool

        settings = self.settings()
        if behind_relays and self.server is None:
            servers = (*settings.servers, *settings.relay_servers)
            settings = dataclasses.replace(
                settings, servers=tuple(dict.fromkeys(servers))
            )
        pool = PacemakerPool(settings, timeout_s=self.timeout_s)
        is_interrupted = False
        try:
            yield pool
            if warns:
                _warn_of_absent(pool)
        except KeyboardInterrupt:
            # Do not close the pool: closing waits for a host name lookup that is under
            # way, and the user wants to end now.  The process ends anyway.
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
        return self.settings_in(self.configuration())

    def configuration(self) -> Configuration:
        """Read the configuration.

        Raises:
            ConfigError: the configuration is wrong.
        """
        return prepare(self.config_file, self.overrides, self.log_level)

    def as_chosen(self, chosen: Mapping[str, OptionValue]) -> Target:
        """Return the target with options from wherever they came: see `choose`."""
        return dataclasses.replace(
            self,
            log_level=chosen["log_level"].value,
            server=chosen["server"].value,
            server_origin=chosen["server"].origin,
            timeout_s=chosen["timeout_s"].value,
        )

    def settings_in(self, configuration: Configuration) -> Settings:
        """Return the settings of `settings`, from a configuration that was read."""
        from pacemaker.client.address import parse_server

        settings = configuration.settings
        server = self.server
        if server is None:
            if settings.servers:
                return settings
            server = DEFAULT_HOST
            note(f"pacemaker.servers names no server: asking {server}:{settings.port}")
        try:
            parse_server(server, settings.port)
        except ValueError as exc:
            hint = f"'{self.server_origin}'"
            raise click.BadParameter(str(exc), param_hint=hint) from exc
        return dataclasses.replace(settings, servers=(server,))


def client_options(
    command: Callable[..., None], scope: str = ""
) -> Callable[..., None]:
    """Add the options of all client commands; the command gets them as `target`.

    Args:
        command: the command.
        scope: the name of a command that runs until it is stopped, whose options can
            be set elsewhere too (see `daemon_option`); empty for all others.
    """

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

    for names, attributes in reversed(_OPTIONS.items()):
        if scope:
            run = daemon_option(*names, scope=scope, **attributes)(run)
        else:
            run = click.option(*names, **attributes)(run)
    # Only errors are logged, because the command reports problems in its own words.
    return configuration_options(run, log_level="error", scope=scope)


def client_command(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of a client command that ends by itself."""
    return client_options(command)


def checked_path(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    """Check a path from the command line: it must be UTF-8 and begin with a slash."""
    try:
        value.encode()
    except UnicodeEncodeError as exc:
        raise click.BadParameter("the path must be UTF-8") from exc
    if not value.startswith("/"):
        raise click.BadParameter(
            f"the path must begin with a slash: {printable('/' + value)}"
        )
    return value


# The path of a heartbeat, or of a directory of them.
path_argument = click.argument("path", callback=checked_path)

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, for programs."
)

_OPTIONS: Final[dict[tuple[str, ...], dict[str, Any]]] = {
    ("--server",): {
        "metavar": "HOST[:PORT]",
        "help": "Ask only this server. Default: all of pacemaker.servers, or localhost"
        " if it names none.",
    },
    ("--timeout", "timeout_s"): {
        "metavar": "SECONDS",
        "type": TIMEOUT,
        "default": DEFAULT_TIMEOUT_S,
        "show_default": True,
        "help": "How long to wait for the answer to each request.",
    },
}


def _warn_of_absent(pool: PacemakerPool) -> None:
    for connection in pool.connections:
        problem = connection.liveness.problem
        if problem:
            warn(
                f"no answer from {connection.name} ({problem});"
                " results do not include it"
            )
