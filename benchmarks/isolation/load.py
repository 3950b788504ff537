"""The description of the honest load, which is passed to the process that runs it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

PATIENCE_S: Final = 11.0


@dataclass(frozen=True)
class HonestLoad:
    """The load of the honest peers.

    Attributes:
        host: the daemon's address.
        port: the daemon's port.
        addresses: the addresses of the peers, used in turn; the first is Nimbus's.
        workers: the number of workers, each with a connection and a key.
        period_s: the time between two pulses of a worker.
        value_bytes: the size of a pulse's value.
        reads_per_s: the reads of Nimbus, one after another on one connection.
        list_every_s: the time between two lists of Nimbus.
        joins_per_s: the new workers, each with a new connection and a new key.
        large_bytes: the size of the pulses from a slow relay; 0 for no relay.
        late_per_s: the reads of keys that are written 1 s later; 0 for none.
        logins_per_s: the DIGEST logins; 0 for none.
        secret: the secret of DIGEST, with which Nimbus then logs in; "" for no DIGEST.
        patience_s: the time after which a request is lost.  Storm's client asks 11
            times, once each second.
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
