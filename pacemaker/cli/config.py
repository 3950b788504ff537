"""``config``: the effective configuration, and whether `serve` would start."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from pacemaker.cli.output import exit_code_answers, print_text
from pacemaker.cli.preparation import configuration_options, prepare, prepare_sasl
from pacemaker.config import Configuration, decide_hold
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
def config_command(
    config_file: str | None,
    overrides: Sequence[str],
    log_level: str | None,
    check: bool,
) -> None:
    """Print the effective configuration and where each value came from.

    The output is YAML. The comment after each value names its origin: a file, `-c`
    or the default. A comment replaces each secret. The names of the files that
    were read go to stderr.
    """
    configuration = prepare(config_file, overrides, log_level)
    if check:
        prepare_sasl(configuration.settings)
        with exit_code_answers():
            print_text("serve would start with this configuration")
    else:
        for line in effective_lines(configuration):
            print_text(line)


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
