"""What the daemon needs from its environment, however it was started.

A shell, systemd, a container engine and `nohup` leave different problems: closed
standard streams, a low descriptor limit, no room for another thread.  What this module
can fix, it fixes; for the rest, one line of the log or error says what to change.
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

from pacemaker import descriptor_limit
from pacemaker._version import __version__
from pacemaker.errors import StartError

_logger: Final = logging.getLogger(__name__)

_STANDARD_FDS: Final = (0, 1, 2)
_NO_DESCRIPTOR: Final = (errno.EMFILE, errno.ENFILE)


def describe_program() -> str:
    """Return the version, process id and interpreter, for the first log line."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"storm-pacemaker-py {__version__}, process {os.getpid()}, {python}"


def fill_standard_streams() -> None:
    """Open /dev/null in place of each standard stream that is closed.

    Otherwise the next file that is opened, for example the listening socket, would get
    its number, and a traceback or the child of an upgrade would write to it.
    """
    for fd in _STANDARD_FDS:
        try:
            os.fstat(fd)
        except OSError:
            with suppress(OSError):
                # All lower numbers are in use, so `open` returns this one.
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def raise_descriptor_limit() -> None:
    """Raise the soft limit of open descriptors to the hard limit, if allowed."""
    try:
        descriptor_limit.raise_descriptor_limit()
    except (OSError, ValueError) as exc:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        _logger.warning(
            "cannot raise the limit of open descriptors from %d to %d: %s; each"
            " connection needs one (ulimit -n, LimitNOFILE=)",
            soft,
            hard,
            getattr(exc, "strerror", None) or exc,
        )


@contextmanager
def as_start_error() -> Iterator[None]:
    """Turn a system error during the start into an error of one line.

    Raises:
        StartError: replaces an OSError.
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
