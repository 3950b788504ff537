"""Tests of pacemaker.cli.output.printing."""

from __future__ import annotations

import json

import pytest

from pacemaker.cli.output.printing import (
    duration_text,
    print_json,
    print_line,
    print_table,
    printable,
)

NASTY = "a\x00\x1b[2J\r\n\x7f\x9b\u202e\u2028\ufeff\ud800é"


def test_nothing_unprintable_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Controls, marks of direction and separators are escaped, letters are not."""
    shown = r"a\x00\x1b[2J\r\n\x7f\x9b\u202e\u2028\ufeff\ud800é"
    assert printable(NASTY) == shown
    print_line(NASTY)
    assert capsys.readouterr().out == f"{shown}\n"


def test_json_is_plain_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON gives every character back, and itself has only printable ones."""
    print_json({NASTY: NASTY})
    out = capsys.readouterr().out
    assert json.loads(out) == {NASTY: NASTY}
    assert out.isascii()
    assert all(line.isprintable() for line in out.splitlines())


def test_table_is_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    """Columns are as wide as their widest cell, escapes included."""
    print_table([("SIZE", "NAME", "X"), ("7", "a\tb", ""), ("1234567", "c", "y")], (0,))
    assert capsys.readouterr().out.splitlines() == [
        "   SIZE  NAME  X",
        r"      7  a\tb",
        "1234567  c     y",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3605, "1 h"),
        (3_660, "1 h 1 min"),
        (86_400 + 59, "1 d"),
        (90_000, "1 d 1 h"),
        (-75, "-1 min 15 s"),
        (10**12, "11574074 d 1 h"),
    ],
)
def test_duration_has_two_units(seconds: int, text: str) -> None:
    """A time span is told in its largest unit and the next one."""
    assert duration_text(seconds) == text
