"""The options of the admin endpoint: where it is, and who may read what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from pacemaker.admin.address import AdminAddress, parse_admin_address
from pacemaker.cli.options.daemon_options import daemon_option

_F = TypeVar("_F", bound=Callable[..., Any])

METAVAR: Final = "ADDRESS:PORT|unix:PATH"


def parse_admin(
    _: click.Context, __: click.Parameter, text: str | None
) -> AdminAddress | None:
    """Parse the value of ``--admin``; an empty value means no endpoint.

    Raises:
        click.BadParameter: the value is not the address of an endpoint.
    """
    if not text:
        return None
    try:
        return parse_admin_address(text)
    except ValueError as exc:
        raise click.BadParameter(str(exc)) from exc


def read_token(_: click.Context, __: click.Parameter, file: Path | None) -> str | None:
    """Read the token in a file.

    Raises:
        click.BadParameter: the file cannot be read, or contains no token.
    """
    if file is None:
        return None
    try:
        token = file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as exc:
        reason = getattr(exc, "strerror", None) or "it is not plain ASCII text"
        raise click.BadParameter(f"{file}: {reason}") from exc
    if not token or not token.isprintable() or " " in token:
        raise click.BadParameter(
            f"{file}: must contain one token, in one line and without blanks"
        )
    return token


def admin_options(command: _F, scope: str = "") -> _F:
    """Add ``--admin``, ``--admin-host`` and ``--admin-token-file`` to a daemon.

    Args:
        command: the daemon's command.
        scope: see `daemon_option`.
    """
    for option in reversed(
        (
            daemon_option(
                "--admin",
                scope=scope,
                metavar=METAVAR,
                callback=parse_admin,
                help="Serve /livez, /readyz and /metrics there, by HTTP and read-only."
                " Default: nowhere.",
            ),
            daemon_option(
                "--admin-host",
                "admin_hosts",
                scope=scope,
                metavar="NAME",
                multiple=True,
                help="A host name that requests to the admin endpoint may use, besides"
                " localhost, addresses and the name in --admin. Repeatable.",
            ),
            daemon_option(
                "--admin-token-file",
                "admin_token",
                scope=scope,
                metavar="FILE",
                type=click.Path(path_type=Path),
                callback=read_token,
                help="If authentication is on, requests with the token in FILE may"
                " read what otherwise only the Unix socket serves.",
            ),
        )
    ):
        command = option(command)
    return command
