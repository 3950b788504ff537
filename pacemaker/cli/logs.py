"""Logging: one record, one line on stderr, whatever a peer has sent.

A record may hold text that came from the network.  Control characters are
escaped, so that nobody can forge a line of the log or drive a terminal.
"""

from __future__ import annotations

import logging
import sys
import time

LEVELS = ("debug", "info", "warning", "error")

_CONTROLS = (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)
_ESCAPES = {code: repr(chr(code))[1:-1] for code in _CONTROLS}


def one_line(text: str) -> str:
    """Return the text with its line ends and control characters escaped."""
    return text.translate(_ESCAPES)


class LineFormatter(logging.Formatter):
    """Formats a record as ``TIME LEVEL LOGGER MESSAGE``, in one line.

    The time is local, with milliseconds and the offset from UTC.  A traceback
    follows in lines of its own, each behind a bar that no record begins with.
    """

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatTime(  # noqa: N802 - logging's name
        self, record: logging.LogRecord, datefmt: str | None = None
    ) -> str:
        """Return the time of the record as ISO 8601 writes it."""
        moment = time.localtime(record.created)
        date = time.strftime("%Y-%m-%dT%H:%M:%S", moment)
        return f"{date}.{int(record.msecs):03d}{time.strftime('%z', moment)}"

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Return the line of the record, without its traceback."""
        return one_line(super().formatMessage(record))

    def formatException(self, ei: object) -> str:  # noqa: N802
        """Return the traceback, each of its lines behind a bar."""
        lines = super().formatException(ei).splitlines()  # type: ignore[arg-type]
        return "\n".join(f"    | {one_line(line)}" for line in lines)


def configure_logs(level: str) -> None:
    """Send the log to stderr, from this level on.

    Args:
        level: one of LEVELS.

    """
    # A log that cannot be written, to a closed pipe say, must not stop a daemon,
    # nor print tracebacks about itself.
    logging.raiseExceptions = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
