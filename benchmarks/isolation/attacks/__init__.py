"""All attacks, by what the attackers send: each module has those of one kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from benchmarks.isolation.attack import Attack
from benchmarks.isolation.attacks import (
    connections,
    fields,
    pulses,
    reads,
    responses,
    sasl,
    store,
)

_ALL: Final = (
    *responses.ATTACKS,
    *fields.ATTACKS,
    *pulses.ATTACKS,
    *reads.ATTACKS,
    *store.ATTACKS,
    *connections.ATTACKS,
    *sasl.ATTACKS,
)

# By name.
ATTACKS: Final[Mapping[str, Attack]] = {attack.name: attack for attack in _ALL}
