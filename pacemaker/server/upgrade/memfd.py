"""A state in memory that outlives `execve`: written in full, or not at all."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import zlib
from typing import Final

from pacemaker.core.carried_over import State
from pacemaker.errors import StateError, UpgradeError
from pacemaker.server.upgrade import state_format

_NAME: Final = "storm-pacemaker-state"
# How a seccomp filter refuses a system call, and a kernel one that it does not know.
_FORBIDDEN: Final = (errno.EPERM, errno.EACCES, errno.ENOSYS)


def create(name: str) -> int:
    """Return the descriptor of a new file in memory, which `execve` closes.

    Raises:
        OSError: there is no room for it.
        UpgradeError: the sandbox allows none.
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


def write_state(state: State) -> int:
    """Write a state into a new memfd, and return its descriptor.

    Raises:
        OSError: there is no room for it; nothing is left of it.
        UpgradeError: the sandbox allows no memfd.
    """
    fd = create(_NAME)
    try:
        os.lseek(fd, state_format.HEAD_BYTES, os.SEEK_SET)
        body_bytes = checksum = 0
        for block in state_format.encode(state):
            _write_all(fd, block)
            body_bytes += len(block)
            checksum = zlib.crc32(block, checksum)
        os.lseek(fd, 0, os.SEEK_SET)
        _write_all(fd, state_format.seal(body_bytes, checksum))
    except BaseException:
        os.close(fd)
        raise
    return fd


def read_state(fd: int) -> State:
    """Read a state, and close its descriptor.

    Raises:
        StateError: it cannot be read.
    """
    try:
        with mmap.mmap(fd, 0, access=mmap.ACCESS_READ) as data:
            return state_format.decode(data)
    except (OSError, ValueError) as exc:
        # No descriptor, none that can be mapped, or an empty one.
        raise StateError("the state cannot be read", str(exc)) from exc
    finally:
        with contextlib.suppress(OSError):
            os.close(fd)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
