"""Logging: each record is one line on stderr, whatever a peer has sent.

A record may contain text that came from the network.  Control characters are
escaped, so that nobody can forge a line of the log or control a terminal.

If stderr is systemd's journal, each line begins with its severity, which the journal
removes (sd-daemon(3)).  It has no time, because the journal records that itself.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Final, TextIO

from pacemaker.config.settings import LOG_LEVELS

LEVELS: Final = LOG_LEVELS
FORMATS: Final = ("text", "json")

# The levels that have another name in Storm (log4j), with that name.
_LEVEL_NAMES: Final = {"WARNING": "WARN", "CRITICAL": "FATAL"}

_CONTROLS: Final = (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)
_ESCAPES: Final = {code: repr(chr(code))[1:-1] for code in _CONTROLS}


# The severities of syslog(3), the most severe first.
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


def level_name(record: logging.LogRecord) -> str:
    """Return the name that Storm has for the level of a record."""
    return _LEVEL_NAMES.get(record.levelname, record.levelname)


def one_line(text: str) -> str:
    """Return the text with its line ends and control characters escaped."""
    return text.translate(_ESCAPES)


class LineFormatter(logging.Formatter):
    """Formats a record as Storm's daemons do, in one line.

    ``2026-11-28 10:00:00.123 p.s.daemon MainThread [INFO] listening on [::]:6699``

    This is the pattern ``%d{yyyy-MM-dd HH:mm:ss.SSS} %c{1.} %t [%p] %msg`` of Storm's
    cluster.xml, so tools that parse Storm's logs can parse this one.  A traceback
    follows in separate lines.  Each begins with a bar, which no record does.
    """

    def __init__(self) -> None:
        # With `asctime` in the format, `usesTime` is true, and `asctime` is set.
        super().__init__("%(asctime)s")

    def formatTime(  # noqa: N802 - logging's name
        self, record: logging.LogRecord, datefmt: str | None = None
    ) -> str:
        """Return the local time of the record."""
        moment = time.localtime(record.created)
        date = time.strftime("%Y-%m-%d %H:%M:%S", moment)
        return f"{date}.{int(record.msecs):03d}"

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Return the line of the record, without its traceback."""
        *packages, name = record.name.split(".")
        name = ".".join([*(package[:1] for package in packages), name])
        line = (
            f"{record.asctime} {name} {record.threadName} [{level_name(record)}]"
            f" {record.message}"
        )
        return one_line(line)

    def formatException(self, ei: object) -> str:  # noqa: N802
        """Return the traceback, with a bar before each line."""
        lines = super().formatException(ei).splitlines()  # type: ignore[arg-type]
        return "\n".join(f"    | {one_line(line)}" for line in lines)


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object in one line.

    The time is that of UTC in ISO 8601.  JSON escapes everything but plain ASCII.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record, with its traceback in it."""
        moment = datetime.fromtimestamp(record.created, timezone.utc)
        fields = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": level_name(record),
            "logger": record.name,
            "thread": record.threadName,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields)


class JournalFormatter(logging.Formatter):
    """Formats a record for the journal: each line of it begins with its severity.

    Args:
        formatter: formats the record; None for ``LEVEL LOGGER MESSAGE``, without the
            time and the thread.
    """

    def __init__(self, formatter: logging.Formatter | None = None) -> None:
        super().__init__()
        self._formatter = formatter or _ShortFormatter()

    def format(self, record: logging.LogRecord) -> str:
        """Return the record, with the severity before each line."""
        severity = next(
            (each for level, each in _SEVERITIES if record.levelno >= level),
            _DEBUG_SEVERITY,
        )
        return _in_journal(self._formatter.format(record), severity)


class _ShortFormatter(LineFormatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return one_line(f"{level_name(record)} {record.name} {record.message}")


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


def configure_logs(level: str, log_format: str = "text") -> None:
    """Send records of this level and above to stderr.

    Args:
        level: one of LEVELS.
        log_format: one of FORMATS.

    """
    # A log that cannot be written, to a closed pipe say, must not stop a daemon,
    # nor print tracebacks about itself.
    logging.raiseExceptions = False
    handler = logging.StreamHandler(sys.stderr)
    formatter = JsonFormatter() if log_format == "json" else None
    if is_journal():
        handler.setFormatter(JournalFormatter(formatter))
    else:
        handler.setFormatter(formatter or LineFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
