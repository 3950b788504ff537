"""``rm``: delete a path and everything below it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from pacemaker.cli.options.targets import Target, client_command, path_argument
from pacemaker.cli.output.printing import printable

if TYPE_CHECKING:
    from pacemaker.client import PacemakerPool


# Storm's own keys lie two below /workerbeats.
_MAX_DEPTH: Final = 20


@click.command(
    "rm",
    short_help="Delete a path and everything below it.",
    epilog="""\b
Examples:
  storm-pacemaker-py rm /workerbeats/words-1-1700000000/7a4e-6700
  storm-pacemaker-py rm --yes /workerbeats/words-1-1700000000""",
)
@client_command
@path_argument
@click.option(
    "--yes",
    is_flag=True,
    help="Delete without asking, however many heartbeats are below PATH.",
)
def rm_command(target: Target, path: str, yes: bool) -> None:
    """Delete PATH and every heartbeat below it, on every server that answers.

    It asks first if there is more than one heartbeat. Nothing is printed. A server
    that does not answer keeps its heartbeats, and shows them again when it is back.
    """
    with target.pool() as pool:
        if not yes and _has_more_than_one(pool, path):
            _confirm(path)
        pool.delete_path(path)


def _confirm(path: str) -> None:
    try:
        click.confirm(
            printable(
                f"{path}: more than one heartbeat is stored there. Delete all of them?"
            ),
            abort=True,
            err=True,
        )
    except OSError as exc:  # of stdin or stderr
        raise click.UsageError(
            f"cannot ask whether to delete all: {exc.strerror}. Use --yes to"
            " skip the question."
        ) from exc


def _has_more_than_one(pool: PacemakerPool, path: str) -> bool:
    """Return whether a path and what is below it have more than one key.

    The search ends at the second key.  Each name in a list stands for at least one key
    below it.  If no key can be found there (a key may have empty segments), or only
    deeper than Storm would ever put one, the answer is yes, so that the user is asked.
    """
    below = path
    for _ in range(_MAX_DEPTH):
        names = pool.list_nodes(below)
        is_key = pool.exists(below)
        if not names:
            return below != path and not is_key
        if len(names) > 1 or is_key:
            return True
        below = f"{below.rstrip('/')}/{names[0]}"
    return True
