"""The replies of one connection that its owner has not been given yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

from pacemaker.wire import fast_codec

# Larger than any reply to a worker or to Nimbus, and small enough that thousands of
# peers may leave their replies unread.
MAX_OUTGOING_BYTES: Final = 256 * 1024


class Outgoing:
    """The replies in the order in which they are sent, in chunks.

    Only the methods change the attributes.

    Attributes:
        chunks: the chunks.
        size_bytes: their total size.
        is_full: whether no more requests may be read before these replies are sent.
    """

    __slots__ = ("chunks", "is_full", "size_bytes")

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.size_bytes = 0
        # Not a property: it is asked four times for each request.
        self.is_full = False

    def add(self, chunk: bytes) -> None:
        """Add a chunk at the end."""
        self.chunks.append(chunk)
        self.size_bytes += len(chunk)
        self.is_full = self.size_bytes >= MAX_OUTGOING_BYTES

    def withdraw(self, numbers: Iterable[int]) -> None:
        """Withdraw some chunks, by their indices.

        They are emptied and not removed, so that the other indices stay valid.
        """
        for number in numbers:
            self.size_bytes -= len(self.chunks[number])
            self.chunks[number] = b""
        self.is_full = self.size_bytes >= MAX_OUTGOING_BYTES

    def take(self) -> Sequence[bytes]:
        """Return the chunks, with small neighbours joined, and forget them."""
        chunks = self.chunks
        if chunks:
            self.chunks = []
            self.size_bytes = 0
            self.is_full = False
        return _join_small(chunks) if len(chunks) > 1 else chunks


def _join_small(chunks: list[bytes]) -> list[bytes]:
    """Join neighbouring small chunks; do not copy large ones."""
    joined: list[bytes] = []
    for is_large, run in groupby(chunks, key=_is_large):
        small_or_large = list(run)
        joined += small_or_large if is_large else [b"".join(small_or_large)]
    return joined


def _is_large(chunk: bytes) -> bool:
    return len(chunk) >= fast_codec.LARGE_VALUE_BYTES
