"""Attacks by reads: very many, with unread replies, with long paths, or held."""

from __future__ import annotations

from benchmarks.isolation import wire
from benchmarks.isolation.attack import Attack, Talk, repeated

_READS = wire.path_request(wire.GET_PULSE, b"/workerbeats/nothing/w-6700", 1) * 1500
_LISTS = wire.path_request(wire.LIST_NODES, b"/workerbeats", 1) * 1500
_VALUE_BYTES = 100_000
_PATH_BYTES = 1_000_000
_HELD_READS = 2200
# Longer than a trial, so that misses are held throughout.
_HOLD_S = 100
_DEEP = wire.path_request(wire.GET_PULSE, b"/a" * (_PATH_BYTES // 2), 1)
_SLASHES = wire.path_request(wire.LIST_NODES, b"/" * _PATH_BYTES, 1)


def _never_read(number: int) -> Talk:
    key = b"/workerbeats/hostile-1-1700000000/%08x-6700" % number
    yield wire.pulse(key, b"x" * _VALUE_BYTES, 1)
    reads = wire.path_request(wire.GET_PULSE, key, 2) * 500
    while True:
        yield reads


def _absent_reads(number: int) -> bytes:
    key = b"/workerbeats/odd-%d/%08x-6700"
    return b"".join(
        wire.path_request(wire.GET_PULSE, key % (number, each), each)
        for each in range(_HELD_READS)
    )


def _absent(number: int) -> Talk:
    yield _absent_reads(number)


def _absent_again(number: int) -> Talk:
    """Ask again under the same ids, as clients do that have received no answer."""
    reads = _absent_reads(number)
    while True:
        yield reads


ATTACKS = (
    Attack(
        "reads",
        "reads of an absent key without a pause, 200 connections",
        200,
        repeated(_READS),
    ),
    Attack(
        "lists",
        "lists of the topologies without a pause, 200 connections",
        200,
        repeated(_LISTS),
    ),
    Attack(
        "not-taken",
        "reads of 100 KB whose replies are never read, 200 connections",
        200,
        lambda: _never_read,
        takes_replies=False,
    ),
    Attack(
        "long-paths",
        "reads of 500,000 path segments, lists of a million slashes, 20 connections",
        20,
        repeated(_DEEP + _SLASHES),
    ),
    Attack(
        "odd-reads",
        "22,000 reads of absent keys while misses are held, 10 connections",
        10,
        lambda: _absent,
        hold_s=_HOLD_S,
    ),
    Attack(
        "odd-reads-again",
        "the same 2,200 reads again and again while misses are held, 10 connections",
        10,
        lambda: _absent_again,
        hold_s=_HOLD_S,
    ),
)
