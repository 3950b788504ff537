"""Heartbeats as Java writes them, byte by byte."""

from __future__ import annotations

import struct

_END = b"\0"


def heartbeat(
    executors: int, time_s: int, uptime_s: int, is_long: bool = False
) -> bytes:
    """Return a ClusterWorkerHeartbeat whose executors have no statistics.

    Args:
        executors: how many there are.
        time_s: the worker's clock.
        uptime_s: its uptime.
        is_long: whether the time is an i64, as in Storm 3.
    """
    topology_id = b"words-1-1700000000"
    executor = b"\x08\0\1" + struct.pack(">i", 1) + b"\x08\0\2" + struct.pack(">i", 1)
    entry = executor + _END + _END
    time = b"\x0a\0\3" + struct.pack(">q", time_s)
    if not is_long:
        time = b"\x08\0\3" + struct.pack(">i", time_s)
    return b"".join(
        (
            b"\x0b\0\1" + struct.pack(">i", len(topology_id)) + topology_id,
            b"\x0d\0\2\x0c\x0c" + struct.pack(">i", executors) + entry * executors,
            time,
            b"\x08\0\4" + struct.pack(">i", uptime_s) + _END,
        )
    )
