"""What the honest peers do, as the process that does it is told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

PATIENCE_S: Final = 11.0


@dataclass(frozen=True)
class HonestLoad:
    """The honest peers.

    Attributes:
        host: the daemon's address.
        port: its port.
        addresses: where they come from, in turn; the first is Nimbus's.
        workers: each with a connection and a key.
        period_s: between two pulses of a worker.
        value_bytes: of a pulse.
        reads_per_s: of Nimbus, one after another over one connection.
        list_every_s: between two lists of Nimbus.
        joins_per_s: new workers, each with a new connection and a new key.
        large_bytes: pulses of this size come from a slow relay; 0 for none.
        late_per_s: reads of keys that are written 1 s later; 0 for none.
        logins_per_s: DIGEST logins; 0 for none.
        secret: of DIGEST, which Nimbus then needs; or nothing.
        patience_s: after which a request is lost; Storm's client asks 11 times,
            each second once.
    """

    host: str
    port: int
    addresses: Sequence[str]
    workers: int = 1000
    period_s: float = 3.0
    value_bytes: int = 2048
    reads_per_s: float = 100.0
    list_every_s: float = 2.0
    joins_per_s: float = 4.0
    large_bytes: int = 0
    late_per_s: float = 0.0
    logins_per_s: float = 0.0
    secret: str = ""
    patience_s: float = PATIENCE_S

    def to_json(self) -> str:
        """Return what `from_json` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> HonestLoad:
        """Read what `to_json` wrote."""
        return cls(**json.loads(text))
