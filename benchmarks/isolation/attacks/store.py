"""Attacks on the store: very many keys, very long names, large lists and deletes."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

from benchmarks.isolation import wire
from benchmarks.isolation.attack import Attack, Talk

_TOPOLOGY = b"/workerbeats/hostile-1-1700000000"
_BATCH = 500
# Stands for the number of a key in a template, and formats it with 8 digits.
_NUMBER = b"%08x"
_LISTERS = 4
_LISTS_FROM_S = 1.0
_LONG_NAME_BYTES = 1200
# As long as the daemon takes, and as many as fit the reply to a list.
_LONGEST_NAME_BYTES = 255
_LONG_NAMES, _LONGEST_NAMES = 450, 1900
_SUBTREE = 20_000


def _template(key: bytes) -> bytes:
    # The frame becomes a template for `%`, so it may have no other `%`.
    frame = wire.pulse(key + b"@@@@@@@@", b"0123456789", 1)
    if b"%" in frame:
        raise ValueError("the frame has a % of its own")
    return frame.replace(b"@@@@@@@@", _NUMBER) * _BATCH


def _new_keys() -> Callable[[int], Talk]:
    numbers = itertools.count()
    template = _template(_TOPOLOGY + b"/")
    listing = wire.path_request(wire.LIST_NODES, _TOPOLOGY, 1)
    began_s = time.monotonic()

    def talk(number: int) -> Talk:
        while number >= _LISTERS or time.monotonic() < began_s + _LISTS_FROM_S:
            yield template % tuple(itertools.islice(numbers, _BATCH))
        while True:
            yield listing

    return talk


def _names(count: int, size_bytes: int) -> Callable[[int], Talk]:
    def talk(number: int) -> Talk:
        for each in range(count):
            name = b"%08x-" % (number * count + each)
            key = b"/workerbeats/" + name.ljust(size_bytes, b"n") + b"/w-6700"
            yield wire.pulse(key, b"x", 1)
        while number < _LISTERS:
            yield wire.path_request(wire.LIST_NODES, b"/workerbeats", 1)

    return talk


def _subtrees(number: int) -> Talk:
    topology = _TOPOLOGY + b"-%04x" % number
    template = _template(topology + b"/")
    keys = b"".join(
        template % tuple(range(first, first + _BATCH))
        for first in range(0, _SUBTREE, _BATCH)
    )
    while True:
        yield keys
        yield wire.path_request(wire.DELETE_PATH, topology, 1)


ATTACKS = (
    Attack(
        "new-keys",
        "new keys without a pause over 60 connections, four of which then list them",
        60,
        _new_keys,
        store_mib=1024,
    ),
    Attack(
        "long-names",
        "9,000 topologies with names of 1.2 KB, and lists of them",
        20,
        lambda: _names(_LONG_NAMES, _LONG_NAME_BYTES),
    ),
    Attack(
        "longest-names",
        "38,000 topologies with names of 255 bytes, and lists of them",
        20,
        lambda: _names(_LONGEST_NAMES, _LONGEST_NAME_BYTES),
    ),
    Attack(
        "deletes",
        "20,000 keys written, then deleted with one request, 4 connections",
        4,
        lambda: _subtrees,
    ),
)
