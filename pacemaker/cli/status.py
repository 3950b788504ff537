"""``status``: what a running daemon says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

from pacemaker.cli.options.daemon_process import chosen_daemon, process_options
from pacemaker.cli.options.seconds import TIMEOUT
from pacemaker.cli.options.targets import json_option
from pacemaker.cli.output.printing import (
    duration_text,
    print_json,
    print_line,
    print_table,
)
from pacemaker.texts import counted

_MIB: Final = 2**20


@click.command(
    "status",
    short_help="Show what a daemon on this host is doing.",
    epilog="""\b
Examples:
  storm-pacemaker-py status
  storm-pacemaker-py status 4711
  storm-pacemaker-py status --json | jq .connections
  runuser -u storm-pacemaker -- storm-pacemaker-py status

The exit code is 75 if no daemon answers.""",
)
@process_options
@click.option(
    "--timeout",
    "timeout_s",
    metavar="SECONDS",
    type=TIMEOUT,
    default=10.0,
    show_default=True,
    help="How long to wait for the answer; an upgrade may delay it.",
)
@json_option
def status_command(
    pid: int | None, pid_file: Path | None, timeout_s: float, as_json: bool
) -> None:
    """Show the version, load, budgets and last upgrade of the daemon on this host.

    Without PID, the host must have exactly one daemon. The daemon answers root and
    the user that it runs as, over a Unix socket; it needs no admin endpoint. In a
    container, run the command inside the container.
    """
    # Imported where it is needed: --help starts without.
    from pacemaker.server.status_client import ask

    status = ask(chosen_daemon(pid, pid_file), timeout_s)
    if as_json:
        print_json(status)
    else:
        _print(status)


def _print(status: Mapping[str, Any]) -> None:
    up = duration_text(status["uptime_s"])
    print_line(
        f"storm-pacemaker-py {status['version']}, process {status['pid']}, up {up}"
    )
    print_table(list(_rows(status).items()))


def _rows(status: Mapping[str, Any]) -> dict[str, str]:
    hold, refused = status["hold"], status["refused"]
    return {
        "address": status["address"],
        "authentication": status["authentication"],
        "admin endpoint": status["admin"] or "none",
        "connections": f"{status['connections']}, addresses: {status['addresses']}",
        "heartbeats": f"{status['keys']}, {_budget(status['store'])}",
        "buffers": _budget(status["buffers"]),
        "misses are held": f"for another {hold['left_s']:g} s"
        if hold["left_s"]
        else "no",
        "refused": ", ".join(f"{count} {what}" for what, count in refused.items()),
        "process": f"{status['resident_bytes'] // _MIB} MiB,"
        f" {status['cpu_s']:g} s of CPU time,"
        f" {counted(status['io_threads'], 'I/O thread')},"
        f" Python {status['python']}",
        "upgrades": _upgrades(status["upgrades"]),
    }


def _budget(of: Mapping[str, int]) -> str:
    return f"{of['used_bytes'] / _MIB:.1f} of {of['budget_bytes'] // _MIB} MiB"


def _upgrades(of: Mapping[str, Any]) -> str:
    parts = [counted(of["done"], "upgrade") + " in place"]
    if of["last"]:
        parts.append(f"the last one at {of['last']}")
    if of["refused"]:
        parts.append(f"refused at {of['refused']['at']}: {of['refused']['reason']}")
    return "; ".join(parts)
