"""The values of -c as json-smart's permissive mode reads them."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacemaker.config.loose_json import (
    MAX_DEPTH,
    MAX_INTEGER_DIGITS,
    parse_loose_json,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7000", 7000),
        ("007", 7),
        (" 7000 ", 7000),
        ("-", 0),
        ("-5", -5),
        ("+5", "+5"),
        ("1e3", 1000.0),
        ("1.", 1.0),
        ("-.5", -0.5),
        ("1e", "1e"),
        ("1e+", "1e+"),
        ("6699x", "6699x"),
        ("6699~", 6699),
        ("10.0.0.1", "10.0.0.1"),
        ("1 2", "1 2"),
        ("true", True),
        ("TRUE", "TRUE"),
        ("yes", "yes"),
        ("null", None),
        ("nullx", "nullx"),
        ("NONE", "NONE"),
        ('"NONE"', "NONE"),
        ("'NONE' and more", "NONE"),
        ('"a\\tb\\u0041\\x42\\q"', "a\tbAB"),
        ('"open', '"open'),
        ('"\\u00zz"', '"\\u00zz"'),
        ("", ""),
        ("  ", ""),
        ("[a,b]", ["a", "b"]),
        ("[ a b , 'c' ,, null,1]", ["a b", "c", None, 1]),
        ("[a,b] and more", ["a", "b"]),
        ("[a,b", "[a,b"),
        ("[]", []),
        ("[:]", "[:]"),
        ("{a:1}", {"a": 1}),
        ("{'a' : [x], b:{c:d},}", {"a": ["x"], "b": {"c": "d"}}),
        ("{a:}", "{a:}"),
        ("{a}", "{a}"),
        ("{[]:1}", "{[]:1}"),
        ("{a:'b' c}", "{a:'b' c}"),
        ("}", "}"),
        (",", ","),
        ("-Xmx1g -Dx=y", "-Xmx1g -Dx=y"),
        ("9" * (MAX_INTEGER_DIGITS + 1), "9" * (MAX_INTEGER_DIGITS + 1)),
    ],
)
def test_override_is_read_loosely(text: str, value: object) -> None:
    """Each text has the value that json-smart gives it, or stays a string."""
    found = parse_loose_json(text)
    assert found == value
    assert type(found) is type(value)


def test_override_knows_nan() -> None:
    """NaN is a number."""
    found = parse_loose_json("NaN")
    assert isinstance(found, float)
    assert math.isnan(found)


def test_override_that_is_nested_too_deep_stays_a_string() -> None:
    """Nothing recurses over the text of an option."""
    assert isinstance(parse_loose_json("[" * MAX_DEPTH + "]" * MAX_DEPTH), list)
    text = "[" * 100_000 + "]" * 100_000
    assert parse_loose_json(text) == text


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON_VALUES)
def test_override_reads_json_as_json(value: object) -> None:
    """What is JSON has the value that JSON gives it."""
    text = json.dumps(value, ensure_ascii=False)
    if "\x1a" not in text and "\x7f" not in text and "NaN" not in text:
        assert parse_loose_json(text) == value


@given(st.text(alphabet="{}[],:\"'\\ ab01-.eEnult~\x1aé"))
def test_override_never_fails(text: str) -> None:
    """Any text has a value."""
    parse_loose_json(text)
