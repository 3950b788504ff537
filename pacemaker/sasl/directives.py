r"""The `key=value, key="value"` lists of DIGEST-MD5 tokens (RFC 2831, 7.1).

The reader follows the JDK's (DigestMD5Base.parseDirectives): blanks separate directives
as commas do, empty elements are ignored, a quoted value may contain anything, and `\x`
in it means x.  It is stricter in two ways: the last directive needs its `=` too, and a
key must be printable ASCII.

Each byte is examined once, by patterns that cannot backtrack into each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pacemaker.errors import AuthenticationError

_BLANKS_AND_COMMAS: Final = re.compile(rb"[\t\n\r ,]*")
_KEY: Final = re.compile(rb"([!-+\--<>-~]+)[\t\n\r ]*=[\t\n\r ]*")
_QUOTED_VALUE: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_PLAIN_VALUE: Final = re.compile(rb"[^\t\n\r ,]*")
_VALUE_END: Final = re.compile(rb"[\t\n\r ,]|\Z")
_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)


def read_directives(token: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the directives of a token in order, with keys in lower case.

    Raises:
        AuthenticationError: the token is not a list of directives.
    """
    position = _skip(token, 0)
    while position < len(token):
        key = _KEY.match(token, position)
        if key is None:
            raise AuthenticationError("a directive has no key or no '='", f"{position}")
        if key.end() == len(token):
            raise AuthenticationError("a directive has no value", f"{position}")
        value, position = _read_value(token, key.end())
        yield key[1].decode("ascii").lower(), value
        position = _skip(token, position)


def _skip(token: bytes, position: int) -> int:
    blanks = _BLANKS_AND_COMMAS.match(token, position)
    return blanks.end() if blanks else position


def _read_value(token: bytes, position: int) -> tuple[bytes, int]:
    quoted = token.startswith(b'"', position)
    match = (_QUOTED_VALUE if quoted else _PLAIN_VALUE).match(token, position)
    if match is None:
        raise AuthenticationError("a quote is not closed", f"{position}")
    if not _VALUE_END.match(token, match.end()):
        raise AuthenticationError(
            "unexpected text after a quoted value", f"{match.end()}"
        )
    return (_ESCAPED.sub(rb"\1", match[1]) if quoted else match[0]), match.end()
