"""``serve``: run the daemon in the foreground."""

from __future__ import annotations

from collections.abc import Sequence

import click

from pacemaker.cli.options.configuration import (
    configuration_options,
    prepare,
    prepare_sasl,
)
from pacemaker.cli.options.daemon_options import daemon_option
from pacemaker.cli.options.server_options import (
    check_bind,
    choose_server_options,
    chosen_options,
    server_options,
)
from pacemaker.config import decide_hold
from pacemaker.config.hold import MAX_HOLD_S


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
@daemon_option(
    "--bind",
    metavar="ADDRESS",
    callback=check_bind,
    help="Listen on this address, or on every address of this host name. Default: "
    "every address of the host, as Storm does; if pacemaker.relay.servers is set, "
    "this host's entry there. 0.0.0.0 is IPv4 only, :: is IPv6 only.",
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
    help="Keep no history of the heartbeats. `why` needs it.",
)
@server_options()
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
    from pacemaker.server.process.environment import fill_standard_streams

    fill_standard_streams()
    configuration = prepare(config_file, overrides, log_level, log_format)
    chosen = choose_server_options(ctx, configuration, log_level, log_format)
    settings, bind = configuration.settings, chosen["bind"].value
    if settings.relay_servers:
        from pacemaker.relay.own_addresses import own_address

        settings, bind = own_address(settings, bind)
    sasl = prepare_sasl(settings)
    hold = decide_hold(configuration, chosen["hold_s"].value, chosen["hold_s"].origin)
    history = not chosen["no_history"].value
    options = chosen_options(chosen, settings, bind, hold=hold, history=history)
    if trial is None:
        server.run(settings, options, sasl)
    else:
        click.echo(server.dry_run(settings, options, sasl, trial))
