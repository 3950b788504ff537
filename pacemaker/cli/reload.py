"""``reload``: upgrade a running daemon in place, and wait for the outcome."""

from __future__ import annotations

from pathlib import Path

import click

from pacemaker.cli.options.daemon_process import process_options, read_pid
from pacemaker.cli.options.seconds import TIMEOUT
from pacemaker.cli.output.printing import exit_code_answers, print_line


@click.command(
    "reload",
    short_help="Upgrade a running daemon in place.",
    epilog="""\b
Examples:
  storm-pacemaker-py reload 4711
  storm-pacemaker-py reload --pid-file /run/storm-pacemaker-py.pid
  ExecReload=/opt/pacemaker/bin/storm-pacemaker-py reload $MAINPID

The exit code is 0 as soon as the new program serves. It is 1 if the upgrade was
refused or failed; the reason is printed.""",
)
@process_options
@click.option(
    "--timeout",
    "timeout_s",
    metavar="SECONDS",
    type=TIMEOUT,
    default=60.0,
    show_default=True,
    help="How long to wait for the outcome.",
)
def reload_command(pid: int | None, pid_file: Path | None, timeout_s: float) -> None:
    """Upgrade the daemon with process id PID to the program and configuration on disk.

    The daemon tries the new program first. If it would not start, nothing changes.
    Otherwise the daemon becomes the new program, and keeps its process id, every
    connection and every heartbeat.
    """
    # Imported where it is needed: --help starts without.
    from pacemaker.server.upgrade.request import request_upgrade

    if (pid is None) is (pid_file is None):
        raise click.UsageError("give either PID or --pid-file FILE")
    if pid_file is not None:
        pid = read_pid(pid_file)
    assert pid is not None  # noqa: S101  (one of the two was given)
    request_upgrade(pid, timeout_s)
    with exit_code_answers():
        print_line(f"process {pid} was upgraded and serves")
