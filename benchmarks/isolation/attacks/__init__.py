"""The attacks: a table, of which each module has a part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from benchmarks.isolation.attack import Attack
from benchmarks.isolation.attacks import connections, fields, pulses, responses

_ALL: Final = (
    responses.STREAM,
    responses.BURST,
    *fields.ATTACKS,
    *pulses.ATTACKS,
    *connections.ATTACKS,
)

ATTACKS: Final[Mapping[str, Attack]] = {attack.name: attack for attack in _ALL}
"""All attacks, by name."""
