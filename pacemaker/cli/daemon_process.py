"""The options by which a command chooses a daemon of this host."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., object])


def process_options(command: _Command) -> _Command:
    """Add PID and --pid-file, which become `pid` and `pid_file`."""
    command = click.option(
        "--pid-file",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Read the process id from FILE.",
    )(command)
    return click.argument("pid", type=click.IntRange(min=1), required=False)(command)


def read_pid(file: Path) -> int:
    """Read a process id from a file.

    Raises:
        click.BadParameter: the file does not contain one.
    """
    try:
        text = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as exc:
        reason = getattr(exc, "strerror", None) or "it is not text"
        raise click.BadParameter(f"{file}: {reason}", param_hint="--pid-file") from exc
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise click.BadParameter(
            f"{file}: must contain a process id and nothing else",
            param_hint="--pid-file",
        )
    return int(text)
