"""Settings of Python's garbage collector, which must not stop the daemon's threads.

A full collection visits every heartbeat.  With a million of them, which anybody can
store, it stops all threads for 140 ms, and again and again while they are being stored.
It finds nothing: connections and messages are not part of cycles (a test checks that),
so their memory is freed when they end.

Collections of young objects continue, but not of thousands at once: with Python's ten
young collections for each middle one, a middle one took 20 ms while thousands of peers
connected.  Two take a fifth of that.

Python 3.14 collects in small steps, and the build without the GIL has its own rules;
neither uses this threshold.
"""

from __future__ import annotations

import gc
from typing import Final

# The largest threshold that the collector accepts.
_NEVER: Final = 2**31 - 1
_YOUNG_PER_MIDDLE: Final = 2


def avoid_full_collections() -> None:
    """Keep the garbage collector from visiting old or many objects in this process."""
    young, _, _ = gc.get_threshold()
    gc.set_threshold(young, _YOUNG_PER_MIDDLE, _NEVER)
