"""``ls``: list the names below a path."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import click

from pacemaker.cli.options.targets import (
    Target,
    checked_path,
    client_command,
    json_option,
)
from pacemaker.cli.output.printing import (
    duration_text,
    note,
    print_json,
    print_line,
    print_table,
)

if TYPE_CHECKING:
    from pacemaker.client import PacemakerPool


class ListedName(NamedTuple):
    """One name below a path.

    Attributes:
        name: the name alone.
        size_bytes: the size of its heartbeat; None if the name is only a directory.
        time_secs: when the heartbeat was made; None if that cannot be read.
    """

    name: str
    size_bytes: int | None
    time_secs: int | None


@click.command(
    "ls",
    short_help="List the names below a path.",
    epilog="""\b
Examples:
  storm-pacemaker-py ls
  storm-pacemaker-py ls /workerbeats
  storm-pacemaker-py ls -l /workerbeats/words-1-1700000000
  storm-pacemaker-py ls -l --json /workerbeats/words-1-1700000000""",
)
@client_command
@click.argument("path", callback=checked_path, default="/")
@click.option(
    "-l", "long", is_flag=True, help="Show the size and age of each heartbeat."
)
@json_option
def ls_command(target: Target, path: str, long: bool, as_json: bool) -> None:
    """List the names below PATH on all servers; without PATH, the topmost names.

    Topologies are below /workerbeats, and workers are below their topology. If
    nothing is below PATH, a line on stderr says so.
    """
    with target.pool() as pool:
        names = pool.list_nodes(path)
        if not names:
            note(_why_empty(pool, path))
        if long:
            _print_long([_entry(pool, path, name) for name in names], as_json)
        elif as_json:
            print_json(names)
        else:
            for name in names:
                print_line(name)


def _why_empty(pool: PacemakerPool, path: str) -> str:
    if path == "/":
        return "no heartbeats are stored"
    if pool.exists(path):
        return f"{path} is a heartbeat: `get` shows it. Nothing is below it."
    return f"nothing is below {path}"


def _entry(pool: PacemakerPool, path: str, name: str) -> ListedName:
    from pacemaker.heartbeats.codec import time_secs_of

    key = f"{path.rstrip('/')}/{name}"
    # Ask first whether it exists: a server that was just started holds the read of a
    # missing heartbeat, and most names in the upper directories have none.
    details = pool.get_pulse(key) if pool.exists(key) else None
    if details is None:
        return ListedName(name, None, None)
    return ListedName(name, len(details), time_secs_of(details))


def _print_long(entries: list[ListedName], as_json: bool) -> None:
    now_secs = int(time.time())
    if as_json:
        print_json(
            [
                {**entry._asdict(), "age_secs": _age_secs(entry, now_secs)}
                for entry in entries
            ]
        )
    elif entries:
        rows = [_row(entry, now_secs) for entry in entries]
        print_table([("SIZE", "AGE", "NAME"), *rows], right=(0, 1))


def _row(entry: ListedName, now_secs: int) -> tuple[str, str, str]:
    if entry.size_bytes is None:
        return "-", "-", f"{entry.name}/"
    age_secs = _age_secs(entry, now_secs)
    age = "?" if age_secs is None else duration_text(age_secs)
    return str(entry.size_bytes), age, entry.name


def _age_secs(entry: ListedName, now_secs: int) -> int | None:
    return None if entry.time_secs is None else now_secs - entry.time_secs
