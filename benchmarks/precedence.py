"""Let nothing else on the machine take time from a measurement.

Most kernels give each session the same share of the processors
(`kernel.sched_autogroup_enabled`), whatever the `nice` values of its processes are.  On
the machine of docs/isolation.md, another session ran for 10 to 50 ms once a second,
which was most of what the slowest requests waited for.  A session can be preferred as a
whole (sched(7)); the processes of the benchmark still share its time as their `nice`
values say.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_AUTOGROUP: Final = Path("/proc/self/autogroup")
_HIGHEST: Final = -19


@contextmanager
def precedence(autogroup: Path = _AUTOGROUP) -> Iterator[bool]:
    """Prefer this process's session to all others until the block ends.

    Yields:
        Whether it is preferred; not if the kernel does not group tasks by session, or
        if this process is not root's.
    """
    try:
        # "/autogroup-199 nice 0"
        before = autogroup.read_text().rpartition(" ")[2]
        autogroup.write_text(str(_HIGHEST))
    except OSError:
        yield False
        return
    try:
        yield True
    finally:
        autogroup.write_text(before)
