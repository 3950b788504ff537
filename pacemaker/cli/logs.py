"""Logging: each record is one line on stderr, whatever a peer has sent.

A record may contain text that came from the network.  Control characters are
escaped, so that nobody can forge a line of the log or control a terminal.

If stderr is systemd's journal, each line begins with its severity, which the journal
removes (sd-daemon(3)).  It has no time, because the journal records that itself.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Mapping
from typing import Final, TextIO

LEVELS: Final = ("debug", "info", "warning", "error")

_CONTROLS: Final = (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)
_ESCAPES: Final = {code: repr(chr(code))[1:-1] for code in _CONTROLS}


# By syslog(3), from the severest down.
_SEVERITIES: Final = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
)
_DEBUG_SEVERITY: Final = 7
_ERROR_SEVERITY: Final = 3


def is_journal(
    stream: TextIO | None = None, environ: Mapping[str, str] = os.environ
) -> bool:
    """Return whether a stream, stderr by default, is systemd's journal.

    JOURNAL_STREAM alone proves nothing: a child whose stderr was redirected inherits
    the variable too.
    """
    stream = sys.stderr if stream is None else stream
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError):  # closed, or not a file
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _in_journal(text: str, severity: int) -> str:
    return "\n".join(f"<{severity}>{line}" for line in text.split("\n"))


def one_line(text: str) -> str:
    """Return the text with its line ends and control characters escaped."""
    return text.translate(_ESCAPES)


class LineFormatter(logging.Formatter):
    """Formats a record as ``TIME LEVEL LOGGER MESSAGE``, in one line.

    The time is local, with milliseconds and the offset from UTC.  A traceback
    follows in separate lines.  Each begins with a bar, as no record does.
    """

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatTime(  # noqa: N802 - logging's name
        self, record: logging.LogRecord, datefmt: str | None = None
    ) -> str:
        """Return the time of the record in ISO 8601."""
        moment = time.localtime(record.created)
        date = time.strftime("%Y-%m-%dT%H:%M:%S", moment)
        return f"{date}.{int(record.msecs):03d}{time.strftime('%z', moment)}"

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Return the line of the record, without its traceback."""
        return one_line(super().formatMessage(record))

    def formatException(self, ei: object) -> str:  # noqa: N802
        """Return the traceback, with a bar before each line."""
        lines = super().formatException(ei).splitlines()  # type: ignore[arg-type]
        return "\n".join(f"    | {one_line(line)}" for line in lines)


class JournalFormatter(LineFormatter):
    """Formats a record as ``<SEVERITY>LEVEL LOGGER MESSAGE``, for the journal."""

    def __init__(self) -> None:
        super().__init__()
        self._style = logging.PercentStyle("%(levelname)s %(name)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the record, with the severity before each line."""
        severity = next(
            (each for level, each in _SEVERITIES if record.levelno >= level),
            _DEBUG_SEVERITY,
        )
        return _in_journal(super().format(record), severity)


class JournalErrors:
    """A stream for the last message of a program; each line has the severity error.

    Args:
        stream: the journal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write lines, with the severity before each."""
        body = text.removesuffix("\n")
        end = text[len(body) :]
        self._stream.write(_in_journal(body, _ERROR_SEVERITY) + end)
        return len(text)

    def flush(self) -> None:
        """Flush the journal."""
        self._stream.flush()


def configure_logs(level: str) -> None:
    """Send records of this level and above to stderr.

    Args:
        level: one of LEVELS.

    """
    # A log that cannot be written, to a closed pipe say, must not stop a daemon,
    # nor print tracebacks about itself.
    logging.raiseExceptions = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JournalFormatter() if is_journal() else LineFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
