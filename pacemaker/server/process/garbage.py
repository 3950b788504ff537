"""Settings of Python's garbage collector, which must not stop the daemon's threads.

A full collection visits every heartbeat.  With a million of them, which anybody can
store, it stops all threads for 140 ms, and again and again while they are being stored.
It finds nothing: connections and messages are not part of cycles (a test checks that),
so their memory is freed when they end.  Collections of young objects continue.

Python 3.14 collects in small steps, and the build without the GIL has its own rules;
neither uses this threshold.
"""

from __future__ import annotations

import gc
from typing import Final

# The largest threshold that the collector accepts.
_NEVER: Final = 2**31 - 1


def avoid_full_collections() -> None:
    """Keep the garbage collector from visiting old objects in this process."""
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, _NEVER)
