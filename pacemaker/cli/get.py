"""``get``: one heartbeat, decoded."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import click

from pacemaker.cli.options.targets import (
    Target,
    client_command,
    json_option,
    path_argument,
)
from pacemaker.cli.output import exit_codes
from pacemaker.cli.output.printing import (
    duration_text,
    print_json,
    print_line,
    print_table,
    printable,
)
from pacemaker.errors import ValueDecodeError
from pacemaker.texts import counted

if TYPE_CHECKING:
    from pacemaker.client import PacemakerPool
    from pacemaker.heartbeats.model import ExecutorStats, WorkerHeartbeat

# How many bytes are shown of a value that is not a heartbeat.
SHOWN_BYTES: Final = 256

# The name of the window that covers the time since the worker's start.
ALL_TIME: Final = ":all-time"

_BYTES_A_LINE: Final = 16


class _NothingStoredError(click.ClickException):
    exit_code = exit_codes.NO


@click.command(
    "get",
    short_help="Show the heartbeat of a path.",
    epilog="""\b
Examples:
  storm-pacemaker-py get /workerbeats/words-1-1700000000/7a4e-6700
  storm-pacemaker-py get --json KEY | jq .heartbeat.age_secs
  storm-pacemaker-py get --json KEY | jq -r .details | base64 -d > value.bin

The exit code is 1 if nothing is stored under PATH.""",
)
@client_command
@path_argument
@json_option
def get_command(target: Target, path: str, as_json: bool) -> None:
    """Show the newest heartbeat of PATH: its topology, executors, uptime and age.

    A value that is not a heartbeat is shown as bytes, with the reason.
    """
    from pacemaker.heartbeats import codec

    with target.pool() as pool:
        # Ask first whether it exists: a server that was just started holds the read of
        # a missing heartbeat for longer than a user would wait.
        details = pool.get_pulse(path) if pool.exists(path) else None
        why_none = "" if details is not None else _why_none(pool, path)
    if details is None:
        raise _NothingStoredError(printable(f"{path}: {why_none}"))
    heartbeat, problem = None, None
    try:
        heartbeat = codec.decode(details)
    except ValueDecodeError as exc:
        problem = str(exc)
    now_secs = int(time.time())
    if as_json:
        print_json(
            {
                "path": path,
                "size_bytes": len(details),
                "details": base64.b64encode(details).decode(),
                "heartbeat": heartbeat and _as_json(heartbeat, now_secs),
                "problem": problem,
            }
        )
    elif heartbeat is not None:
        _print_heartbeat(path, len(details), heartbeat, now_secs)
    else:
        _print_bytes(path, details, problem or "")


def _why_none(pool: PacemakerPool, path: str) -> str:
    if pool.list_nodes(path):
        return "is a directory: `ls` lists what is below it"
    if _is_held(pool, path):
        return (
            "nothing is stored there yet. A server was just started and still waits"
            " for the workers' heartbeats; try again in some seconds"
        )
    return "nothing is stored there"


def _is_held(pool: PacemakerPool, path: str) -> bool:
    """Return whether a server holds the read of a path under which it has nothing.

    Replies come in the order of the requests, except those of held reads.  So a read
    is held if a later request is answered first.
    """
    from pacemaker.client import requests

    read = requests.get_pulse(path)
    calls = [each.submit(read) for each in pool.connections if each.is_available]
    pool.exists(path)
    is_held = not all(call.is_answered for call in calls)
    for call in calls:
        call.cancel()
    return is_held


def _as_json(heartbeat: WorkerHeartbeat, now_secs: int) -> dict[str, Any]:
    return {
        "topology_id": heartbeat.topology_id,
        "time_secs": heartbeat.time_secs,
        "age_secs": now_secs - heartbeat.time_secs,
        "uptime_secs": heartbeat.uptime_secs,
        "executors": [
            {
                "task_start": info.task_start,
                "task_end": info.task_end,
                "kind": _kind(stats),
                "emitted": _total(stats.emitted),
                "transferred": _total(stats.transferred),
                "acked": _total(stats.specific.acked),
                "failed": _total(stats.specific.failed),
            }
            for info, stats in sorted(heartbeat.executors.items())
        ],
    }


def _print_heartbeat(
    path: str, size_bytes: int, heartbeat: WorkerHeartbeat, now_secs: int
) -> None:
    shown = _as_json(heartbeat, now_secs)
    made = _local_time(heartbeat.time_secs)
    print_table(
        [
            ("path", path),
            ("topology", heartbeat.topology_id),
            ("age", f"{duration_text(shown['age_secs'])}, made at {made}"),
            ("uptime", duration_text(heartbeat.uptime_secs)),
            ("size", counted(size_bytes, "byte")),
            ("executors", str(len(heartbeat.executors))),
        ]
    )
    columns = ("emitted", "transferred", "acked", "failed")
    rows = [
        (
            f"{executor['task_start']}-{executor['task_end']}",
            executor["kind"],
            *(str(executor[column]) for column in columns),
        )
        for executor in shown["executors"]
    ]
    if rows:
        titles = ("TASKS", "KIND", *map(str.upper, columns))
        print_line("")
        print_table([titles, *rows], right=(0, 2, 3, 4, 5))


def _print_bytes(path: str, details: bytes, problem: str) -> None:
    print_table(
        [("path", path), ("size", counted(len(details), "byte")), ("problem", problem)]
    )
    for line in _hex_lines(details[:SHOWN_BYTES]):
        print_line(line)
    if len(details) > SHOWN_BYTES:
        print_line(f"... and {counted(len(details) - SHOWN_BYTES, 'more byte')}")


def _hex_lines(data: bytes) -> Iterator[str]:
    for at in range(0, len(data), _BYTES_A_LINE):
        part = data[at : at + _BYTES_A_LINE]
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in part)
        yield f"{at:08x}  {part.hex(' '):{3 * _BYTES_A_LINE}} {text}"


def _kind(stats: ExecutorStats) -> str:
    from pacemaker.heartbeats.model import BoltStats

    return "bolt" if isinstance(stats.specific, BoltStats) else "spout"


def _total(windows: Any) -> int:
    """Add up a figure over all streams, since the worker's start."""
    return sum(windows.get(ALL_TIME, {}).values())


def _local_time(seconds: int) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(seconds))
    except (OverflowError, OSError, ValueError):
        return f"{seconds} s, which is not a valid time"
