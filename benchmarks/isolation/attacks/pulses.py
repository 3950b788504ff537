"""Attacks by pulses: very many, very large, or that enlarge stored keys."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.isolation import wire
from benchmarks.isolation.attack import Attack, Talk

_LARGE = bytes(10 * 1000 * 1000)


def _key(number: int) -> bytes:
    return b"/workerbeats/hostile-1-1700000000/%08x-6700" % number


def _flood(size_bytes: int, at_once: int) -> Callable[[], Callable[[int], Talk]]:
    def talk(number: int) -> Talk:
        pulses = wire.pulse(_key(number), b"x" * size_bytes, 1) * at_once
        while True:
            yield pulses

    return lambda: talk


def _rewrites(number: int) -> Talk:
    """Rewrite 30 keys, each after the reply to the one before.

    Sent at once, their frames would be evicted from the buffers and never stored.
    """
    keys = [_key(number * 30 + each) for each in range(30)]
    for value in (b"x", _LARGE):
        for key in keys:
            yield wire.pulse(key, value, 1)
            yield b""


def _large(number: int) -> Talk:
    while True:
        yield wire.pulse(_key(number), _LARGE, 1)


ATTACKS = (
    Attack(
        "pulses",
        "pulses of 2 KiB without a pause, 1,500 connections",
        1500,
        _flood(2048, 32),
    ),
    Attack(
        "small-pulses",
        "pulses of 10 bytes without a pause, 1,500 connections",
        1500,
        _flood(10, 600),
    ),
    Attack(
        "rewrites",
        "150 stored keys, each rewritten with 10 MB, 5 connections",
        5,
        lambda: _rewrites,
    ),
    Attack(
        "large-pulses",
        "pulses of 10 MB, one after another, 20 connections",
        20,
        lambda: _large,
    ),
)
