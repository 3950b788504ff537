"""Python's garbage collector, which must not stop the daemon's threads.

A full collection looks at every heartbeat: with a million of them, which anybody can
store, it stops all threads for 140 ms, again and again while they are being stored.
And it finds nothing: connections and messages are not in cycles (a test counts), so
what they take is freed when they end.  The collections of young objects go on.

Python 3.14 collects in small steps, and the build without the GIL by rules of its
own; neither looks at this threshold.
"""

from __future__ import annotations

import gc
from typing import Final

# The largest that the collector takes.
_NEVER: Final = 2**31 - 1


def avoid_full_collections() -> None:
    """Have the garbage collector leave old objects alone, in this process."""
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, _NEVER)
