"""``config``: the effective configuration, and whether `serve` would start."""

from __future__ import annotations

import enum
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import click

from pacemaker.cli.options.configuration import (
    LEVEL_VARIABLE,
    choose_hold_times,
    configuration_options,
    log_notes,
    prepare,
    prepare_sasl,
)
from pacemaker.cli.options.daemon_options import (
    DaemonOption,
    chosen_elsewhere,
    warn_of_unknown,
)
from pacemaker.cli.options.targets import json_option
from pacemaker.cli.output.printing import exit_code_answers, print_json, print_text
from pacemaker.config import Configuration, Settings
from pacemaker.config.keys import KEYS
from pacemaker.core.protocol.hold_times import HoldTimes


@click.command(
    "config",
    short_help="Show the effective configuration, or check it.",
    epilog="""\b
Examples:
  storm-pacemaker-py config
  storm-pacemaker-py config --check -c pacemaker.auth.method=DIGEST
  storm-pacemaker-py config --log-level error > effective.yaml""",
)
@configuration_options
@json_option
@click.option(
    "--check",
    is_flag=True,
    help="Only check whether `serve` would start, with the same messages and the "
    "same exit code.",
)
@click.option(
    "--relay", "is_relay", is_flag=True, help="Check `relay` instead of `serve`."
)
@click.pass_context
def config_command(
    ctx: click.Context,
    /,
    config_file: str | None,
    overrides: Sequence[str],
    log_level: str | None,
    as_json: bool,
    check: bool,
    is_relay: bool,
) -> None:
    """Print the effective configuration and where each value came from.

    The output is YAML. The comment after each value names its origin: a file, `-c`,
    a variable of the environment or the default. A comment replaces each secret. The
    names of the files that were read go to stderr.

    Keys below `pacemaker.py` are the options of `serve` and the other commands that
    run until they are stopped. This command cannot know their command line, and their
    environment may differ, too.
    """
    if is_relay and not check:
        raise click.UsageError("--relay has no effect without --check")
    configuration = prepare(config_file, overrides, log_level)
    warn_of_unknown(ctx, configuration)
    entries = list(_entries(ctx, configuration))
    if check:
        command = "relay" if is_relay else "serve"
        (_check_relay if is_relay else _check_serve)(configuration.settings)
        with exit_code_answers():
            print_text(f"{command} would start with this configuration")
    elif as_json:
        print_json({entry.name: entry.as_json() for entry in entries})
    else:
        for line in _lines(entries):
            print_text(line)
        print_text(f"# serve holds misses after a start: {_hold(ctx, configuration)}")


def _check_serve(settings: Settings) -> None:
    """Do what `serve` does before it listens."""
    if settings.relay_servers:
        from pacemaker.relay.own_addresses import own_address

        own_address(settings, None)
    prepare_sasl(settings)


def _check_relay(settings: Settings) -> None:
    """Do what `relay` does before it listens."""
    from pacemaker.relay.security import relay_sasl
    from pacemaker.relay.upstreams import upstream_addresses

    log_notes(relay_sasl(settings).notes)
    upstream_addresses(settings)


class ShownSetting(NamedTuple):
    """One key of the effective configuration.

    Attributes:
        name: the key.
        value: its value, for JSON; None if there is none, or it is a secret.
        origin: where it came from.
        is_hidden: whether there is a value that must not be shown.
        flag: the same as an option; None if there is none.
        variable: the same as a variable of the environment; None if there is none.
    """

    name: str
    value: object
    origin: str
    is_hidden: bool = False
    flag: str | None = None
    variable: str | None = None

    def as_json(self) -> dict[str, object]:
        """Return the entry for programs."""
        shown = {"value": self.value, "origin": self.origin}
        if self.is_hidden:
            shown["is_secret"] = True
        if self.flag is not None:
            shown |= {"flag": self.flag, "variable": self.variable}
        return shown


def _entries(
    ctx: click.Context, configuration: Configuration
) -> Iterator[ShownSetting]:
    for key in KEYS:
        value = getattr(configuration.settings, key.field)
        is_hidden = key.is_secret and value is not None
        shown = None if is_hidden else _plain(value)
        entry = ShownSetting(
            key.name, shown, configuration.origins[key.field], is_hidden
        )
        yield _with_flag(entry) if key.field == "log_level" else entry
    for _, option, chosen in chosen_elsewhere(ctx.find_root(), configuration):
        value = _default(option) if chosen.written is None else chosen.written
        yield ShownSetting(
            option.key,
            _plain(value),
            chosen.origin,
            False,
            option.opts[0],
            str(option.envvar),
        )


def _default(option: DaemonOption) -> object:
    """Return the default of an option; None if the daemon works it out at its start."""
    if option.is_flag:
        return False
    return option.default if isinstance(option.default, str | float) else None


def _with_flag(level: ShownSetting) -> ShownSetting:
    """Return the entry of the log level, which is the only key with a flag.

    The --log-level of `config` itself says nothing about the daemon's.
    """
    level = level._replace(flag="--log-level", variable=LEVEL_VARIABLE)
    written = os.environ.get(LEVEL_VARIABLE)
    if not written:
        return level
    return level._replace(value=written.lower(), origin=LEVEL_VARIABLE)


def _plain(value: object) -> object:
    """Return a value that JSON can represent."""
    if isinstance(value, enum.Enum):
        return value.value
    if value is None or isinstance(value, str | int | float | list | tuple | dict):
        return value
    return str(value) if isinstance(value, Path) else None


def _lines(entries: Sequence[ShownSetting]) -> Iterator[str]:
    """Yield a YAML line for each key, with its origin as a comment."""
    pairs = [_pair(entry) for entry in entries]
    width = max(map(len, pairs))
    for pair, entry in zip(pairs, entries, strict=True):
        # Origins are names of files, which may contain any character.
        yield f"{pair:{width}}  # {json.dumps(entry.origin)[1:-1]}"


def _pair(entry: ShownSetting) -> str:
    if entry.is_hidden:
        # Print a comment: the output may be used as a storm.yaml, in which a
        # placeholder would become the password.
        return f"# {entry.name}: (not shown)"
    # JSON is YAML, and escapes all but plain ASCII.
    return f"{entry.name}: {json.dumps(entry.value)}"


def _hold(ctx: click.Context, configuration: Configuration) -> HoldTimes:
    """Return how long `serve` would hold misses, if it were started without --hold."""
    for command, option, chosen in chosen_elsewhere(ctx.find_root(), configuration):
        if (command, option.name) == ("serve", "hold_s"):
            return choose_hold_times(configuration, chosen.value, chosen.origin)
    return choose_hold_times(configuration)
