"""``serve``: run the daemon in the foreground."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from pacemaker.cli.preparation import (
    configuration_options,
    prepare,
    prepare_sasl,
)
from pacemaker.cli.serving import (
    check_admin,
    check_bind,
    check_io_threads,
    server_options,
)
from pacemaker.config import decide_hold
from pacemaker.config.hold import MAX_HOLD_S
from pacemaker.core.accounts import AddressLimits

if TYPE_CHECKING:
    from pacemaker.admin.address import AdminAddress
    from pacemaker.core.addresses import Network


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
@click.option(
    "--bind",
    metavar="ADDRESS",
    callback=check_bind,
    help="Listen on this address, or on every address of this host name. Default: "
    "every address of the host, as Storm does; if pacemaker.relay.servers is set, "
    "this host's entry there. 0.0.0.0 is IPv4 only, :: is IPv6 only.",
)
@click.option(
    "--hold",
    "hold_s",
    type=click.IntRange(0, MAX_HOLD_S),
    metavar="SECONDS",
    help="How long to hold reads of absent heartbeats after a start; 0 turns this "
    "off. Default: off, unless storm.yaml names exactly one Pacemaker; then 20 s, or "
    "10 s if the listening socket was handed over.",
)
@click.option(
    "--no-history",
    is_flag=True,
    help="Keep no history of the heartbeats, which `why` asks for.",
)
@server_options
def serve_command(
    config_file: str | None,
    overrides: Sequence[str],
    log_level: str | None,
    log_format: str,
    bind: str | None,
    io_threads: int | None,
    buffer_budget: int | None,
    store_budget: int | None,
    hold_s: int | None,
    no_history: bool,
    shared_addresses: tuple[Network, ...] | None,
    address_limits: AddressLimits,
    admin: AdminAddress | None,
    admin_hosts: tuple[str, ...],
    admin_token: str | None,
    trial: str | None,
) -> None:
    """Run the Pacemaker daemon until it is asked to stop.

    It reads Storm's configuration and replaces `storm pacemaker`: stop that one,
    start this one on the same host, and change nothing else.
    """
    # The daemon's own half is imported where it is needed: --help starts without.
    from pacemaker import server
    from pacemaker.core.addresses import DEFAULT_SHARED
    from pacemaker.server.process.surroundings import fill_standard_streams

    check_admin(admin, admin_hosts, admin_token)
    fill_standard_streams()
    configuration = prepare(config_file, overrides, log_level, log_format)
    settings = configuration.settings
    if settings.relay_servers:
        from pacemaker.relay.places import place_of_server

        settings, bind = place_of_server(settings, bind)
    sasl = prepare_sasl(settings)
    check_io_threads(io_threads, settings)
    options = server.ServerOptions(
        bind=bind,
        io_threads=io_threads,
        buffer_budget_bytes=buffer_budget,
        store_budget_bytes=store_budget,
        hold=decide_hold(configuration, hold_s),
        shared_addresses=(
            DEFAULT_SHARED if shared_addresses is None else shared_addresses
        ),
        address_limits=address_limits,
        history=not no_history,
        admin=(
            None
            if admin is None
            else server.AdminOptions(admin, admin_hosts, admin_token)
        ),
    )
    if trial is None:
        server.run(settings, options, sasl)
    else:
        click.echo(server.rehearse(settings, options, sasl, trial))
