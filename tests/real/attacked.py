"""Attackers on each daemon that a test starts: `pytest tests/real --attack NAME`.

The attacks are those of `make isolation`, with fewer connections.  They come from an
address of their own on loopback, which the daemon is told to count.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.isolation.attack import Attack
from benchmarks.isolation.attacks import ATTACKS
from benchmarks.isolation.network import Network

EACH = "each"
ALL = "all"

MOST_CONNECTIONS = 300
"""The attackers' connections to one daemon: tests start many daemons."""

# Descriptors for the daemon itself, its reserve and a test's clients.
OWN_DESCRIPTORS = 80

UNFIT = {
    "standstill": "the daemon is paused for 65 s, and a client of Storm gives up after "
    "11 s: no test of a client can pass meanwhile",
}
"""The attacks during which the clients' tests cannot pass, each with the reason."""

NAMES = (*(name for name in ATTACKS if name not in UNFIT), ALL)
"""What `--attack` takes; `each` stands for all but the last."""

HOSTILE_ADDRESS = Network("127.77", is_namespace=False).hostile(1)[0]

# Attackers store keys beside those of the tests; they are no part of what a test
# checks, which lists names and compares them with its own.
_HOSTILE_NAME = re.compile(r"hostile-\S*|[0-9a-f]{8}-n{9,}")

_now: tuple[Attack, ...] = ()
_sent: list[dict[str, int]] = []


def chosen(names: Sequence[str]) -> list[str]:
    """Return the names of attacks that an option stands for."""
    each = [name for name in NAMES if name != ALL]
    return [name for given in names for name in (each if given == EACH else [given])]


@contextlib.contextmanager
def by(name: str | None) -> Iterator[None]:
    """Have each daemon that is started in the block attacked; None for no attack."""
    global _now
    if name == ALL:
        together = [each for each in ATTACKS.values() if each.goes_with_all]
        _now = tuple(each for each in together if each.name not in UNFIT)
    elif name is not None:
        _now = (ATTACKS[name],)
    try:
        yield
    finally:
        _now = ()


def command(argv: Sequence[str]) -> list[str]:
    """Return the command of a daemon, with what the attack needs of it."""
    if not _now:
        return list(argv)
    budgets = (
        f"--buffer-budget={max(each.buffer_mib for each in _now)}M",
        f"--store-budget={max(each.store_mib for each in _now)}M",
    )
    argv = [*argv, "--shared-address", "none", *budgets]
    if len(_now) > 1 or _now[0].spare_descriptors is None:
        return argv
    # So scaled that the connections of the attack are still too many.
    count = OWN_DESCRIPTORS + round(_now[0].spare_descriptors * _share())
    return ["sh", "-c", f'ulimit -n {count} && exec "$@"', "sh", *argv]


@contextlib.contextmanager
def attackers(server: tuple[str, int]) -> Iterator[None]:
    """Attack a daemon until the block ends, and count what was sent to it."""
    if not _now:
        yield
        return
    # Not above: the benchmarks' servers import the daemons of the tests.
    from benchmarks.isolation import children

    cores = os.sched_getaffinity(0)
    addresses = [HOSTILE_ADDRESS]
    with children.attackers(_now, server, addresses, cores, _share()) as processes:
        yield
    _sent.extend(each.counted for each in processes)


def own_names(answer: str) -> str:
    """Return an answer without the names of keys that attackers have stored."""
    if not _now:
        return answer
    words = answer.split(" ")
    return " ".join(word for word in words if not _HOSTILE_NAME.fullmatch(word))


def record_test(file: Path, attack: str, test: str, release: str, failure: str) -> None:
    """Add the outcome of a test to a file: a line of JSON.

    Args:
        file: the file.
        attack: the attack's name.
        test: its module and its name, with its parameters.
        release: the release of Storm that is among its parameters, if one is.
        failure: how it failed; "" if it passed.
    """
    outcome = {"test": test, "release": release, "failure": failure}
    _record(file, {"attack": attack, **outcome})


def record_attack(file: Path, attack: str) -> None:
    """Add what an attack's connections sent since the last call."""
    opened = sum(each["opened"] for each in _sent)
    sent_bytes = sum(each["sent_bytes"] for each in _sent)
    _sent.clear()
    _record(file, {"attack": attack, "opened": opened, "sent_bytes": sent_bytes})


def _record(file: Path, content: dict[str, Any]) -> None:
    with file.open("a") as lines:
        lines.write(json.dumps(content) + "\n")


def _share() -> float:
    return min(1.0, MOST_CONNECTIONS / sum(each.connections for each in _now))
