"""Reads: as many as go, replies that nobody takes, long paths, reads that are held."""

from __future__ import annotations

from benchmarks.isolation import wire
from benchmarks.isolation.attack import Attack, Talk, repeated

_READS = wire.path_request(wire.GET_PULSE, b"/workerbeats/nothing/w-6700", 1) * 1500
_LISTS = wire.path_request(wire.LIST_NODES, b"/workerbeats", 1) * 1500
_VALUE_BYTES = 100_000
_PATH_BYTES = 1_000_000
_HELD_READS = 2200
# The longest that there is: misses are held throughout a trial.
_HOLD_S = 100
_DEEP = wire.path_request(wire.GET_PULSE, b"/a" * (_PATH_BYTES // 2), 1)
_SLASHES = wire.path_request(wire.LIST_NODES, b"/" * _PATH_BYTES, 1)


def _not_taken(number: int) -> Talk:
    key = b"/workerbeats/hostile-1-1700000000/%08x-6700" % number
    yield wire.pulse(key, b"x" * _VALUE_BYTES, 1)
    reads = wire.path_request(wire.GET_PULSE, key, 2) * 500
    while True:
        yield reads


def _odd_reads(number: int) -> bytes:
    key = b"/workerbeats/odd-%d/%08x-6700"
    return b"".join(
        wire.path_request(wire.GET_PULSE, key % (number, each), each)
        for each in range(_HELD_READS)
    )


def _odd(number: int) -> Talk:
    yield _odd_reads(number)


def _odd_again(number: int) -> Talk:
    """Ask again under the same ids, as clients do that had no answer."""
    reads = _odd_reads(number)
    while True:
        yield reads


ATTACKS = (
    Attack(
        "reads",
        "reads of a key that is not there, as fast as they go, 200 connections",
        200,
        repeated(_READS),
    ),
    Attack(
        "lists",
        "lists of the topologies, as fast as they go, 200 connections",
        200,
        repeated(_LISTS),
    ),
    Attack(
        "not-taken",
        "reads of 100 KB whose replies nobody takes, 200 connections",
        200,
        lambda: _not_taken,
        takes_replies=False,
    ),
    Attack(
        "long-paths",
        "reads with 500,000 segments, lists of a million slashes, 20 connections",
        20,
        repeated(_DEEP + _SLASHES),
    ),
    Attack(
        "odd-reads",
        "22,000 reads of odd keys while misses are held",
        10,
        lambda: _odd,
        hold_s=_HOLD_S,
    ),
    Attack(
        "odd-reads-again",
        "the same 2,200 odd reads over and over, 10 connections, while misses are held",
        10,
        lambda: _odd_again,
        hold_s=_HOLD_S,
    ),
)
