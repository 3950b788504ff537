"""``exists``: is a heartbeat stored under a path?"""

from __future__ import annotations

import click

from pacemaker.cli.options.targets import (
    Target,
    client_command,
    json_option,
    path_argument,
)
from pacemaker.cli.output import exit_codes
from pacemaker.cli.output.printing import exit_code_answers, print_json, print_line


@click.command(
    "exists",
    short_help="Tell whether a heartbeat is stored under a path.",
    epilog="""\b
Examples:
  storm-pacemaker-py exists /workerbeats/words-1-1700000000/7a4e-6700
  if storm-pacemaker-py exists "$KEY" >/dev/null; then ...; fi

The exit code is 0 for yes and 1 for no.""",
)
@client_command
@path_argument
@json_option
@click.pass_context
def exists_command(
    ctx: click.Context, target: Target, path: str, as_json: bool
) -> None:
    """Tell whether any server has a heartbeat under exactly PATH.

    The answer is no for a directory, which only has heartbeats below it.
    """
    with target.pool() as pool:
        is_there = pool.exists(path)
    with exit_code_answers():
        if as_json:
            print_json(is_there)
        else:
            print_line("yes" if is_there else "no")
    if not is_there:
        ctx.exit(exit_codes.NO)
