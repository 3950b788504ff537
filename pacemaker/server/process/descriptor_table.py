"""The kernel's table of this process's descriptors."""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
from pathlib import Path
from typing import Final

# More connections than a Pacemaker has.  The table takes 8 bytes for each in the
# kernel.
_MOST_DESCRIPTORS: Final = 65536


def grow_descriptor_table() -> None:
    """Make room in the table for all descriptors that this process may have.

    The kernel doubles the table when it is full, and it never shrinks.  If the process
    has threads, the one whose call did that waits until no processor can still use the
    old table: 6 to 19 ms each time, here, at 256, 512, 1,024, ... connections.
    """
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY or most > _MOST_DESCRIPTORS:
        most = _MOST_DESCRIPTORS
    # If the kernel has no room, the table grows as it would have without this.
    with contextlib.suppress(OSError), Path(os.devnull).open() as any_file:
        os.close(fcntl.fcntl(any_file, fcntl.F_DUPFD_CLOEXEC, most - 1))
