"""Tests of pacemaker.sasl.directives: the JDK's reading of a list, but stricter."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacemaker.errors import AuthenticationError
from pacemaker.sasl.directives import read_directives


@pytest.mark.parametrize(
    ("token", "directives"),
    [
        (b"", []),
        (b" ,\t,\r\n", []),
        (b"a=1", [("a", b"1")]),
        (b"a=1,b=2", [("a", b"1"), ("b", b"2")]),
        (b"a=1 b=2", [("a", b"1"), ("b", b"2")]),
        (b",, a = 1 ,,b\t=2,", [("a", b"1"), ("b", b"2")]),
        (b"Qop=auth", [("qop", b"auth")]),
        (b'a="1, b=2"', [("a", b"1, b=2")]),
        (b'a=""', [("a", b"")]),
        (rb'a="\"\\\x"', [("a", rb'"\x')]),
        (b'a="x\n\xff"', [("a", b"x\n\xff")]),
        (b"a=x=y", [("a", b"x=y")]),
        (b"a=,b=1", [("a", b""), ("b", b"1")]),
        (b"a=1,a=2", [("a", b"1"), ("a", b"2")]),
    ],
)
def test_directives_are_read_in_order(
    token: bytes, directives: list[tuple[str, bytes]]
) -> None:
    """Keys come in lower case, quoted values without quotes and escapes."""
    assert list(read_directives(token)) == directives


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (b"a", "no key or no '='"),
        (b"=1", "no key or no '='"),
        (b"a b=1", "no key or no '='"),
        (b"\xff=1", "no key or no '='"),
        (b"a=1,b", "no key or no '='"),
        (b"a=", "no value"),
        (b"a= ", "no value"),
        (b'a="1', "quote is not closed"),
        (rb'a="1\"', "quote is not closed"),
        (b'a="1"x', "unexpected text after a quoted value"),
    ],
)
def test_list_that_is_none_is_refused(token: bytes, reason: str) -> None:
    """The error says what is wrong, and at which byte."""
    with pytest.raises(AuthenticationError, match=reason):
        list(read_directives(token))


@given(st.binary(max_size=200))
def test_any_token_is_read_or_refused(token: bytes) -> None:
    """There is no other exception."""
    with contextlib.suppress(AuthenticationError):
        for key, _ in read_directives(token):
            assert key == key.lower() != ""
