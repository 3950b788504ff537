"""``relay``: run a relay in the foreground."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import click

from pacemaker.cli.options.configuration import (
    configuration_options,
    log_notes,
    prepare,
)
from pacemaker.cli.options.daemon_options import daemon_option
from pacemaker.cli.options.server_options import (
    check_bind,
    choose_server_options,
    chosen_options,
    server_options,
)

# Where Storm's clients on the same host look for it.
DEFAULT_BIND: Final = "localhost"


@click.command(
    "relay",
    short_help="Run a relay to other Pacemakers in the foreground.",
    epilog="""\b
Examples:
  storm-pacemaker-py relay
      with pacemaker.servers: ["localhost"] and pacemaker.relay.servers: [pm1, pm2]
      in storm.yaml, on every host of the cluster
  storm-pacemaker-py relay --to pm1.example.com --to pm2.example.com:6700

Signals have the same effect as for `serve`.""",
)
@configuration_options
@daemon_option(
    "--to",
    "servers",
    scope="relay",
    multiple=True,
    metavar="HOST[:PORT]",
    help="A Pacemaker, ours or the JVM's; repeatable. Default: those of "
    "pacemaker.relay.servers in storm.yaml, a key that Storm ignores.",
)
@daemon_option(
    "--bind",
    scope="relay",
    metavar="ADDRESS",
    default=DEFAULT_BIND,
    show_default=True,
    callback=check_bind,
    help="Listen on this address, or on every address of this host name.",
)
@daemon_option(
    "--no-history",
    scope="relay",
    is_flag=True,
    help="Keep no history of the heartbeats, which `why` asks for.",
)
@server_options("relay")
@click.pass_context
def relay_command(
    ctx: click.Context,
    /,
    config_file: str | None,
    overrides: Sequence[str],
    log_level: str | None,
    log_format: str,
    trial: str | None,
    **_: object,
) -> None:
    """Run a relay until it is asked to stop.

    Storm's clients on this host talk to the relay, and the relay talks to all
    Pacemakers. While one of them lives, the death of another costs no heartbeat,
    and Nimbus does not wait for it.
    """
    from pacemaker import server
    from pacemaker.relay.daemon import RelayDaemon
    from pacemaker.relay.security import relay_sasl
    from pacemaker.relay.upstreams import Upstreams, upstream_addresses
    from pacemaker.server.process.environment import fill_standard_streams

    fill_standard_streams()
    configuration = prepare(config_file, overrides, log_level, log_format)
    chosen = choose_server_options(ctx, configuration, log_level, log_format)
    settings = configuration.settings
    sasl = relay_sasl(settings)
    log_notes(sasl.notes)
    servers = upstream_addresses(settings, chosen["servers"].value)
    upstreams = Upstreams(servers, sasl.client_factory)
    history = not chosen["no_history"].value
    options = chosen_options(chosen, settings, chosen["bind"].value, history=history)
    make_daemon = partial(RelayDaemon, upstreams)
    if trial is None:
        server.run(settings, options, sasl.server, make_daemon)
    else:
        click.echo(server.dry_run(settings, options, sasl.server, trial, make_daemon))
