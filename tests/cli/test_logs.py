"""One record, one line, whatever it holds."""

from __future__ import annotations

import io
import logging
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pacemaker.cli.logs import (
    JournalErrors,
    JournalFormatter,
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


def test_record_has_time_level_logger_and_message() -> None:
    """A line begins with an ISO time that has milliseconds and an offset."""
    pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d{4} INFO a\.b port 6699"
    assert re.fullmatch(pattern, formatted("port %d", 6699))


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
        raise RuntimeError("first\n2026-01-01T00:00:00.000+0000 INFO forged")
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
    assert captured.err.endswith(" WARNING root loud\n")
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
    name = logging.getLevelName(level)
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
