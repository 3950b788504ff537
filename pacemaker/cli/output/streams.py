"""Make the standard streams safe to use, however the program was started.

A shell can start a program with a stream that is closed (``>&-``) or on a full disk.
For a closed stream Python has None.  On a full disk, flushing fails again when Python
exits, and Python replaces the exit code by 120.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Final, TextIO

# By descriptor.
_NAMES: Final = ("stdin", "stdout", "stderr")


def open_missing() -> None:
    """Open the standard descriptors that are closed.

    Otherwise the next file or socket gets the free number, and a library that writes
    to descriptor 2 may write to a server.
    """
    for fd, name in enumerate(_NAMES):
        try:
            os.fstat(fd)
        except OSError:
            # The lowest free number is given: those below are open by now.  stdin
            # cannot be read either way, or a closed one would pass for empty input.
            os.open(os.devnull, os.O_WRONLY)
            mode = "r" if fd == 0 else "w"
            setattr(sys, name, open(fd, mode, closefd=False))  # noqa: SIM115


def settle() -> None:
    """Flush the buffered output, or drop it if it cannot be written.

    By then the command has reported that its output is lost.  If Python tried to flush
    again at exit, it would only change the exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            _redirect_to_null(stream)


def _redirect_to_null(stream: TextIO) -> None:
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
