"""New connections on their way to an I/O thread."""

from __future__ import annotations

import socket
from unittest.mock import sentinel

from pacemaker.core.accounts.account import Account
from pacemaker.server.io.handoff import AcceptedSocket, HandoffQueue
from pacemaker.server.upgrade_state import PeerAddress

_NO_SOCKET: socket.socket = sentinel.sock


def _add(arrivals: HandoffQueue, account: Account, *peers: str) -> None:
    for peer in peers:
        arrivals.add(AcceptedSocket(_NO_SOCKET, PeerAddress(peer, 1), account, 1))


def test_accounts_are_taken_in_turn() -> None:
    """A new worker does not wait for a thousand connections from another address.

    Nor does it wait for those of its own that came before it.
    """
    arrivals = HandoffQueue()
    crowd, worker, late = (Account(name) for name in ("crowd", "worker", "late"))
    _add(arrivals, crowd, "c1", "c2", "c3", "c4")
    _add(arrivals, worker, "w1")
    taken = [arrivals.take().peer.host for _ in range(2)]
    _add(arrivals, late, "l1")
    _add(arrivals, worker, "w2")
    taken += [arrivals.take().peer.host for _ in range(5)]
    assert taken == ["c4", "w1", "c3", "l1", "w2", "c2", "c1"]
    assert not arrivals
