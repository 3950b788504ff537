"""Read the few numbers of a heartbeat that show its worker's state, without decoding.

Java writes the fields of a struct in order, so the number of executors is near the
beginning and the two times are at the end.  Reading them takes 11 us, most of it for
decompression; decoding a heartbeat of ten executors takes milliseconds.

This module does no I/O.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from pacemaker.errors import ValueDecodeError
from pacemaker.heartbeats.compression import decompress

# Larger values are not read: anyone can store a value, and peers wait while the daemon
# decompresses it.
MAX_COMPRESSED_BYTES: Final = 16 * 1024
MAX_BYTES: Final = 256 * 1024

# Field 1, a string: the topology's id; its length.
_ID: Final = struct.Struct(">bhi")
# Field 2, a map of structs to structs: the executors; their number.
_EXECUTORS: Final = struct.Struct(">bhbbi")
# Fields 3 and 4, the time and the uptime, and the struct's STOP.  Storm 3 has an i64.
_TIMES: Final = struct.Struct(">bhibhib")
_LONG_TIMES: Final = struct.Struct(">bhqbhib")
_STRING, _STRUCT, _MAP, _I32, _I64, _STOP = 11, 12, 13, 8, 10, 0


class Peek(NamedTuple):
    """What a heartbeat says about its worker.

    Attributes:
        executors: how many executors it reports; 0 while the worker loads.
        time_s: the worker's clock, in seconds since 1970.
        uptime_s: seconds since the worker began to load.
    """

    executors: int
    time_s: int
    uptime_s: int


def peek(value: bytes) -> Peek | None:
    """Return the numbers of a heartbeat; None if it does not have Java's layout."""
    if len(value) > MAX_COMPRESSED_BYTES:
        return None
    try:
        plain = decompress(value, MAX_BYTES)
        times = _times(plain)
        return None if times is None else Peek(_executors(plain), *times)
    except (ValueDecodeError, struct.error):
        return None


def _executors(plain: bytes) -> int:
    kind, field, id_bytes = _ID.unpack_from(plain)
    if (kind, field) != (_STRING, 1) or id_bytes < 0:
        return 0
    *head, count = _EXECUTORS.unpack_from(plain, _ID.size + id_bytes)
    return count if head == [_MAP, 2, _STRUCT, _STRUCT] else 0


def _times(plain: bytes) -> tuple[int, int] | None:
    for shape, kind in ((_TIMES, _I32), (_LONG_TIMES, _I64)):
        if len(plain) < shape.size:
            return None
        *first, time_s, second, second_field, uptime_s, stop = shape.unpack_from(
            plain, len(plain) - shape.size
        )
        head = (*first, second, second_field, stop)
        if head == (kind, 3, _I32, 4, _STOP):
            return time_s, uptime_s
    return None
