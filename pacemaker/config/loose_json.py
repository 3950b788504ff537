"""Read the value of ``-c KEY=VALUE`` as Storm 2.6 and later do.

Storm passes the text to json-smart in its permissive mode.  That accepts JSON, and much
that is not JSON: words need no quotes, quotes may be single, extra commas are allowed,
and text after a complete list, mapping or quoted string is ignored.  A text that even
json-smart refuses is used literally, as a string.

Every rule below was found by comparison with json-smart 2.6.0.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

# json-smart allows 400; no key that is used here nests deeper than one.
MAX_DEPTH: Final = 50

# Conversion time grows with the square of the number of digits; Python itself refuses
# more than 4,300.
MAX_INTEGER_DIGITS: Final = 1024

_END: Final = "\x1a"  # json-smart's own mark for the end of the text
_BLANKS: Final = " \t\r\n"
_JSON_INTEGER: Final = re.compile(r"-?[0-9]*")
_NUMBER: Final = re.compile(r"-?[0-9]*(?:\.[0-9]*)?(?:[eE](?:[-+]|[0-9])[0-9]*)?")
_ESCAPES: Final = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "b": "\b"} | {
    itself: itself for itself in "\\/'\""
}
_HEX_DIGITS: Final = {"u": 4, "x": 2}
_CONSTANTS: Final[dict[str, object]] = {
    "null": None,
    "true": True,
    "false": False,
    "NaN": float("nan"),
}


class _RefusedError(Exception):
    """json-smart would refuse the text at this point."""


def parse_loose_json(text: str) -> object:
    """Return the value that Storm reads from this text."""
    try:
        return _Reader(text).value(stops=_END)
    except _RefusedError:
        return text


class _Reader:
    """A text and the position in it."""

    def __init__(self, text: str) -> None:
        self._text = text.partition(_END)[0] + _END
        self._at = 0
        self._depth = 0

    @property
    def _char(self) -> str:
        return self._text[self._at]

    def value(self, stops: str) -> object:
        """Read one value; an unquoted word ends before a character of `stops`."""
        self._skip(lambda char: char in _BLANKS)
        char = self._char
        if char in ":}]" or (char == _END and stops != _END):
            raise _RefusedError
        if char in "{[":
            return self._nested(self._mapping if char == "{" else self._list)
        if char in "\"'":
            return self._quoted()
        if char in "-0123456789":
            return self._number(stops)
        word = self._word(stops)
        return _CONSTANTS.get(word, word)

    def _nested(self, read: Callable[[], object]) -> object:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _RefusedError
        self._at += 1
        container = read()
        self._at += 1
        self._depth -= 1
        return container

    def _list(self) -> list[object]:
        items: list[object] = []
        while True:
            self._skip(lambda char: char in _BLANKS + ",")
            if self._char == "]":
                return items
            items.append(self.value(stops=",]" + _END))

    def _mapping(self) -> dict[str, object]:
        pairs: dict[str, object] = {}
        while True:
            self._skip(lambda char: char in _BLANKS + ",")
            if self._char == "}":
                return pairs
            if self._char in ":][{" + _END:
                raise _RefusedError
            key = self._quoted() if self._char in "\"'" else self._word(":" + _END)
            self._skip_control()
            self._expect(":")
            pairs[key] = self.value(stops=",}" + _END)
            self._skip_control()
            if self._char != "}":
                self._expect(",")

    def _number(self, stops: str) -> object:
        start = self._at
        match = _NUMBER.match(self._text, start)
        digits = match.group() if match else ""
        self._at += len(digits)
        self._skip_control()
        # In json-smart "~" and non-ASCII characters end a number.  Any other character
        # that does not end a value turns the number into a word, as in 10.0.0.1.
        if self._char not in stops and self._char < "~":
            self._at = start
            return self._word(stops)
        return _converted(digits)

    def _word(self, stops: str) -> str:
        start = self._at
        self._skip(lambda char: char not in stops)
        return self._text[start : self._at].strip()

    def _quoted(self) -> str:
        quote = self._char
        self._at += 1
        end = self._text.find(quote, self._at)
        if end < 0:
            raise _RefusedError
        plain = self._text[self._at : end]
        if "\\" not in plain:
            self._at = end + 1
            return plain
        return self._escaped(quote)

    def _escaped(self, quote: str) -> str:
        parts: list[str] = []
        while self._char != quote:
            char = self._char
            if char == _END:
                raise _RefusedError
            self._at += 1
            if char == "\\":
                parts.append(self._escape())
            elif char >= " " and char != "\x7f":
                parts.append(char)
        self._at += 1
        return "".join(parts)

    def _escape(self) -> str:
        char = self._char
        if char == _END:
            raise _RefusedError
        self._at += 1
        if char not in _HEX_DIGITS:
            return _ESCAPES.get(char, "")
        digits = self._text[self._at : self._at + _HEX_DIGITS[char]]
        if not re.fullmatch(rf"[0-9a-fA-F]{{{_HEX_DIGITS[char]}}}", digits):
            raise _RefusedError
        self._at += len(digits)
        return chr(int(digits, 16))

    def _skip(self, is_skipped: Callable[[str], bool]) -> None:
        while self._char != _END and is_skipped(self._char):
            self._at += 1

    def _skip_control(self) -> None:
        self._skip(lambda char: char <= " ")

    def _expect(self, char: str) -> None:
        if self._char != char:
            raise _RefusedError
        self._at += 1


def _converted(number: str) -> object:
    if _JSON_INTEGER.fullmatch(number):
        if len(number) > MAX_INTEGER_DIGITS:
            raise _RefusedError
        return int(number) if number != "-" else 0
    try:
        return float(number)
    except ValueError as exc:
        raise _RefusedError from exc
