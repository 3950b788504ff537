"""``ping``: check whether every server answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pacemaker.cli.options.targets import Target, client_command, json_option
from pacemaker.cli.output import exit_codes
from pacemaker.cli.output.printing import exit_code_answers, print_json, print_table

if TYPE_CHECKING:
    from pacemaker.client import ServerHealth


@click.command(
    "ping",
    short_help="Check whether every server answers.",
    epilog="""\b
Examples:
  storm-pacemaker-py ping
  storm-pacemaker-py ping --server pm1.example.com:6699 --timeout 1
  storm-pacemaker-py ping --json | jq '.[] | select(.ok | not)'

The exit code is 0 if all servers answer, and 75 if one does not.""",
)
@client_command
@json_option
@click.pass_context
def ping_command(ctx: click.Context, target: Target, as_json: bool) -> None:
    """Send each server a request that stores nothing and needs no right to read.

    If an authentication method is configured, ping authenticates as well. The
    servers are those of pacemaker.servers and of pacemaker.relay.servers: relays,
    and the Pacemakers that they pass heartbeats to.
    """
    with target.pool(warns=False, behind_relays=True) as pool:
        healths = pool.ping()
    with exit_code_answers():
        _print(healths, as_json)
    if any(health.error for health in healths):
        ctx.exit(exit_codes.NO_ANSWER)


def _print(healths: list[ServerHealth], as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "server": health.server,
                    "ok": health.error is None,
                    "took_ms": round(1000 * health.took_s, 3),
                    "error": health.error and health.error.reason,
                }
                for health in healths
            ]
        )
    else:
        print_table(
            [
                (
                    health.server,
                    "fails" if health.error else "answers",
                    health.error.reason
                    if health.error
                    else f"{1000 * health.took_s:.1f} ms",
                )
                for health in healths
            ]
        )
