"""Every way in which a stream of bytes may arrive."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def ways_to_arrive(stream: bytes) -> Iterator[list[bytes]]:
    """Cut a stream in every way: not at all, at each place, everywhere."""
    yield [stream]
    yield [stream[at : at + 1] for at in range(len(stream))]
    for at in range(1, len(stream)):
        yield [stream[:at], stream[at:]]


def same_however_it_arrives(
    stream: bytes, outcome: Callable[[Iterable[bytes]], T]
) -> T:
    """Give a stream to something in every way, and return the one outcome of all."""
    whole = outcome([stream])
    for pieces in ways_to_arrive(stream):
        assert outcome(pieces) == whole, pieces
    return whole
