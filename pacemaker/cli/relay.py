"""``relay``: run a relay in the foreground."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from pacemaker.cli.preparation import configuration_options, prepare, warn_of
from pacemaker.cli.serving import (
    check_admin,
    check_bind,
    check_io_threads,
    server_options,
)
from pacemaker.core.accounts import AddressLimits

if TYPE_CHECKING:
    from pacemaker.admin.address import AdminAddress
    from pacemaker.core.addresses import Network

DEFAULT_BIND = "localhost"
"""Where Storm's clients on the same host look for it."""


@click.command(
    "relay",
    short_help="Run a relay to other Pacemakers in the foreground.",
    epilog="""\b
Examples:
  storm-pacemaker-py relay
      with pacemaker.servers: ["localhost"] and pacemaker.relay.servers: [pm1, pm2]
      in storm.yaml, on every host of the cluster
  storm-pacemaker-py relay --to pm1.example.com --to pm2.example.com:6700

Signals are those of `serve`.""",
)
@configuration_options
@click.option(
    "--to",
    "servers",
    multiple=True,
    metavar="HOST[:PORT]",
    help="A Pacemaker, ours or the JVM's; repeatable. Default: those of "
    "pacemaker.relay.servers in storm.yaml, a key that Storm ignores.",
)
@click.option(
    "--bind",
    metavar="ADDRESS",
    default=DEFAULT_BIND,
    show_default=True,
    callback=check_bind,
    help="Listen on this address, or on every address of this host name.",
)
@server_options
def relay_command(
    config_file: str | None,
    overrides: Sequence[str],
    log_level: str | None,
    log_format: str,
    servers: Sequence[str],
    bind: str,
    io_threads: int | None,
    buffer_budget: int | None,
    store_budget: int | None,
    shared_addresses: tuple[Network, ...] | None,
    address_limits: AddressLimits,
    admin: AdminAddress | None,
    admin_hosts: tuple[str, ...],
    admin_token: str | None,
    trial: str | None,
) -> None:
    """Run a relay until it is asked to stop.

    Storm's clients on this host talk to the relay, and the relay talks to all
    Pacemakers. While one of them lives, the death of another costs no heartbeat,
    and Nimbus does not wait for it.
    """
    from pacemaker import server
    from pacemaker.core.addresses import DEFAULT_SHARED
    from pacemaker.relay.daemon import RelayDaemon
    from pacemaker.relay.security import relay_sasl
    from pacemaker.relay.upstreams import Upstreams, find_servers
    from pacemaker.server.process.surroundings import fill_standard_streams

    check_admin(admin, admin_hosts, admin_token)
    fill_standard_streams()
    settings = prepare(config_file, overrides, log_level, log_format).settings
    sasl = relay_sasl(settings)
    warn_of(sasl.notes)
    check_io_threads(io_threads, settings)
    upstreams = Upstreams(find_servers(settings, servers), sasl.client_factory)
    options = server.ServerOptions(
        bind=bind,
        io_threads=io_threads,
        buffer_budget_bytes=buffer_budget,
        store_budget_bytes=store_budget,
        shared_addresses=(
            DEFAULT_SHARED if shared_addresses is None else shared_addresses
        ),
        address_limits=address_limits,
        # Its answers are those of the Pacemakers, which keep theirs.
        history=False,
        admin=(
            None
            if admin is None
            else server.AdminOptions(admin, admin_hosts, admin_token)
        ),
    )
    make_daemon = partial(RelayDaemon, upstreams)
    if trial is None:
        server.run(settings, options, sasl.server, make_daemon)
    else:
        click.echo(server.rehearse(settings, options, sasl.server, trial, make_daemon))
