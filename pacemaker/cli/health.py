"""``health``: ask a daemon's admin endpoint whether it is well."""

from __future__ import annotations

import click

from pacemaker.admin.address import AdminAddress
from pacemaker.cli import exit_codes
from pacemaker.cli.admin_options import ADMIN_VARIABLE, METAVAR, parse_admin
from pacemaker.cli.output import exit_code_answers, print_text, printable


@click.command(
    "health",
    short_help="Ask a daemon's admin endpoint whether it is well.",
    epilog="""\b
Examples:
  storm-pacemaker-py health --admin 127.0.0.1:6698
  storm-pacemaker-py health --admin unix:/run/storm-pacemaker-py/admin --live

The exit code is 0 if the daemon is well, 1 if it is not, and 75 if it does not
answer.""",
)
@click.option(
    "--admin",
    metavar=METAVAR,
    envvar=ADMIN_VARIABLE,
    required=True,
    callback=parse_admin,
    help=f"The daemon's --admin. Default: {ADMIN_VARIABLE} of the environment.",
)
@click.option(
    "--live",
    is_flag=True,
    help="Ask only whether its threads make progress (/livez), and not whether it"
    " serves (/readyz).",
)
@click.option(
    "--timeout",
    "timeout_s",
    metavar="SECONDS",
    type=click.FloatRange(min=0, min_open=True),
    default=4.0,
    show_default=True,
    help="How long to wait for the answer.",
)
@click.pass_context
def health_command(
    ctx: click.Context, admin: AdminAddress | None, live: bool, timeout_s: float
) -> None:
    """Print each check of a daemon with its figure."""
    # Imported where it is needed: --help starts without.
    from pacemaker.admin.client import ask

    if admin is None:
        raise click.UsageError(f"--admin or {ADMIN_VARIABLE} must name the endpoint")
    answer = ask(admin, f"/{'livez' if live else 'readyz'}?verbose", timeout_s)
    with exit_code_answers():
        for line in answer.text.splitlines():
            print_text(printable(line))
    if answer.status != 200:
        ctx.exit(exit_codes.NO)
