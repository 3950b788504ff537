"""What commands print: tables for people, JSON for programs.

Anybody who can reach a server's port can store keys and values.  So everything in them
that is not printable is escaped: they can neither control a terminal nor forge a line
of a table.
"""

from __future__ import annotations

import contextlib
import errno
import json
import sys
from collections.abc import Iterator, Sequence
from typing import IO, Any, Final

import click

from pacemaker.cli.output import exit_codes
from pacemaker.texts import printable as printable

_GAP: Final = "  "
_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


class OutputLostError(click.ClickException):
    """The output could not be written, but the command did its work."""

    exit_code = exit_codes.OUTPUT_LOST

    def warn(self) -> None:
        """Print a warning instead of the error."""
        warn(self.message)


class PipeClosedError(OutputLostError):
    """The reader of our output closed the pipe, as in ``ls | head -1``."""

    exit_code = exit_codes.PIPE_CLOSED

    def show(self, file: IO[Any] | None = None) -> None:
        """Print nothing."""

    def warn(self) -> None:
        """Print nothing."""


def output_lost(error: OSError) -> OutputLostError:
    """Return the error to raise when the output cannot be written."""
    kind = PipeClosedError if error.errno == errno.EPIPE else OutputLostError
    return kind(f"the output could not be written: {error.strerror or error}")


@contextlib.contextmanager
def exit_code_answers() -> Iterator[None]:
    """Only warn if the output is lost, because the exit code gives the answer too."""
    try:
        yield
    except OutputLostError as exc:
        exc.warn()


def warn(text: str) -> None:
    """Print a warning to stderr, if that can be written."""
    _print_to_stderr(f"Warning: {text}")


def note(text: str) -> None:
    """Print something worth knowing to stderr, if that can be written."""
    _print_to_stderr(f"Note: {text}")


def _print_to_stderr(text: str) -> None:
    with contextlib.suppress(OSError):
        click.echo(printable(text), err=True)


def print_text(text: str) -> None:
    """Print text unescaped: only for text of our own.

    Raises:
        OutputLostError: it cannot be written.
    """
    try:
        click.echo(text)
    except OSError as exc:
        raise output_lost(exc) from exc


def print_json(value: object) -> None:
    """Print a value as JSON, in plain ASCII without control characters.

    Raises as `print_text`.
    """
    # The one control character that JSON's own escapes leave out.
    print_text(json.dumps(value, indent=2).replace("\x7f", "\\u007f"))


def print_line(text: str) -> None:
    """Print a line of text, escaping what is unprintable or not in the charset.

    Raises as `print_text`.
    """
    encoding = sys.stdout.encoding
    shown = printable(text).encode(encoding, "backslashreplace").decode(encoding)
    print_text(shown)


def print_table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
    """Print rows with their columns aligned.  Raises as `print_text`.

    Args:
        rows: the cells of each row; all rows have the same number.
        right: the columns to align to the right.
    """
    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        cells = [
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print_line(_GAP.join(cells).rstrip())


def duration_text(seconds: int) -> str:
    """Return a time span in its two largest units: ``1 h 5 min``."""
    sign, left = ("-", -seconds) if seconds < 0 else ("", seconds)
    counts: list[tuple[int, str]] = []
    for unit_s, name in _UNITS:
        count, left = divmod(left, unit_s)
        if count or counts:
            counts.append((count, name))
    shown = [f"{count} {name}" for count, name in counts[:2] if count]
    return sign + (" ".join(shown) or "0 s")
