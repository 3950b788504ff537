"""What commands print: tables for people, JSON for programs.

Keys and values come from whoever could reach a server's port, so nothing of
them is printed but what is printable: they cannot drive a terminal, nor forge a
line of a table.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Final

import click

_GAP: Final = "  "
_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def printable(text: str) -> str:
    """Return the text with all that is not printable escaped, as Python writes it."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def print_json(value: object) -> None:
    """Print a value as JSON, in plain ASCII without control characters."""
    # The one control character that JSON's own escapes leave out.
    click.echo(json.dumps(value, indent=2).replace("\x7f", "\\u007f"))


def print_line(text: str) -> None:
    """Print a line of text, escaped; also what the terminal's charset does not have."""
    encoding = sys.stdout.encoding
    shown = printable(text).encode(encoding, "backslashreplace").decode(encoding)
    click.echo(shown)


def print_table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
    """Print rows with their columns aligned.

    Args:
        rows: cells; all rows have as many.
        right: the columns that are aligned to the right.
    """
    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        cells = [
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print_line(_GAP.join(cells).rstrip())


def duration(seconds: int) -> str:
    """Return a time span in its two largest units: ``1 h 5 min``."""
    sign, left = ("-", -seconds) if seconds < 0 else ("", seconds)
    counts: list[tuple[int, str]] = []
    for unit_s, name in _UNITS:
        count, left = divmod(left, unit_s)
        if count or counts:
            counts.append((count, name))
    shown = [f"{count} {name}" for count, name in counts[:2] if count]
    return sign + (" ".join(shown) or "0 s")
