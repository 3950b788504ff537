"""``put``: store bytes under a path."""

from __future__ import annotations

from typing import BinaryIO

import click

from pacemaker.cli.options.targets import Target, client_command, path_argument


@click.command(
    "put",
    short_help="Store a file, or stdin, under a path.",
    epilog="""\b
Examples:
  storm-pacemaker-py put /test/one value.bin
  printf hello | storm-pacemaker-py put /test/one
  storm-pacemaker-py get --json /a | jq -r .details | base64 -d |
      storm-pacemaker-py put --server pm2.example.com /a""",
)
@client_command
@path_argument
@click.argument("file", type=click.File("rb"), default="-")
def put_command(target: Target, path: str, file: BinaryIO) -> None:
    """Store the bytes of FILE, unchanged, under PATH on one server.

    Without FILE, the bytes come from stdin. Storm reads them as a heartbeat. Nothing
    is printed.
    """
    details = _read(file)
    with target.pool() as pool:
        try:
            pool.send_pulse(path, details)
        except ValueError as exc:
            raise click.BadParameter(str(exc), param_hint="'FILE'") from exc


def _read(file: BinaryIO) -> bytes:
    try:
        return file.read()
    except OSError as exc:
        # stdin, most likely: it may be closed.
        name = file.name if isinstance(file.name, str) else "stdin"
        raise click.BadParameter(
            f"{name} cannot be read: {exc.strerror}", param_hint="'FILE'"
        ) from exc
