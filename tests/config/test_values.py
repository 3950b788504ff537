"""Tests of pacemaker.config.values: single values, without keys and files.

test_layers.py tests the errors with the key and the file.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pacemaker.config import values
from pacemaker.config.settings import AuthMethod
from pacemaker.config.values import HiddenValue, ShownValue, WrongValueError
from pacemaker.config.yaml_reader import Timestamp


@pytest.mark.parametrize("value", [2, 5])
def test_integer_may_be_either_bound(value: int) -> None:
    """Both ends are allowed."""
    assert values.integer(2, 5)(value) == value


@pytest.mark.parametrize("value", [1, 6, 3.0, True, None, [3]])
def test_integer_outside_its_bounds_is_refused(value: object) -> None:
    """The error names the bounds."""
    with pytest.raises(WrongValueError, match=r"^must be an integer from 2 to 5$"):
        values.integer(2, 5)(value)


def test_integer_in_quotes_is_told_so() -> None:
    """The usual slip has an error of its own."""
    with pytest.raises(WrongValueError, match="2 to 5, without quotes"):
        values.integer(2, 5)("3")


def test_method_is_found_by_its_name() -> None:
    """As Storm spells it."""
    assert values.auth_method("DIGEST") is AuthMethod.DIGEST
    with pytest.raises(WrongValueError, match="NONE, DIGEST or KERBEROS"):
        values.auth_method("digest")


def test_string_that_was_not_utf8_is_refused() -> None:
    """The reader has put a mark in the place of its bytes."""
    with pytest.raises(WrongValueError, match="must be valid UTF-8"):
        values.string(f"a{values.REPLACEMENT}")


@pytest.mark.parametrize(("name", "path"), [("/a", Path("/a")), ("", None)])
def test_path_may_be_empty(name: str, path: Path | None) -> None:
    """An empty name means no file, as in Storm."""
    assert values.path(name) == path


def test_path_holds_no_nul() -> None:
    """No file has such a name."""
    with pytest.raises(WrongValueError, match="name of a file"):
        values.path("a\0b")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "null"),
        (True, "true"),
        (Timestamp("2024-01-02"), "2024-01-02"),
        ("a", "'a'"),
        (["a"] * 9, "['a', 'a', 'a', 'a', 'a', 'a', ...]"),
        (10**200, "1" + "0" * 17 + "..." + "0" * 19),
    ],
    ids=["null", "bool", "date", "text", "list", "number"],
)
def test_value_is_shown_as_yaml_writes_it(value: object, shown: str) -> None:
    """And cut, if it is long."""
    assert repr(ShownValue(value)) == shown


def test_secret_is_not_shown() -> None:
    """A word stands in its place."""
    assert repr(HiddenValue()) == "(not shown)"


def test_last_option_of_the_jvm_counts() -> None:
    """Quotes are those of a shell; a list is joined."""
    option = values.JAAS_OPTION
    assert values.jaas_option(f"{option}/a '{option}/b c'") == "/b c"
    assert values.jaas_option([f"{option}/a", "-Xmx1g"]) == "/a"
    assert values.jaas_option("-Xmx1g") is None
    with pytest.raises(WrongValueError, match="must close each quote"):
        values.jaas_option("'a")


def test_properties_of_the_jvm_keep_their_order() -> None:
    """One without a value has an empty one."""
    pairs = values.java_properties("-Da=1 -Xmx1g -Db -Da=2=3")
    assert pairs == (("a", "1"), ("b", ""), ("a", "2=3"))
