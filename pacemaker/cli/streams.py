"""The standard streams, made safe to use whatever the program was started with.

A shell can start a program with a stream closed (``>&-``) or on a full disk.
Python then has None for the stream, or fails once more when it flushes at its
own exit, and replaces the exit code by 120.
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

    Otherwise the next file or socket takes the number, and what a library writes
    to descriptor 2 goes to a server.
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
    """Flush what is left, or drop it if it cannot be written.

    A command has reported by then that its output is lost; Python's own attempt at
    exit would only change the exit code.
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
