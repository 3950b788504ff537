"""What the daemon needs of its surroundings, whoever started it.

A shell, systemd, a container engine and `nohup` each leave something else: closed
standard streams, a low limit of descriptors, no room for another thread.  What can
be mended is mended here, and what cannot is one line that says what to change.
"""

from __future__ import annotations

import errno
import logging
import os
import platform
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from pacemaker._version import __version__
from pacemaker.errors import StartError

_logger: Final = logging.getLogger(__name__)

_STANDARD_FDS: Final = (0, 1, 2)
_NO_DESCRIPTOR: Final = (errno.EMFILE, errno.ENFILE)


def describe_program() -> str:
    """Return version, process id and interpreter, for the first line of the log."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"storm-pacemaker-py {__version__}, process {os.getpid()}, {python}"


def fill_standard_streams() -> None:
    """Open /dev/null in the place of each standard stream that is closed.

    Otherwise the next thing that is opened gets its number, the listening socket
    for example, and a traceback or the child of an upgrade would write to it.
    """
    for fd in _STANDARD_FDS:
        try:
            os.fstat(fd)
        except OSError:
            with suppress(OSError):
                # All below it are open, so this takes its number.
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def raise_descriptor_limit() -> None:
    """Raise the soft limit of open descriptors to the hard one, if that is allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as exc:
        _logger.warning(
            "cannot raise the limit of open descriptors from %d to %d: %s; each"
            " connection needs one (ulimit -n, LimitNOFILE=)",
            *(soft, hard, getattr(exc, "strerror", None) or exc),
        )


@contextmanager
def start_errors() -> Iterator[None]:
    """Turn what the system refuses during the start into one line.

    Raises:
        StartError: in the place of an OSError.
    """
    try:
        yield
    except OSError as exc:
        raise StartError(_refusal(exc)) from exc


def _refusal(exc: OSError) -> str:
    where = f"{exc.filename}: " if exc.filename else ""
    reason = f"the daemon cannot start: {where}{exc.strerror or exc}"
    if exc.errno in _NO_DESCRIPTOR:
        reason += "; raise the limit of open descriptors (ulimit -n, LimitNOFILE=)"
    return reason
