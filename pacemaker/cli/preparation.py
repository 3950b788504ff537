"""Read, report and check the configuration, for all commands."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import click

from pacemaker.cli.daemon_options import VARIABLE_PREFIX, daemon_option
from pacemaker.cli.logs import LEVELS, configure_logs
from pacemaker.config import Configuration, Settings, load_configuration

if TYPE_CHECKING:
    from pacemaker.sasl.registry import ServerSasl

_logger: Final = logging.getLogger("pacemaker.cli")

_Command = TypeVar("_Command", bound=Callable[..., object])

CONFIG_VARIABLE: Final = f"{VARIABLE_PREFIX}CONFIG"
"""Read by all commands, so that they read what the daemon beside them reads."""

_LEVEL: Final = ("--log-level",)
_OPTIONS: Final = (
    click.option(
        "--config",
        "config_file",
        metavar="FILE",
        envvar=CONFIG_VARIABLE,
        # Whether it can be read is for the configuration to say, with its exit code.
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


def configuration_options(command: _Command, log_level: str = "info") -> _Command:
    """Add the options of all commands that read the configuration.

    Args:
        log_level: the default of --log-level.
    """
    return _with_options(command, click.option(*_LEVEL, **_level(log_level)))


def daemon_file_options(command: _Command, scope: str = "") -> _Command:
    """Add the same options to a command that serves.

    Args:
        scope: see `daemon_option`.
    """
    level = daemon_option(*_LEVEL, scope=scope, **_level("info"))
    return _with_options(command, level)


def _level(default: str) -> dict[str, Any]:
    return {
        "type": click.Choice(LEVELS, case_sensitive=False),
        "default": default,
        "show_default": True,
        "help": "Log this level and above to stderr.",
    }


def _with_options(command: _Command, level: Callable[[Any], Any]) -> _Command:
    decorated: Any = command
    for option in (level, *reversed(_OPTIONS)):
        decorated = option(decorated)
    return cast("_Command", decorated)


def prepare(
    config_file: str | None, overrides: Sequence[str], log_level: str
) -> Configuration:
    """Set up the log, read the configuration and log what was found.

    Raises:
        ConfigError: the daemon would not start with it.

    """
    configure_logs(log_level)
    configuration = load_configuration(
        os.environ, config_file=config_file, options=overrides
    )
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
    from pacemaker.sasl.registry import server_mechanism_factory

    sasl = server_mechanism_factory(settings)
    for note in sasl.notes:
        _logger.warning(note)
    return sasl
