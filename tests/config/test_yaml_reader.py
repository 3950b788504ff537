"""storm.yaml as SnakeYAML would read it, and what it refuses."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacemaker.config.yaml_reader import (
    MAX_CHARACTERS,
    MAX_COLLECTION_ALIASES,
    MAX_DEPTH,
    MAX_NUMBER_CHARACTERS,
    Timestamp,
    parse_yaml,
)
from pacemaker.errors import ConfigError


def read(value: str) -> object:
    """Return what one plain value is read as."""
    return parse_yaml(f"key: {value}\n", "storm.yaml")["key"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("6699", 6699),
        ("015", 13),
        ("0x1A2B", 6699),
        ("0b101", 5),
        ("6_699", 6699),
        ("1:51:39", 6699),
        ("-010", -8),
        ("6699.0", 6699.0),
        ("6.7e3", 6700.0),
        ("1e3", 1000.0),
        ("1:30.5", 90.5),
        ("+.5", 0.5),
        ("-.inf", -math.inf),
        ("yes", True),
        ("OFF", False),
        ("~", None),
        ("", None),
        ("NULL", None),
        ("=", "="),
        ("08", "08"),
        ("0x", "0x"),
        ("0o17", "0o17"),
        ("y", "y"),
        ("1.2.3", "1.2.3"),
        ("'6699'", "6699"),
        ("!!str 6699", "6699"),
        ("! 6699", 6699),
        ("2024-01-02", Timestamp("2024-01-02")),
        ("2024-13-45", Timestamp("2024-13-45")),
        ("9" * (MAX_NUMBER_CHARACTERS + 1), "9" * (MAX_NUMBER_CHARACTERS + 1)),
    ],
)
def test_reader_takes_a_plain_scalar_as_snakeyaml_does(
    text: str, value: object
) -> None:
    """Each plain word has the type and the value that Storm's own parser gives it."""
    found = read(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7000\t", 7000),
        ("7000 \t # slots", 7000),
        ("a\tb", "a\tb"),
        ("a\t\n  b", "a b"),
        ("[a\t, b\t]", ["a", "b"]),
        ("\n  - a\t# c\n  - b\t", ["a", "b"]),
        ("{x\t: 1\t}", {"x": 1}),
    ],
)
def test_reader_takes_a_tab_after_a_word_for_a_blank(text: str, value: object) -> None:
    """Tabs around a plain value are no part of it, and do no harm."""
    assert read(text) == value


def test_reader_takes_the_last_of_equal_anchors() -> None:
    """An alias means the last anchor of its name that stands before it."""
    text = "a: &x 1\nb: *x\nc: &x 2\nd: *x\n"
    assert parse_yaml(text, "f") == {"a": 1, "b": 1, "c": 2, "d": 2}


def test_reader_takes_the_last_of_equal_keys() -> None:
    """A key that is there twice has its last value, as in Storm."""
    assert parse_yaml("a: 1\nb: 2\na: 3\n", "f") == {"a": 3, "b": 2}


def test_reader_merges_below_a_mappings_own_keys() -> None:
    """What a merge key brings gives way to the mapping's own, wherever it stands."""
    text = "base: &base {port: 1, host: h}\nport: 2\n<<: *base\n"
    assert parse_yaml(text, "f") == {
        "base": {"port": 1, "host": "h"},
        "port": 2,
        "host": "h",
    }


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~\n", "\ufeff"])
def test_reader_finds_nothing_in_an_empty_file(text: str) -> None:
    """A file without a value is an empty configuration."""
    assert parse_yaml(text, "f") == {}


def test_reader_leaves_out_keys_that_are_no_strings() -> None:
    """Numbers, booleans and null are no keys of Storm's."""
    assert parse_yaml("1: a\nyes: b\n~: c\nd: 2\n", "f") == {"d": 2}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: [1, 2\n", "f, line 2, column 4: cannot be read as YAML: "),
        ("a: 1\n\tb: 2\n", "f, line 2, column 1: cannot be read as YAML: "),
        ("a: @x\n", "f, line 1, column 4: "),
        ("a: *nobody\n", "found undefined alias 'nobody'"),
        ("a: 1\n---\nb: 2\n", "expected a single document in the stream, but found"),
        ("a: !!python/object:os.system x\n", "could not determine a constructor"),
        (
            "a: 1\nb: !!int x\n",
            "f, line 2, column 4: cannot be read as YAML: not a value",
        ),
        ("a: !!bool x\n", "not a value of the type !!bool"),
        ("a: ._\n", "not a value of the type !!float"),
        ("a: 1\nb: \x07\n", "f, line 2: cannot be read as YAML: the character U+0007"),
        ("- a\n- b\n", "f: must consist of lines of the form 'key: value', not a list"),
        (
            "a\n",
            "f: must consist of lines of the form 'key: value', not a single value",
        ),
        ("? [a]\n: b\n", "a list or mapping cannot be a key"),
        ("<<: 5\n", "expected a mapping or list of mappings for merging"),
    ],
)
def test_reader_refuses_with_file_and_line(text: str, problem: str) -> None:
    """What is no configuration is one error that names the file and the place."""
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "f")
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_reader_refuses_what_is_nested_too_deep() -> None:
    """The depth is bounded where SnakeYAML bounds it, and nothing recurses beyond."""
    assert read("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    for depth in (MAX_DEPTH + 1, 100_000):
        with pytest.raises(ConfigError, match="nested more than 50 deep"):
            read("[" * depth + "]" * depth)


def test_reader_refuses_a_bomb_of_aliases() -> None:
    """More aliases of collections than SnakeYAML allows are refused."""
    head = "a: &a [x]\nb: [{}]\n"
    allowed = ["*a"] * MAX_COLLECTION_ALIASES
    assert parse_yaml(head.format(", ".join(allowed)), "f")
    with pytest.raises(ConfigError, match=r"line 2, .* more than 50 aliases"):
        parse_yaml(head.format(", ".join([*allowed, "*a"])), "f")


@pytest.mark.slow
def test_reader_refuses_too_many_merged_pairs() -> None:
    """Merge keys that give more pairs than any configuration has are refused."""
    halves = [
        f"{name}: &{name} {{{', '.join(f'{name}{n}: 1' for n in range(6000))}}}"
        for name in ("a", "b")
    ]
    with pytest.raises(ConfigError, match="give more than 10000 pairs"):
        parse_yaml("\n".join([*halves, "c: {<<: [*a, *b]}"]), "f")


def test_reader_accepts_many_pairs_that_are_not_merged() -> None:
    """A large file is no bomb: its pairs are its own, with a merge key among them."""
    lines = ["base: &base {z: 1}", "<<: *base", *(f"k{n}: 1" for n in range(10_500))]
    assert len(parse_yaml("\n".join(lines), "f")) == 10_502


def test_reader_defuses_a_bomb_of_merge_keys() -> None:
    """Few aliases that would merge billions of pairs are refused, or give no more.

    PyYAML takes a pair that is merged twice for one from 6.0.4 on.
    """
    lines = ["a0: &a0 {x: 1, y: 2}"]
    for level in range(1, 17):
        alias = f"*a{level - 1}"
        lines.append(f"a{level}: &a{level} {{<<: [{alias}, {alias}, {alias}]}}")
    try:
        outcome = str(parse_yaml("\n".join(lines), "f")["a16"])
    except ConfigError as exc:
        outcome = str(exc)
    assert "give more than 10000 pairs" in outcome or outcome == "{'x': 1, 'y': 2}"


def test_reader_refuses_a_huge_integer() -> None:
    """An integer that would take long to convert and to print is an error."""
    with pytest.raises(ConfigError, match="not a value of the type !!int"):
        read("!!int 0x" + "f" * 10_000)


def test_reader_refuses_a_huge_file() -> None:
    """More characters than SnakeYAML reads are refused before they are parsed."""
    with pytest.raises(ConfigError, match="is longer than 3145728 characters"):
        parse_yaml("#" * (MAX_CHARACTERS + 1), "f")


YAML_PIECES = [
    *["a", "b", ": ", ":", "\n", "\n  ", " ", "- ", "[", "]", "{", "}", ", ", "'", '"'],
    *["&a ", "*a", "<<", "? ", "!!int ", "!!bool ", "!!set ", "!!omap ", "!!binary "],
    *["!!timestamp ", "!!float ", "!!null ", "!!str ", "!!merge ", "!!map ", "!!seq "],
    *["1", "0x", ".", "1e3", "2024-01-02", "~", "=", "#", "|", ">", "%", "@", "\x85"],
]


@given(st.lists(st.sampled_from(YAML_PIECES), max_size=25).map("".join) | st.text())
def test_reader_gives_a_mapping_or_a_config_error(text: str) -> None:
    """No text whatever makes the reader fail in another way."""
    with contextlib.suppress(ConfigError):
        assert isinstance(parse_yaml(text, "f"), dict)
