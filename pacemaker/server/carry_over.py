"""What an upgrade reads from the old daemon's parts and puts into the new one's."""

from __future__ import annotations

import contextlib
import itertools
import logging
import socket
import sys
from collections.abc import Collection, Iterable
from typing import Final

from pacemaker.core.history.history import History
from pacemaker.core.history.record import ConnectionEnd, PeerRecord
from pacemaker.core.store.store import Store
from pacemaker.errors import LimitError
from pacemaker.server import limits
from pacemaker.wire.fast_codec import PULSE_OVERHEAD_BYTES

_logger: Final = logging.getLogger(__name__)


def sample_heartbeats(store: Store) -> list[tuple[str, bytes]]:
    """Return a few heartbeats that are not large, for the trial."""
    small = (
        (key, value)
        for key, value in store.items()
        if len(value) <= limits.SAMPLED_BYTES
    )
    # The I/O threads continue to store, and that may end the iteration like this.
    with contextlib.suppress(RuntimeError):
        return list(itertools.islice(small, limits.SAMPLED_HEARTBEATS))
    return []


def restore_heartbeats(
    store: Store, heartbeats: Iterable[tuple[str, bytes]], max_body_bytes: int
) -> None:
    """Store the heartbeats from before an upgrade.

    All are kept, even if the budget is smaller now: as with a known key, no worker may
    be taken for dead because of it.  The only ones dropped are those too large for a
    reply under a lower `pacemaker.thrift.message.size.max`, and those whose key this
    release does not take any more.
    """
    budget_bytes, store.budget_bytes = store.budget_bytes, sys.maxsize
    most_bytes = max_body_bytes - PULSE_OVERHEAD_BYTES
    for key, value in heartbeats:
        if len(value) + len(key.encode()) > most_bytes:
            _logger.warning("%s: dropped, because it no longer fits in a reply", key)
            continue
        try:
            store.put(key, value)
        except LimitError as exc:
            _logger.warning("dropped a heartbeat: %s", exc)
    store.budget_bytes = budget_bytes


def restore_history(
    history: History | None, data: bytes, peers: Collection[str], now_s: float
) -> dict[str, PeerRecord]:
    """Load the history from before an upgrade, if there is one now and then.

    Args:
        history: the history; None if there is none now.
        data: what there was before.
        peers: the names of the peers whose connections are carried over.  The upgrade
            has reset the others.
        now_s: the monotonic time.

    Returns:
        What the history knows of the connections that are carried over, by the names of
        the peers.  Their ends have to be noted there.
    """
    if history is None or not data:
        return {}
    try:
        history.load(data)
    except ValueError as exc:
        _logger.warning("the history starts empty: %s", exc)
        return {}
    carried: dict[str, PeerRecord] = {}
    for record in history.records.values():
        writer = record.writer
        if writer.end is not ConnectionEnd.OPEN:
            continue
        if writer.peer in peers:
            carried[writer.peer] = writer
        else:
            writer.end, writer.ended_s = ConnectionEnd.RESET, now_s
    return carried


def restore_socket(fd: int) -> socket.socket:
    """Return the socket of a connection from before an upgrade."""
    # The kernel keeps the non-blocking mode across execve.  The family only matters for
    # reading addresses, which nobody does; detecting it would take three system calls
    # for each connection.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fd)
    sock.set_inheritable(False)
    return sock
