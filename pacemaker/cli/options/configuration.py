"""Read, report and check the configuration, for all commands."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from pacemaker.cli.options.daemon_options import VARIABLE_PREFIX, daemon_option
from pacemaker.cli.output.logs import FORMATS, LEVELS, configure_logs
from pacemaker.config import Configuration, Settings, load_configuration
from pacemaker.config.keys import RELAY_SERVERS, SERVERS
from pacemaker.core.protocol.hold_times import NO_HOLD, HoldTimes, decide_hold_times

if TYPE_CHECKING:
    from pacemaker.sasl.setup import ServerSasl

_logger: Final = logging.getLogger("pacemaker.cli")

_Command = TypeVar("_Command", bound=Callable[..., object])

# All commands read this variable, so that they use the same file as the daemon.
CONFIG_VARIABLE: Final = f"{VARIABLE_PREFIX}CONFIG"

LEVEL_VARIABLE: Final = f"{VARIABLE_PREFIX}LOG_LEVEL"

_OPTIONS: Final = (
    click.option(
        "--config",
        "config_file",
        metavar="FILE",
        envvar=CONFIG_VARIABLE,
        show_envvar=True,
        # An unreadable file is an error of the configuration, with its own exit code.
        type=click.Path(readable=False),
        help="Read FILE instead of storm.yaml; FILE is relative to the conf folder or, "
        "if it is not there, to the current folder.",
    ),
    click.option(
        "-c",
        "overrides",
        metavar="KEY=VALUE",
        multiple=True,
        help="Override a key of the configuration; repeatable.",
    ),
)


def configuration_options(
    command: _Command, log_level: str | None = None, scope: str = ""
) -> _Command:
    """Add the options of all commands that read the configuration.

    Args:
        command: the command.
        log_level: the default of --log-level; None for the one in storm.yaml.
        scope: the command's name if its --log-level is a `daemon_option` of its own.
    """
    attributes: dict[str, Any] = {
        "type": click.Choice(LEVELS, case_sensitive=False),
        "default": log_level,
        "show_default": log_level or "pacemaker.log.level, or info",
        "help": "Log this level and above to stderr.",
    }
    if scope:
        level = daemon_option("--log-level", scope=scope, **attributes)
    else:
        # A client's command ignores the variable, which is meant for the daemon's log.
        variable = None if log_level else LEVEL_VARIABLE
        level = click.option(
            "--log-level", envvar=variable, show_envvar=not log_level, **attributes
        )
    for option in (level, *reversed(_OPTIONS)):
        command = option(command)
    return command


def log_format_option(command: _Command, scope: str = "") -> _Command:
    """Add the option ``--log-format`` to a daemon; `scope` as for `daemon_option`."""
    return daemon_option(
        "--log-format",
        scope=scope,
        type=click.Choice(FORMATS, case_sensitive=False),
        default="text",
        show_default=True,
        help="Log lines as Storm's own daemons do, or a JSON object in each line.",
    )(command)


def prepare(
    config_file: str | None,
    overrides: Sequence[str],
    log_level: str | None,
    log_format: str = "text",
) -> Configuration:
    """Set up the log, read the configuration and log what was found.

    Args:
        config_file: the value of --config.
        overrides: the values of -c.
        log_level: the value of --log-level; None for the level in storm.yaml.  An
            upgrade in place executes the same command line, so only a level in the
            file can be changed by it.
        log_format: the value of --log-format.

    Raises:
        ConfigError: the daemon would not start with it.

    """
    configure_logs(log_level or Settings().log_level, log_format)
    configuration = load_configuration(
        os.environ, config_file=config_file, options=overrides
    )
    if log_level is None:
        logging.getLogger().setLevel(configuration.settings.log_level.upper())
    for path in configuration.files_read:
        _logger.info("read %s", path)
    _logger.info("authentication: %s", configuration.settings.auth_method.value)
    for note in configuration.notes:
        _logger.log(logging.WARNING if note.is_warning else logging.INFO, note.text)
    return configuration


def prepare_sasl(settings: Settings) -> ServerSasl:
    """Load what the authentication method needs, and log any warnings about it.

    Raises:
        ConfigError: the method cannot be served with these settings.

    """
    from pacemaker.sasl.setup import set_up_server

    sasl = set_up_server(settings)
    log_notes(sasl.notes)
    return sasl


def log_notes(notes: Iterable[str]) -> None:
    """Log warnings about the credentials."""
    for note in notes:
        _logger.warning(note)


def choose_hold_times(
    configuration: Configuration, asked_s: float | None = None, origin: str = "--hold"
) -> HoldTimes:
    """Return how long a daemon with this configuration holds misses after its start.

    Args:
        configuration: the configuration that was read.
        asked_s: the administrator's choice, which wins; 0 turns holding off.
        origin: where the administrator chose it.
    """
    if asked_s is not None:
        return HoldTimes(asked_s, asked_s, origin)
    if not configuration.files_read:
        return NO_HOLD
    settings = configuration.settings
    if settings.relay_servers:
        # Behind relays, pacemaker.servers names the relay of this host.
        return decide_hold_times(settings.relay_servers, RELAY_SERVERS)
    return decide_hold_times(settings.servers, SERVERS)
