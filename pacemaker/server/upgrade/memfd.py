"""A state in a memory file that survives `execve`, written in full or not at all."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import zlib
from typing import Final

from pacemaker.errors import StateError, UpgradeError
from pacemaker.server.upgrade import state_format
from pacemaker.server.upgrade_state import DaemonState

_NAME: Final = "storm-pacemaker-state"
# The errors of a system call that a seccomp filter refuses or the kernel lacks.
_FORBIDDEN: Final = (errno.EPERM, errno.EACCES, errno.ENOSYS)


def create(name: str) -> int:
    """Return the descriptor of a new file in memory, which `execve` closes.

    Raises:
        OSError: there is no room for the file.
        UpgradeError: the sandbox does not allow it.
    """
    try:
        return os.memfd_create(name, os.MFD_CLOEXEC)
    except OSError as exc:
        if exc.errno not in _FORBIDDEN:
            raise
        raise UpgradeError(
            f"the system call memfd_create is refused ({exc.strerror}): allow it in"
            " the seccomp filter (SystemCallFilter=), or restart"
        ) from exc


def write_state(state: DaemonState) -> int:
    """Write a state into a new memfd, and return its descriptor.

    Raises:
        OSError: there is no room for the state; the file is gone again.
        UpgradeError: the sandbox does not allow a memfd.
    """
    fd = create(_NAME)
    try:
        # Leave room for the head and write it last, as it holds the length and checksum
        # of the body.  A body that was not finished has no head and cannot be read.
        os.lseek(fd, state_format.HEAD_BYTES, os.SEEK_SET)
        body_bytes = checksum = 0
        for block in state_format.encode(state):
            _write_all(fd, block)
            body_bytes += len(block)
            checksum = zlib.crc32(block, checksum)
        os.lseek(fd, 0, os.SEEK_SET)
        _write_all(fd, state_format.seal(body_bytes, checksum))
    except BaseException:
        # Close it: an unfinished state takes as much memory as its heartbeats.
        os.close(fd)
        raise
    return fd


def read_state(fd: int) -> DaemonState:
    """Read a state and close its descriptor.

    Raises:
        StateError: the state cannot be read.
    """
    try:
        with mmap.mmap(fd, 0, access=mmap.ACCESS_READ) as data:
            return state_format.decode(data)
    except (OSError, ValueError) as exc:
        # The descriptor is not open, cannot be mapped, or is empty.
        raise StateError("the state cannot be read", str(exc)) from exc
    finally:
        with contextlib.suppress(OSError):
            os.close(fd)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
