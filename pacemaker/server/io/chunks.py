"""Replies that the kernel has taken only in part.

This module does no I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

# Bytes to write.  Every chunk is whole except the first, which may be partly sent.
Chunks: TypeAlias = "Sequence[bytes | memoryview]"


def drop_sent(chunks: Chunks, sent_bytes: int) -> Chunks:
    """Return the part of the chunks that follows the first `sent_bytes` bytes."""
    if len(chunks) == 1 and sent_bytes == len(chunks[0]):
        return ()
    for number, chunk in enumerate(chunks):
        if sent_bytes < len(chunk):
            return [memoryview(chunk)[sent_bytes:], *chunks[number + 1 :]]
        sent_bytes -= len(chunk)
    return ()
