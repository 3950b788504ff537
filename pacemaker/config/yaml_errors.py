"""Explain YAML errors: where the mistake is and what it is.

PyYAML reports the place where it could not continue, which for an open quote is the
end of the file, and describes it in terms of its grammar.  The errors here name the
place where the faulty construct began, and what is missing from it.  They never quote a
value, because it may be a secret.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import yaml

# Matches the beginning of `key:value` or `-item`, but not a URL.
_MISSING_BLANK: Final = re.compile(r"([\w.\-]+:)(?!//)[^ \t\r\n]|(-)[^\s-]")

_FOUND: Final = re.compile(r"found (?:unknown escape )?character '(.+)'")
_NOT_ALLOWED_HERE: Final = "mapping values are not allowed here"
_NO_DOCUMENT: Final = "expected '<document start>'"
_DIRECTIVE: Final = re.compile(r"^%", re.MULTILINE)
_STRAY: Final = re.compile(r".*but found '([\]},])'")
_NO_INDENT: Final = "the indentation of this line matches none of the lines above"


class YamlMistake(NamedTuple):
    """A mistake and its place.

    Attributes:
        line: from 1.
        column: from 1.
        problem: a description of the mistake.
    """

    line: int
    column: int
    problem: str


def explain(
    exc: yaml.MarkedYAMLError,
    text: str,
    spanning: yaml.ScalarToken | None,
    opened: yaml.Mark | None,
) -> YamlMistake | None:
    """Return where the faulty construct began, and what it lacks.

    Args:
        exc: PyYAML's error.
        text: the content of the file.
        spanning: the last scalar before the error that spans several lines.
        opened: where the innermost unfinished collection began.

    Returns:
        None if the error has no place.
    """
    stopped = exc.problem_mark or exc.context_mark
    if stopped is None:
        return None
    began = exc.context_mark or stopped
    is_syntax = isinstance(exc, yaml.scanner.ScannerError | yaml.parser.ParserError)
    if is_syntax and spanning and spanning.end_mark.line == stopped.line:
        found = _of_spanning(exc, text, spanning)
        if found is not None:
            return found
    context = exc.context or ""
    if context.endswith("a simple key"):
        return _place(began, _no_key(text[began.index :]))
    if context.endswith("a quoted scalar"):
        return _place(began, "the quote that opens here is never closed")
    if "a flow " in context and opened is not None:
        return _place(opened, _open_bracket(text[opened.index], exc.problem, stopped))
    if context.endswith(("an alias", "an anchor")):
        return _place(began, _in_quotes(text[began.index]))
    return _place(stopped, _in_words(exc, text, stopped))


def missing_blank(text: str) -> str | None:
    """Describe the blank that a text lacks near its start; None if it lacks none."""
    match = _MISSING_BLANK.match(text)
    return f"a blank is missing after '{match[1] or match[2]}'" if match else None


def _place(mark: yaml.Mark, problem: str) -> YamlMistake:
    return YamlMistake(mark.line + 1, mark.column + 1, problem)


def _of_spanning(
    exc: yaml.MarkedYAMLError, text: str, spanning: yaml.ScalarToken
) -> YamlMistake | None:
    """Explain an error in the line in which a multi-line scalar ends."""
    start, end = spanning.start_mark, spanning.end_mark
    if not spanning.plain:
        # An open quote swallows the lines up to the next quote of its kind.
        return _place(
            start,
            f"the quote that opens here is not closed until line {end.line + 1}, "
            f"column {end.column}; is one missing before the end of this line?",
        )
    if exc.problem != _NOT_ALLOWED_HERE:
        return None
    if start.column == 0 or text[start.index - start.column : start.index].isspace():
        # It begins its line, as a key does, so the mistake is in that line.
        return _place(start, _no_key(text[start.index :]))
    return YamlMistake(
        end.line + 1,
        1,
        f"this line is indented deeper than the key above, so it continues the value "
        f"that begins in line {start.line + 1}; keys must begin in the same column",
    )


def _no_key(text: str) -> str:
    return missing_blank(text) or "this line must be 'key: value'; the ':' is missing"


def _open_bracket(bracket: str, problem: object, stopped: yaml.Mark) -> str:
    problem = str(problem).replace("'<stream end>'", "the end of the file")
    return (
        f"the '{bracket}' that opens here is not closed: {problem} "
        f"in line {stopped.line + 1}, column {stopped.column + 1}"
    )


def _in_quotes(char: str) -> str:
    return f"a value that begins with '{char}' must be in quotes"


def _in_words(exc: yaml.MarkedYAMLError, text: str, stopped: yaml.Mark) -> str:
    """Describe what is wrong at the place where PyYAML stopped."""
    problem = str(exc.problem)
    before = text[stopped.index - stopped.column : stopped.index]
    begins_line = not before.strip()
    if match := _FOUND.match(problem):
        return _of_character(match[1], begins_line)
    if match := _STRAY.match(problem):
        return (
            f"'{match[1]}' is not expected here;"
            " text that contains it must be in quotes"
        )
    if problem == _NOT_ALLOWED_HERE:
        return "a value that contains ': ' must be in quotes"
    if problem == "sequence entries are not allowed here":
        return "a list with '- ' must begin in the line below its key"
    if problem == "found unhashable key":
        return "a list or mapping cannot be a key; is a value with '{' not in quotes?"
    if problem.startswith(_NO_DOCUMENT) and _DIRECTIVE.search(text, 0, stopped.index):
        return "a line that begins with '%' is a directive, which '---' must follow"
    if problem.startswith(("expected <block end>", _NO_DOCUMENT)):
        return (
            _NO_INDENT if begins_line else "unexpected text after the end of the value"
        )
    if problem.startswith("but ") and exc.context:
        return f"{exc.context}, {problem}"
    return problem


def _of_character(char: str, begins_line: bool) -> str:
    if char == r"\t":
        return (
            "a line must be indented with blanks, not with a tab"
            if begins_line
            else "a tab is not allowed here; write a blank"
        )
    if char in "@`%":
        return _in_quotes(char)
    return f"'\\{char}' means nothing in double quotes; write '\\\\' for a backslash"
