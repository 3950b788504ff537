"""Sizes of memory as people write them: 512M, 1G, 1048576."""

from __future__ import annotations

import re
from typing import Final

import click

_UNITS: Final = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
_SIZE: Final = re.compile(r"([0-9]{1,15})([KMGT]?)(?:i?B)?", re.IGNORECASE)
_MAX_BYTES: Final = 2**63 - 1


def parse_size(text: str) -> int:
    """Return the bytes of a size such as 512M, 1GiB or 1048576.

    Units are powers of 1024.  A B or iB after the unit changes nothing.

    Raises:
        click.BadParameter: the text is not a size above 0.

    """
    match = _SIZE.fullmatch(text.strip())
    size_bytes = int(match[1]) << _UNITS[match[2].upper()] if match else 0
    if not 0 < size_bytes <= _MAX_BYTES:
        raise click.BadParameter(
            f"{text!r} is not a size above 0, such as 512M, 1G or 1048576"
        )
    return size_bytes
