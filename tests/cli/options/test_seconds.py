"""Tests of pacemaker.cli.options.seconds."""

from __future__ import annotations

import click
import pytest

from pacemaker.cli import main
from pacemaker.cli.options.seconds import TIMEOUT, Seconds


@pytest.mark.parametrize(("text", "seconds"), [("0.5", 0.5), ("3600", 3600.0)])
def test_seconds_within_the_range_are_taken(text: str, seconds: float) -> None:
    """As by any option that takes a number."""
    assert TIMEOUT.convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["nan", "-nan", "inf", "1e300", "3601", "0", "x"])
def test_other_seconds_are_refused(text: str) -> None:
    """A deadline that is NaN would never come, and a socket refuses a long timeout."""
    with pytest.raises(click.BadParameter) as caught:
        TIMEOUT.convert(text, None, None)
    assert "number" in caught.value.message or "range" in caught.value.message


def test_every_option_in_seconds_has_this_type() -> None:
    """Click's own type lets NaN pass."""
    options = (each for command in main.commands.values() for each in command.params)
    types = [each.type for each in options if isinstance(each.type, click.FloatRange)]
    assert len(types) > 5
    assert all(isinstance(each, Seconds) and each.max is not None for each in types)
