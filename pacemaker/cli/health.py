"""``health``: ask a daemon whether it is well."""

from __future__ import annotations

from pathlib import Path

import click

from pacemaker.admin.address import AdminAddress, parse_admin_address
from pacemaker.cli.options.admin_options import METAVAR, parse_admin
from pacemaker.cli.options.daemon_process import chosen_daemon, process_options
from pacemaker.cli.options.seconds import TIMEOUT
from pacemaker.cli.output import exit_codes
from pacemaker.cli.output.printing import exit_code_answers, print_text, printable


@click.command(
    "health",
    short_help="Ask a daemon whether it is well.",
    epilog="""\b
Examples:
  storm-pacemaker-py health
      the daemon of this host, wherever its endpoint is, or if it has none
  storm-pacemaker-py health --admin 127.0.0.1:6698
  storm-pacemaker-py health --admin unix:/run/storm-pacemaker-py/admin --live

The exit code is 0 if the daemon is well, 1 if it is not, and 75 if it does not
answer.""",
)
@process_options
@click.option(
    "--admin",
    metavar=METAVAR,
    callback=parse_admin,
    help="The daemon's --admin. Default: the daemon says it itself.",
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
    type=TIMEOUT,
    default=4.0,
    show_default=True,
    help="How long to wait for the answer.",
)
@click.pass_context
def health_command(
    ctx: click.Context,
    pid: int | None,
    pid_file: Path | None,
    admin: AdminAddress | None,
    live: bool,
    timeout_s: float,
) -> None:
    """Print each check of a daemon with its figure.

    Without --admin and PID, the host must have exactly one daemon. It answers root and
    the user that it runs as, whatever its configuration is. If it has no admin
    endpoint, its answer says that it serves and that its main thread makes progress.
    """
    # Imported where it is needed: --help starts without.
    from pacemaker.admin.client import fetch_page

    if admin is not None and (pid is not None or pid_file is not None):
        raise click.UsageError("give --admin, or a process, not both")
    if admin is None:
        address, admin = _ask_daemon(chosen_daemon(pid, pid_file), timeout_s)
        if admin is None:
            print_text(printable(f"[+]serving ok: on {address}; no admin endpoint"))
            return
    answer = fetch_page(admin, f"/{'livez' if live else 'readyz'}?verbose", timeout_s)
    with exit_code_answers():
        for line in answer.text.splitlines():
            print_text(printable(line))
    if answer.status != 200:
        ctx.exit(exit_codes.NO)


def _ask_daemon(pid: int, timeout_s: float) -> tuple[str, AdminAddress | None]:
    """Return the address of a daemon, and that of its endpoint if it has one.

    Raises:
        StatusError: it does not answer.
    """
    from pacemaker.server.status_client import ask

    status = ask(pid, timeout_s)
    admin = status.get("admin")
    return status["address"], None if admin is None else parse_admin_address(admin)
