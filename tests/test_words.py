"""Tests of pacemaker.words."""

from __future__ import annotations

import pytest

from pacemaker.words import counted


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 keys"), (1, "1 key"), (2, "2 keys"), (-1, "-1 keys"), (1200, "1,200 keys")],
)
def test_noun_agrees_with_its_number(number: int, text: str) -> None:
    """One is singular; everything else is plural, nothing at all too."""
    assert counted(number, "key", ",") == text
