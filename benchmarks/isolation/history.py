"""The history of each key, and whether a read agrees with it."""

from __future__ import annotations

import struct
from typing import Final

OK: Final = "ok"
STALE: Final = "stale"
MISS: Final = "miss"
WRONG: Final = "wrong"
RESET: Final = "reset"
UNANSWERED: Final = "unanswered"

_HEAD: Final = struct.Struct(">qq")


def make_value(number: int, sequence: int, size_bytes: int) -> bytes:
    """Return the value of a pulse; no two pulses have the same value."""
    filler = bytes([(number * 31 + sequence) & 0xFF]) * (size_bytes - _HEAD.size)
    return _HEAD.pack(number, sequence) + filler


class History:
    """The pulses to one key.  Sequence numbers begin with 0.

    Attributes:
        number: the number of the key, which each of its values contains.
        size_bytes: the size of each of its values.
        sent: the last pulse that was sent; -1 if there was none.
        acknowledged: the last pulse that was answered; -1 if there was none.
    """

    __slots__ = ("acknowledged", "number", "sent", "size_bytes")

    def __init__(self, number: int, size_bytes: int) -> None:
        self.number = number
        self.size_bytes = size_bytes
        self.sent = -1
        self.acknowledged = -1

    def next_value(self) -> bytes:
        """Return the value of the next pulse, and count that as sent."""
        self.sent += 1
        return make_value(self.number, self.sent, self.size_bytes)

    def judge(self, value: bytes | None, acknowledged: int) -> str:
        """Return the outcome of a read.

        Args:
            value: the value that it returned; None for a miss.
            acknowledged: the last pulse that was answered before the read was sent.
        """
        if value is None:
            return OK if acknowledged < 0 else MISS
        if len(value) != self.size_bytes:
            return WRONG
        sequence = _HEAD.unpack_from(value)[1]
        if sequence > self.sent or value != make_value(
            self.number, sequence, self.size_bytes
        ):
            return WRONG
        return OK if sequence >= acknowledged else STALE
