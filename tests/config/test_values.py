"""Tests of pacemaker.config.values: which values a key may have."""

from __future__ import annotations

import pytest

from pacemaker.config.values import PORT_MAX, WrongValueError, integer


@pytest.mark.parametrize("value", [1, 2, PORT_MAX])
def test_integer_may_be_either_bound(value: int) -> None:
    """The bounds are allowed, like everything between them."""
    assert integer(1, PORT_MAX)(value) == value


@pytest.mark.parametrize("value", [0, PORT_MAX + 1, -1, True, 1.0, "1", None])
def test_integer_is_refused_outside_its_bounds(value: object) -> None:
    """So is what is no integer; the error names both bounds."""
    with pytest.raises(WrongValueError, match=rf"1\b.*\b{PORT_MAX}\b"):
        integer(1, PORT_MAX)(value)
