"""The options by which a command chooses a daemon of this host."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from pacemaker.errors import StatusError

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


def chosen_daemon(pid: int | None, pid_file: Path | None) -> int:
    """Return the process id of the daemon that PID and --pid-file choose.

    Raises:
        StatusError: neither was given, and there is none on this host.
        click.UsageError: both were given, or neither and there are several.
    """
    if pid is not None and pid_file is not None:
        raise click.UsageError("give PID or --pid-file FILE, not both")
    if pid_file is not None:
        return read_pid(pid_file)
    return _only_daemon_pid() if pid is None else pid


def _only_daemon_pid() -> int:
    from pacemaker.server.process.local_socket import running_daemons
    from pacemaker.server.status import PURPOSE

    try:
        pids = running_daemons(PURPOSE)
    except OSError as exc:
        raise StatusError(
            f"cannot look for daemons ({exc.strerror}): name one by its process id"
        ) from exc
    if not pids:
        raise StatusError(
            "no storm-pacemaker-py serves on this host, or it runs in a container"
        )
    if len(pids) > 1:
        raise click.UsageError(
            f"there are {len(pids)} daemons; choose one: {', '.join(map(str, pids))}"
        )
    return pids[0]
