"""Which place and which mistake a YAML error names."""

from __future__ import annotations

import pytest

from pacemaker.config.yaml_reader import parse_yaml
from pacemaker.errors import ConfigError


def error_of(text: str) -> str:
    """Return the error that a file gives, without what all of them have."""
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "f")
    return str(caught.value).replace("cannot be read as YAML: ", "")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('a:   "x\n\nb:\n - 1\nc: 2\n', "line 1, column 6"),
        ("a: 1\nb: 'x\nc: 2\n", "line 2, column 4"),
        ('"a: 1\nb: 2\n', "line 1, column 1"),
        ('a: [x, "y]\nb: 1\n', "line 1, column 8"),
        ('a: "x\n---\nb: "y"\n', "line 1, column 4"),
    ],
)
def test_open_quote_is_named_where_it_opens(text: str, place: str) -> None:
    """A quote without its end is an error of its own line, not of the last one."""
    assert error_of(text) == f"f, {place}: the quote that opens here is never closed"


@pytest.mark.parametrize(
    ("text", "closes"),
    [
        ('a: "x\nb: "y"\nc: 1\n', "line 2, column 4"),
        ("a: 'x\nb: 1\nc: 'y'\n", "line 3, column 4"),
    ],
)
def test_open_quote_is_named_when_a_later_one_closes_it(text: str, closes: str) -> None:
    """The next quote of its kind ends the text, and what follows is not at fault."""
    assert error_of(text) == (
        f"f, line 1, column 4: the quote that opens here is not closed until {closes}; "
        "is one missing before the end of this line?"
    )


@pytest.mark.parametrize(
    ("text", "place", "lacks"),
    [
        ("pacemaker.port:7000\nb: 1\n", "line 1, column 1", "pacemaker.port:"),
        ("# c\na:1\nb: 1\n", "line 2, column 1", "a:"),
        ("b: 1\na:1\nc: 2\n", "line 2, column 1", "a:"),
        ("b: 1\na:\u00a01\nc: 2\n", "line 2, column 1", "a:"),
        ("b: 1\na:1\n", "line 2, column 1", "a:"),
        ("a:\n  b: 1\n  c:2\n  d: 3\n", "line 3, column 3", "c:"),
        ("a:\n  - x\n  -y\n  - z\n", "line 3, column 3", "-"),
    ],
)
def test_missing_blank_is_named(text: str, place: str, lacks: str) -> None:
    """A key without the blank after its colon is named in its own line."""
    assert error_of(text) == f"f, {place}: a blank is missing after '{lacks}'"


@pytest.mark.parametrize("text", ["a:1\nb:2\n", "# c\n\na:1\n"])
def test_missing_blank_is_named_in_a_file_of_nothing_else(text: str) -> None:
    """Keys without blanks are one string to YAML; the first of them is named."""
    line = text.splitlines().index("a:1") + 1
    assert error_of(text) == (
        f"f, line {line}: must consist of lines of the form 'key: value', not a single "
        "value: a blank is missing after 'a:'"
    )


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("storm.zookeeper.servers\n  - a\nb: 1\n", "line 1, column 1"),
        ("b: 1\nhttp://x:80/\nc: 2\n", "line 2, column 1"),
        ("b: 1\npacemaker.port 7000\n", "line 2, column 1"),
    ],
)
def test_missing_colon_is_named(text: str, place: str) -> None:
    """A line without a colon is the one at fault, not the line after it."""
    lacks = "this line must be 'key: value'; the ':' is missing"
    assert error_of(text) == f"f, {place}: {lacks}"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "%YAML 1.2\na: 1\n",
            "f, line 2, column 1: a line that begins with '%' is a directive, which "
            "'---' must follow",
        ),
        (
            'a: ["x\n  y", *z]\n',
            "f, line 2, column 7: found undefined alias 'z'",
        ),
        (
            "a: [1, 2\nb: 3\n",
            "f, line 1, column 4: the '[' that opens here is not closed: expected ',' "
            "or ']', but got ':' in line 2, column 2",
        ),
        (
            "a: [x,\n",
            "f, line 1, column 4: the '[' that opens here is not closed: expected the "
            "node content, but found the end of the file in line 2, column 1",
        ),
        (
            "a: 1\nb: {x: 1\n",
            "f, line 2, column 4: the '{' that opens here is not closed: expected ',' "
            "or '}', but got the end of the file in line 3, column 1",
        ),
        (
            "a: 1\n b: 2\n",
            "f, line 2, column 1: this line is indented deeper than the key above, so "
            "it continues the value that begins in line 1; keys must begin in the "
            "same column",
        ),
        (
            "a:\n  b: 1\n c: 2\n",
            "f, line 3, column 2: the indentation of this line matches none of the "
            "lines above",
        ),
        (
            " a: 1\nb: 2\n",
            "f, line 2, column 1: the indentation of this line matches none of the "
            "lines above",
        ),
        (
            "a:\n\tb: 1\n",
            "f, line 2, column 1: a line must be indented with blanks, not with a tab",
        ),
        (
            "a: b: c\n",
            "f, line 1, column 5: a value that contains ': ' must be in quotes",
        ),
        (
            "a: - b\n",
            "f, line 1, column 4: a list with '- ' must begin in the line below its "
            "key",
        ),
        (
            "a: 'x' y\n",
            "f, line 1, column 8: unexpected text after the end of the value",
        ),
        (
            "a: @x\n",
            "f, line 1, column 4: a value that begins with '@' must be in quotes",
        ),
        (
            "a: *\n",
            "f, line 1, column 4: a value that begins with '*' must be in quotes",
        ),
        (
            'a: "C:\\storm"\n',
            "f, line 1, column 8: '\\s' means nothing in double quotes; write '\\\\' "
            "for a backslash",
        ),
        (
            "a: [x]]\n",
            "f, line 1, column 7: ']' is not expected here; text that contains it must "
            "be in quotes",
        ),
        (
            "a: {{ x }}\n",
            "f, line 1, column 5: a list or mapping cannot be a key; is a value with "
            "'{' not in quotes?",
        ),
        (
            'a: "x"\t"y"\n',
            "f, line 1, column 7: a tab is not allowed here; write a blank",
        ),
    ],
)
def test_mistake_is_named_with_its_remedy(text: str, error: str) -> None:
    """What the grammar expected is put as what to write, where that is known."""
    assert error_of(text) == error


def test_error_quotes_no_value() -> None:
    """A line at fault may hold a password: only the key is in the error."""
    for text in (
        "a: 1\nhunter2 x\n",
        "a: 1\nstorm.zookeeper.auth.payload:hunter2\n",
        "storm.zookeeper.auth.payload:hunter2\n",
        'storm.zookeeper.auth.payload: "hunter2\nb: "y"\n',
    ):
        assert "hunter2" not in error_of(text)
