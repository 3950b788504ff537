"""What the commands share that run a server: `serve` and `relay`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from pacemaker.cli.options.address_limits import address_options
from pacemaker.cli.options.admin_options import admin_options
from pacemaker.cli.options.configuration import log_format_option
from pacemaker.cli.options.daemon_options import OptionValue, choose, daemon_option
from pacemaker.cli.options.sizes import parse_size
from pacemaker.cli.output.logs import configure_logs
from pacemaker.config import Configuration, Settings

if TYPE_CHECKING:
    from pacemaker.server import AdminOptions, ServerOptions

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


def check_io_threads(io_threads: OptionValue, settings: Settings) -> None:
    """Refuse more I/O threads than Storm's configuration allows."""
    if io_threads.value is not None and io_threads.value > settings.max_threads:
        raise click.BadParameter(
            f"{io_threads.value} is more than pacemaker.max.threads, which is "
            f"{settings.max_threads}",
            param_hint=f"'{io_threads.origin}'",
        )


def chosen_options(
    chosen: Mapping[str, OptionValue], settings: Settings, bind: str | None, **more: Any
) -> ServerOptions:
    """Return the options of a server.

    Args:
        chosen: the options of `server_options`, from wherever they came.
        settings: Storm's configuration.
        bind: the address to listen on.
        more: further fields of `ServerOptions`.

    Raises:
        click.UsageError: they contradict each other.
    """
    from pacemaker.core.accounts.addresses import DEFAULT_SHARED_NETWORKS
    from pacemaker.server import ServerOptions

    check_io_threads(chosen["io_threads"], settings)
    shared = chosen["shared_addresses"].value
    return ServerOptions(
        bind=bind,
        io_threads=chosen["io_threads"].value,
        buffer_budget_bytes=chosen["buffer_budget"].value,
        store_budget_bytes=chosen["store_budget"].value,
        shared_addresses=DEFAULT_SHARED_NETWORKS if shared is None else shared,
        address_limits=chosen["address_limits"].value,
        admin=_chosen_admin(chosen),
        **more,
    )


def _chosen_admin(chosen: Mapping[str, OptionValue]) -> AdminOptions | None:
    from pacemaker.server import AdminOptions

    admin, hosts, token = (
        chosen[name].value for name in ("admin", "admin_hosts", "admin_token")
    )
    if admin is not None:
        return AdminOptions(admin, hosts, token)
    if hosts or token is not None:
        raise click.UsageError(
            "--admin-host and --admin-token-file have no effect without --admin"
        )
    return None


def choose_server_options(
    ctx: click.Context,
    configuration: Configuration,
    log_level: str | None,
    log_format: str,
) -> dict[str, OptionValue]:
    """Return the options of a server, and log in the format that was chosen.

    Raises:
        ConfigError: a key of storm.yaml has a value that is not allowed.
    """
    chosen = choose(ctx, configuration)
    if (chosen_format := chosen["log_format"].value) != log_format:
        configure_logs(log_level or configuration.settings.log_level, chosen_format)
    return chosen


def server_options(scope: str = "") -> Callable[[_Command], _Command]:
    """Return what adds the options of a server, except for its address.

    Args:
        scope: see `daemon_option`.
    """

    def add(command: _Command) -> _Command:
        command = address_options(admin_options(_TRIAL(command), scope), scope)
        for flag, attributes in reversed(_OPTIONS.items()):
            command = daemon_option(flag, scope=scope, **attributes)(command)
        return log_format_option(command, scope)

    return add


_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "--io-threads": {
        "type": click.IntRange(min=1),
        "metavar": "N",
        "help": "Serve connections with N threads, at most pacemaker.max.threads. "
        "Default: 1.",
    },
    "--buffer-budget": {
        "type": parse_size,
        "metavar": "SIZE",
        "help": "Memory for the buffers of all connections, such as 512M. Default: a "
        "quarter of the memory that the process may use.",
    },
    "--store-budget": {
        "type": parse_size,
        "metavar": "SIZE",
        "help": "Memory for the stored heartbeats, such as 1G. Default: half of the "
        "memory that the process may use.",
    },
}

_TRIAL: Final = click.option(
    "--try-upgrade",
    "trial",
    metavar="FORMAT:PORT",
    hidden=True,
    help="Try the start without serving, and check whether a daemon with this state "
    "format and this port could be upgraded to this program.",
)
