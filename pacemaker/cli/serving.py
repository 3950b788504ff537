"""What the commands share that run a server: `serve` and `relay`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from pacemaker.cli.address_limits import address_options
from pacemaker.cli.admin_options import admin_options
from pacemaker.cli.preparation import log_format_option
from pacemaker.cli.sizes import parse_size
from pacemaker.config import Settings

if TYPE_CHECKING:
    from pacemaker.admin.address import AdminAddress

_Command = TypeVar("_Command", bound=Callable[..., Any])


def check_bind(
    ctx: click.Context, param: click.Parameter, bind: str | None
) -> str | None:
    """Refuse text that would resolve to another address than the user means."""
    if bind is None:
        return None
    if not bind.strip():
        raise click.BadParameter(
            "the address is empty; leave out --bind to listen on every address"
        )
    if bind.startswith("[") != bind.endswith("]") or re.fullmatch(r"[^:]*:\d+", bind):
        raise click.BadParameter(
            f"{bind}: must be an address or a host name without a port; set the port"
            " with pacemaker.port"
        )
    return bind


def check_io_threads(io_threads: int | None, settings: Settings) -> None:
    """Refuse more I/O threads than Storm's configuration allows."""
    if io_threads is not None and io_threads > settings.max_threads:
        raise click.BadParameter(
            f"{io_threads} is more than pacemaker.max.threads, which is "
            f"{settings.max_threads}",
            param_hint="'--io-threads'",
        )


def check_admin(
    admin: AdminAddress | None, hosts: tuple[str, ...], token: str | None
) -> None:
    """Refuse options of the admin endpoint if there is none."""
    if admin is None and (hosts or token is not None):
        raise click.UsageError(
            "--admin-host and --admin-token-file have no effect without --admin"
        )


def server_options(command: _Command) -> _Command:
    """Add the options of a server, except for its address."""
    command = address_options(admin_options(_TRIAL(command)))
    for option in reversed(_OPTIONS):
        command = option(command)
    return log_format_option(command)


_OPTIONS: Final = (
    click.option(
        "--io-threads",
        type=click.IntRange(min=1),
        metavar="N",
        help="Serve connections with N threads, at most pacemaker.max.threads.",
    ),
    click.option(
        "--buffer-budget",
        type=parse_size,
        metavar="SIZE",
        help="Memory for the buffers of all connections, such as 512M. Default: a "
        "quarter of the memory that the process may use.",
    ),
    click.option(
        "--store-budget",
        type=parse_size,
        metavar="SIZE",
        help="Memory for the stored heartbeats, such as 1G. Default: half of the "
        "that the process may use.",
    ),
)

_TRIAL: Final = click.option(
    "--try-upgrade",
    "trial",
    metavar="FORMAT:PORT",
    hidden=True,
    help="Try the start without serving, and check whether a daemon with this state "
    "format and this port could be upgraded to this program.",
)
