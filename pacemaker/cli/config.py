"""``config``: the effective configuration, and whether `serve` would start."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from pacemaker.cli.output import exit_code_answers, print_text
from pacemaker.cli.preparation import (
    configuration_options,
    prepare,
    prepare_sasl,
    warn_of,
)
from pacemaker.config import Configuration, Settings, decide_hold
from pacemaker.config.keys import KEYS, Key


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
@click.option(
    "--check",
    is_flag=True,
    help="Only check whether `serve` would start, with the same messages and the "
    "same exit code.",
)
@click.option(
    "--relay", "is_relay", is_flag=True, help="Check `relay` instead of `serve`."
)
def config_command(
    config_file: str | None,
    overrides: Sequence[str],
    log_level: str | None,
    check: bool,
    is_relay: bool,
) -> None:
    """Print the effective configuration and where each value came from.

    The output is YAML. The comment after each value names its origin: a file, `-c`
    or the default. A comment replaces each secret. The names of the files that
    were read go to stderr.
    """
    configuration = prepare(config_file, overrides, log_level)
    if is_relay and not check:
        raise click.UsageError("--relay has no effect without --check")
    if check:
        command = "relay" if is_relay else "serve"
        (_check_relay if is_relay else _check_serve)(configuration.settings)
        with exit_code_answers():
            print_text(f"{command} would start with this configuration")
    else:
        for line in effective_lines(configuration):
            print_text(line)


def _check_serve(settings: Settings) -> None:
    """Do what `serve` does before it listens."""
    if settings.relay_servers:
        from pacemaker.relay.places import place_of_server

        place_of_server(settings, None)
    prepare_sasl(settings)


def _check_relay(settings: Settings) -> None:
    """Do what `relay` does before it listens."""
    from pacemaker.relay.security import relay_sasl
    from pacemaker.relay.upstreams import find_servers

    warn_of(relay_sasl(settings).notes)
    find_servers(settings)


def effective_lines(configuration: Configuration) -> Iterator[str]:
    """Yield a YAML line for each key, with its origin as a comment; then the hold."""
    pairs = [(_pair(key, configuration), key) for key in KEYS]
    width = max(len(pair) for pair, _ in pairs)
    for pair, key in pairs:
        # Origins are names of files, which may hold anything.
        origin = json.dumps(configuration.origins[key.field])[1:-1]
        yield f"{pair:{width}}  # {origin}"
    yield f"# serve holds misses after a start: {decide_hold(configuration)}"


def _pair(key: Key, configuration: Configuration) -> str:
    value = getattr(configuration.settings, key.field)
    if key.is_secret and value is not None:
        # A comment: what is printed may be used as a storm.yaml, and no words of
        # ours must become a password there.
        return f"# {key.name}: (not shown)"
    if isinstance(value, enum.Enum):
        value = value.value
    elif isinstance(value, Path):
        value = str(value)
    # JSON is YAML, and escapes all but plain ASCII.
    return f"{key.name}: {json.dumps(value)}"
