"""``serve``: run the daemon in the foreground."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from pacemaker.cli.address_limits import address_options
from pacemaker.cli.admin_options import admin_options
from pacemaker.cli.daemon_options import Chosen, choose, daemon_option
from pacemaker.cli.logs import configure_logs
from pacemaker.cli.preparation import (
    configuration_options,
    log_format_option,
    prepare,
    prepare_sasl,
)
from pacemaker.cli.sizes import parse_size
from pacemaker.config import Configuration, Settings, decide_hold
from pacemaker.config.hold import MAX_HOLD_S

if TYPE_CHECKING:
    from pacemaker.server import AdminOptions, ServerOptions


def _check_bind(
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


@click.command(
    "serve",
    short_help="Run the daemon in the foreground.",
    epilog="""\b
Examples:
  storm-pacemaker-py serve
      reads storm.yaml in STORM_CONF_DIR, or else in STORM_HOME/conf, in the conf
      folder of the storm on the PATH, or in /etc/storm
  storm-pacemaker-py serve --config /etc/storm/storm.yaml
  storm-pacemaker-py serve -c pacemaker.port=6700 -c pacemaker.auth.method=NONE
  storm-pacemaker-py serve --bind 10.0.0.5 --store-budget 2G

SIGTERM and SIGINT stop the daemon; a second one stops it at once. SIGHUP and
SIGUSR2 upgrade it in place to the program and configuration that are then on
disk; the command `reload` does the same and waits for the outcome. SIGUSR1 logs
the figures, and SIGQUIT logs what each thread is doing.""",
)
@configuration_options
@log_format_option
@daemon_option(
    "--bind",
    metavar="ADDRESS",
    callback=_check_bind,
    help="Listen on this address, or on every address of this host name. Default: "
    "every address of the host, as Storm does. 0.0.0.0 is IPv4 only, :: is IPv6 only.",
)
@daemon_option(
    "--io-threads",
    type=click.IntRange(min=1),
    metavar="N",
    help="Serve connections with N threads, at most pacemaker.max.threads.",
)
@daemon_option(
    "--buffer-budget",
    type=parse_size,
    metavar="SIZE",
    help="Memory for the buffers of all connections, such as 512M. Default: a "
    "quarter of the memory that the process may use.",
)
@daemon_option(
    "--store-budget",
    type=parse_size,
    metavar="SIZE",
    help="Memory for the stored heartbeats, such as 1G. Default: half of the memory "
    "that the process may use.",
)
@daemon_option(
    "--hold",
    "hold_s",
    type=click.IntRange(0, MAX_HOLD_S),
    metavar="SECONDS",
    help="How long to hold reads of absent heartbeats after a start; 0 turns this "
    "off. Default: off, unless storm.yaml names exactly one Pacemaker; then 20 s, or "
    "10 s if the listening socket was handed over.",
)
@daemon_option(
    "--no-history",
    is_flag=True,
    help="Keep no history of the heartbeats, which `why` asks for.",
)
@address_options
@admin_options
@click.option(
    "--try-upgrade",
    "trial",
    metavar="FORMAT:PORT",
    hidden=True,
    help="Try the start without serving, and check whether a daemon with this state "
    "format and this port could be upgraded to this program.",
)
@click.pass_context
def serve_command(
    ctx: click.Context,
    /,
    config_file: str | None,
    overrides: Sequence[str],
    log_level: str | None,
    log_format: str,
    trial: str | None,
    **_: object,
) -> None:
    """Run the Pacemaker daemon until it is asked to stop.

    It reads Storm's configuration and replaces `storm pacemaker`: stop that one,
    start this one on the same host, and change nothing else.

    Most options can also be variables of the environment or keys of storm.yaml:
    `--store-budget` is STORM_PACEMAKER_STORE_BUDGET and `pacemaker.py.store.budget`.
    The command line wins, then the environment, then storm.yaml.
    """
    # The daemon's own half is imported where it is needed: --help starts without.
    from pacemaker import server
    from pacemaker.server.process.surroundings import fill_standard_streams

    fill_standard_streams()
    configuration = prepare(config_file, overrides, log_level, log_format)
    chosen = choose(ctx, configuration)
    settings = configuration.settings
    if (chosen_format := chosen["log_format"].value) != log_format:
        configure_logs(log_level or settings.log_level, chosen_format)
    options = _server_options(chosen, configuration)
    sasl = prepare_sasl(settings)
    if trial is None:
        server.run(settings, options, sasl)
    else:
        click.echo(server.rehearse(settings, options, sasl, trial))


def _server_options(
    chosen: Mapping[str, Chosen], configuration: Configuration
) -> ServerOptions:
    from pacemaker.core.addresses import DEFAULT_SHARED
    from pacemaker.server import ServerOptions

    _check_io_threads(chosen["io_threads"], configuration.settings)
    hold, shared = chosen["hold_s"], chosen["shared_addresses"].value
    return ServerOptions(
        bind=chosen["bind"].value,
        io_threads=chosen["io_threads"].value,
        buffer_budget_bytes=chosen["buffer_budget"].value,
        store_budget_bytes=chosen["store_budget"].value,
        hold=decide_hold(configuration, hold.value, hold.origin),
        shared_addresses=DEFAULT_SHARED if shared is None else shared,
        address_limits=chosen["address_limits"].value,
        history=not chosen["no_history"].value,
        admin=_admin_options(chosen),
    )


def _admin_options(chosen: Mapping[str, Chosen]) -> AdminOptions | None:
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


def _check_io_threads(io_threads: Chosen, settings: Settings) -> None:
    if io_threads.value is not None and io_threads.value > settings.max_threads:
        raise click.BadParameter(
            f"{io_threads.value} is more than pacemaker.max.threads, which is "
            f"{settings.max_threads}",
            param_hint=f"'{io_threads.origin}'",
        )
