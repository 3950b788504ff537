"""Each record is one line, whatever it contains."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pacemaker.cli.output.logs import (
    JournalErrors,
    JournalFormatter,
    JsonFormatter,
    LineFormatter,
    configure_logs,
    is_journal,
    one_line,
)


def formatted(message: str, *args: object, exc_info: bool = False) -> str:
    """Return a record as the log writes it, the error at hand with it."""
    error = sys.exc_info() if exc_info else None
    record = logging.LogRecord("a.b", logging.INFO, "f", 1, message, args, error)
    return LineFormatter().format(record)


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    """Give back the root logger as it was found."""
    root = logging.getLogger()
    before = (root.level, list(root.handlers), logging.raiseExceptions)
    yield root
    root.level, root.handlers[:], logging.raiseExceptions = before


def test_line_is_laid_out_as_storms() -> None:
    """By log4j's pattern `%d{yyyy-MM-dd HH:mm:ss.SSS} %c{1.} %t [%p] %msg`."""
    pattern = (
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}"
        r" p\.s\.daemon MainThread \[INFO\] port 6699"
    )
    record = logging.LogRecord(
        "pacemaker.server.daemon", logging.INFO, "f", 1, "port %d", (6699,), None
    )
    assert re.fullmatch(pattern, LineFormatter().format(record))


@pytest.mark.parametrize(
    ("level", "name"),
    [(logging.DEBUG, "DEBUG"), (logging.WARNING, "WARN"), (logging.CRITICAL, "FATAL")],
)
def test_levels_have_storms_names(level: int, name: str) -> None:
    """What counts `[WARN]` in Storm's logs counts it here."""
    record = logging.LogRecord("a", level, "f", 1, "m", (), None)
    assert LineFormatter().format(record).endswith(f" [{name}] m")


def test_json_is_one_object_in_one_line() -> None:
    """The time is UTC, a traceback is a field, and nothing breaks the line."""
    try:
        raise RuntimeError("first\nsecond")
    except RuntimeError:
        error = sys.exc_info()
    record = logging.LogRecord("a.b", logging.ERROR, "f", 1, "ü\n%s", ("\x1b",), error)
    record.created = 1_700_000_000.25
    line = JsonFormatter().format(record)
    assert line.isascii()
    assert line.isprintable()
    fields = json.loads(line)
    assert fields.pop("exception").endswith("RuntimeError: first\nsecond")
    assert fields == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "ERROR",
        "logger": "a.b",
        "thread": "MainThread",
        "message": "ü\n\x1b",
    }


def test_journal_may_get_json() -> None:
    """With the severity in front, which the journal removes."""
    record = logging.LogRecord("a", logging.WARNING, "f", 1, "m", (), None)
    line = JournalFormatter(JsonFormatter()).format(record)
    assert json.loads(line.removeprefix("<4>"))["message"] == "m"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a\nb", r"a\nb"),
        ("a\r\tb", r"a\r\tb"),
        ("\x1b[2J\x00\x7f", r"\x1b[2J\x00\x7f"),
        ("\x85\x9b\u2028\u2029", r"\x85\x9b\u2028\u2029"),
        ("Zürich ☃", "Zürich ☃"),
    ],
)
def test_control_characters_are_escaped(text: str, escaped: str) -> None:
    """What a peer sends can neither begin a line nor drive a terminal."""
    assert one_line(text) == escaped
    assert formatted("peer sent %s", text).endswith(f"peer sent {escaped}")


def test_traceback_follows_behind_bars() -> None:
    """No line of a traceback can be taken for a record, not even its message."""
    try:
        raise RuntimeError("first\n2026-01-01 00:00:00.000 a main [INFO] forged")
    except RuntimeError:
        lines = formatted("failed", exc_info=True).split("\n")
    assert len(lines) > 3
    assert all(line.startswith("    | ") for line in lines[1:])


def test_log_goes_to_stderr_from_its_level_on(
    root_logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """Records below the level are dropped, the others go to stderr."""
    configure_logs("warning")
    root_logger.info("quiet")
    root_logger.warning("loud")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.endswith(" root MainThread [WARN] loud\n")
    assert "quiet" not in captured.err


def test_log_that_cannot_be_written_stops_nothing(
    root_logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A closed stderr neither raises nor prints."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logs("info")
    stream.close()
    root_logger.warning("nobody reads this")


def test_journal_is_told_from_another_stderr(tmp_path: Path) -> None:
    """The variable names a file, and a child may inherit it with another stderr."""
    with (tmp_path / "journal").open("w") as journal:
        status = os.fstat(journal.fileno())
        environ = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        assert is_journal(journal, environ)
        assert not is_journal(journal, {})
        with (tmp_path / "other").open("w") as other:
            assert not is_journal(other, environ)
    assert not is_journal(journal, environ)
    assert not is_journal(io.StringIO(), environ)


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        (logging.DEBUG, 7),
        (logging.INFO, 6),
        (logging.WARNING, 4),
        (logging.ERROR, 3),
        (logging.CRITICAL, 2),
    ],
)
def test_journal_gets_severity_and_no_time(level: int, severity: int) -> None:
    """`journalctl -p warning` finds what it should; the journal has the time."""
    record = logging.LogRecord("a.b", level, "f", 1, "port %d", (6699,), None)
    name = {30: "WARN", 50: "FATAL"}.get(level, logging.getLevelName(level))
    assert JournalFormatter().format(record) == f"<{severity}>{name} a.b port 6699"


def test_journal_gets_the_severity_of_each_line_of_a_traceback() -> None:
    """Each line is an entry of its own there."""
    try:
        raise ValueError("as asked for")
    except ValueError:
        error = sys.exc_info()
    record = logging.LogRecord("a", logging.ERROR, "f", 1, "failed", (), error)
    lines = JournalFormatter().format(record).splitlines()
    assert lines[0] == "<3>ERROR a failed"
    assert lines[-1] == "<3>    | ValueError: as asked for"
    assert all(line.startswith("<3>") for line in lines)


def test_journal_gets_the_last_words_as_errors() -> None:
    """The line that says why `serve` did not start is one."""
    stream = io.StringIO()
    errors = JournalErrors(stream)
    errors.write("Usage: x\n\nError: y\n")
    errors.flush()
    assert stream.getvalue() == "<3>Usage: x\n<3>\n<3>Error: y\n"
