"""Sizes of memory as people write them."""

from __future__ import annotations

import click
import pytest

from pacemaker.cli.options.sizes import parse_size


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("1", 1),
        ("1048576", 2**20),
        ("512M", 512 * 2**20),
        ("1g", 2**30),
        ("1GiB", 2**30),
        ("64KB", 65536),
        ("2T", 2**41),
        (" 5B ", 5),
    ],
)
def test_size_is_read(text: str, size_bytes: int) -> None:
    """A number and a unit, a power of 1024, are so many bytes."""
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize(
    "text", ["", "0", "0M", "-1", "1.5G", "M", "1P", "1 G", "9" * 16, "9" * 15 + "T"]
)
def test_size_is_refused(text: str) -> None:
    """What is no size above 0 is refused by an error that shows how to write one."""
    with pytest.raises(click.BadParameter) as caught:
        parse_size(text)
    assert f"{text!r} is not a size above 0, such as 512M" in caught.value.message
