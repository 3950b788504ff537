"""Options of commands that serve: a flag, a variable, or a key of storm.yaml.

The command line overrides the environment, which overrides storm.yaml (or a ``-c``),
which overrides the default.  The names are derived from the flag: ``--store-budget`` is
STORM_PACEMAKER_STORE_BUDGET and ``pacemaker.py.store.budget``.  For a command other
than `serve` they contain its name: STORM_PACEMAKER_RELAY_BIND and
``pacemaker.py.relay.bind``.
"""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import click
from click.core import ParameterSource

from pacemaker.config import Configuration
from pacemaker.config.keys import OPTION_PREFIX
from pacemaker.config.layers import DEFAULT_SOURCE
from pacemaker.config.values import ShownValue
from pacemaker.errors import ConfigError

VARIABLE_PREFIX: Final = "STORM_PACEMAKER_"

# difflib's ratio of the parts after the prefix.  Other programs may use this prefix,
# too; a variable that is at least this similar to one of ours is taken for a
# misspelling.
_MIN_LIKENESS: Final = 0.8

# From 8.3 on, click uses this value for an option that was not given, until it has read
# the whole command line.
_UNSET: Final = getattr(click.core, "UNSET", None)

_Command = TypeVar("_Command", bound=Callable[..., object])

_logger: Final = logging.getLogger("pacemaker.cli")


class DaemonOption(click.Option):
    """An option that the environment and storm.yaml can set as well.

    Attributes:
        key: its name in storm.yaml.
    """

    def __init__(
        self, param_decls: Sequence[str], *, scope: str = "", **attrs: Any
    ) -> None:
        flag = next(each for each in param_decls if each.startswith("--"))
        words = [*([scope] if scope else []), *flag.removeprefix("--").split("-")]
        self.key = OPTION_PREFIX + ".".join(words)
        variable = VARIABLE_PREFIX + "_".join(words).upper()
        # Shown, so that errors name the variable as well.
        super().__init__(param_decls, envvar=variable, show_envvar=True, **attrs)


def daemon_option(*param_decls: str, **attrs: Any) -> Callable[[_Command], _Command]:
    """Add a `DaemonOption`; `scope` is the command's name, for all but `serve`."""
    return click.option(*param_decls, cls=DaemonOption, **attrs)


class Chosen(NamedTuple):
    """The value of an option and where it came from.

    Attributes:
        value: the value, as the command gets it.
        written: the value as it was written; None if it is the default.
        origin: the flag, the variable, the file, "-c" or "default".
    """

    value: Any
    written: object
    origin: str


def choose(ctx: click.Context, configuration: Configuration) -> dict[str, Chosen]:
    """Return the value of each daemon option of a command that was invoked, by name.

    Raises:
        ConfigError: a key of storm.yaml has a value that is not allowed.
    """
    warn_of_unknown(ctx, configuration)
    return {
        option.name: _chosen(ctx, option, configuration)
        for option in daemon_options(ctx.command)
        if option.name is not None
    }


def daemon_options(command: click.Command) -> list[DaemonOption]:
    """Return the options of a command that can be set elsewhere, too."""
    return [
        each
        for each in command.params
        if isinstance(each, DaemonOption) and not each.hidden
    ]


def all_daemon_options(root: click.Command) -> dict[str, list[DaemonOption]]:
    """Return the daemon options of all commands, by command."""
    commands = root.commands.values() if isinstance(root, click.Group) else [root]
    found = {each.name or "": daemon_options(each) for each in commands}
    return {name: options for name, options in found.items() if options}


def _chosen(
    ctx: click.Context, option: DaemonOption, configuration: Configuration
) -> Chosen:
    assert option.name is not None  # noqa: S101  (click names each option)
    value = ctx.params[option.name]
    if value is _UNSET:
        value = None
    source = ctx.get_parameter_source(option.name)
    if source is ParameterSource.COMMANDLINE:
        return Chosen(value, value, option.opts[0])
    if source is ParameterSource.ENVIRONMENT:
        return Chosen(value, os.environ[str(option.envvar)], str(option.envvar))
    return _from_storm_yaml(ctx, option, configuration) or Chosen(
        value, None, DEFAULT_SOURCE
    )


def _from_storm_yaml(
    ctx: click.Context, option: DaemonOption, configuration: Configuration
) -> Chosen | None:
    given = configuration.option_values.get(option.key)
    if given is None or given.value is None:
        return None
    try:
        value = option.process_value(ctx, _as_typed(option, given.value))
    except click.BadParameter as exc:
        raise ConfigError(
            exc.message,
            key=option.key,
            value=ShownValue(given.value),
            source=given.source,
        ) from exc
    return Chosen(value, given.value, given.source)


def _as_typed(option: DaemonOption, value: object) -> str | list[str]:
    """Return a value of storm.yaml as it would be typed on the command line.

    Raises:
        click.BadParameter: it has a shape that no option has.
    """
    if not option.multiple:
        return _text(value)
    if isinstance(value, dict):
        return [f"{_text(name)}={_text(each)}" for name, each in value.items()]
    return [_text(each) for each in (value if isinstance(value, list) else [value])]


def _text(value: object) -> str:
    if not isinstance(value, str | int | float):
        raise click.BadParameter("must be a string, a number, true or false")
    return str(value).lower() if isinstance(value, bool) else str(value)


def chosen_elsewhere(
    root: click.Context, configuration: Configuration
) -> Iterator[tuple[str, DaemonOption, Chosen]]:
    """Yield what each command that serves would use, without any flag.

    Yields:
        The command's name, the option, and the value.

    Raises:
        click.BadParameter: a variable has a value that is not allowed.
        ConfigError: a key of storm.yaml has one.
    """
    for name, options in all_daemon_options(root.command).items():
        assert isinstance(root.command, click.Group)  # noqa: S101
        command = root.command.commands[name]
        with click.Context(command, parent=root, info_name=name) as ctx:
            for option in options:
                option.handle_parse_result(ctx, {}, [])
                yield name, option, _chosen(ctx, option, configuration)


def warn_of_unknown(ctx: click.Context, configuration: Configuration) -> None:
    """Log the keys and variables that look like options, but are not."""
    options = [
        option
        for of_command in all_daemon_options(ctx.find_root().command).values()
        for option in of_command
    ]
    keys = [option.key for option in options]
    for key in configuration.option_values:
        if key not in keys:
            meant = difflib.get_close_matches(key, keys, 1)
            hint = f"; did you mean {meant[0]}?" if meant else ""
            _logger.warning("unknown key %r is ignored%s", ShownValue(key), hint)
    for unknown, known in misspelt_variables(options, os.environ):
        _logger.warning("unknown variable %s; did you mean %s?", unknown, known)


def misspelt_variables(
    options: Sequence[DaemonOption], environ: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield each variable that looks misspelt, and the one that was probably meant."""
    known = [str(option.envvar).removeprefix(VARIABLE_PREFIX) for option in options]
    for name in environ:
        rest = name.removeprefix(VARIABLE_PREFIX)
        if rest != name and rest not in known:
            for meant in difflib.get_close_matches(rest, known, 1, _MIN_LIKENESS):
                yield name, VARIABLE_PREFIX + meant
