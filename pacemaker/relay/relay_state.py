"""What an upgrade of a relay carries over besides connections and heartbeats.

It is JSON, compressed.  The links reopen, so the newest heartbeat of every connected
worker is sent again.  Only three things must not be lost: which connection wrote each
heartbeat, the deletes that a Pacemaker has missed, and the times that were answered.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass, field
from typing import Any

from pacemaker.errors import StateError
from pacemaker.relay.backend import RelayBackend
from pacemaker.relay.core.outbox import OutgoingDelete
from pacemaker.relay.links_thread import LinksThread


@dataclass(frozen=True)
class RelayState:
    """What is carried over.

    Attributes:
        keys_by_peer: the keys that each connection has written, by its name.
        deletes: for each Pacemaker, by its address: path, whether all below it is
            meant, and when it was asked for (CLOCK_MONOTONIC).
        times: the times that were answered, by key.
    """

    keys_by_peer: dict[str, list[str]] = field(default_factory=dict)
    deletes: dict[str, list[tuple[str, bool, float]]] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)


def collect(links: LinksThread) -> RelayState:
    """Return the state of a relay whose threads are parked."""
    keys_by_peer: dict[str, list[str]] = {}
    for key, writer in links.relay.writers.connected.items():
        if isinstance(writer, RelayBackend):
            keys_by_peer.setdefault(writer.name, []).append(key)
    return RelayState(
        keys_by_peer,
        {
            str(address): [
                (delete.path, delete.is_tree, delete.asked_s)
                for delete in outbox.kept_deletes()
            ]
            for address, outbox in zip(
                links.addresses, links.relay.outboxes, strict=True
            )
        },
        dict(links.relay.answered_times.items()),
    )


def restore(state: RelayState, links: LinksThread) -> None:
    """Restore a state into links that have not been started."""
    for address, outbox in zip(links.addresses, links.relay.outboxes, strict=True):
        for path, is_tree, asked_s in state.deletes.get(str(address), ()):
            outbox.delete(OutgoingDelete(path, is_tree, asked_s))
    for key, time_secs in state.times.items():
        links.relay.answered_times.note(key, time_secs)


def encode(state: RelayState) -> bytes:
    """Write a state."""
    return zlib.compress(json.dumps(asdict(state)).encode(), 1)


def decode(data: bytes) -> RelayState:
    """Read a state; no bytes at all are an empty one.

    Raises:
        StateError: the bytes are not the state of a relay.
    """
    if not data:
        return RelayState()
    try:
        read: dict[str, Any] = json.loads(zlib.decompress(data))
        return RelayState(**read)
    except (zlib.error, ValueError, TypeError) as exc:
        raise StateError("the state of the relay cannot be read", str(exc)) from exc
