"""Tests of pacemaker.server.process.garbage, and of what it relies on."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from functools import partial

import pytest

from pacemaker.server.io.connection import Connection
from pacemaker.server.process.garbage import avoid_full_collections
from tests.server.io.hand import Hand
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type


@pytest.fixture(autouse=True)
def thresholds() -> Iterator[None]:
    """Disable automatic collections during a test, and restore the thresholds."""
    before = gc.get_threshold()
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    gc.set_threshold(*before)


def has_read(connection: Connection) -> bool:
    """Return whether a connection has read what its peer sent."""
    protocol = connection.protocol
    return protocol.frames.frames_received > 0 or protocol.error is not None


def test_full_collections_are_put_off_for_good() -> None:
    """Young objects are collected as before, and soon those that survive."""
    young, _, _ = gc.get_threshold()
    avoid_full_collections()
    assert gc.get_threshold() == (young, 2, 2**31 - 1)


@pytest.mark.io
@pytest.mark.parametrize(
    "frame",
    [
        wire.send_pulse("/w/t/1", b"beat", 1) * 3,
        wire.path_request(Type.GET_PULSE, "/w/t/1", 1),
        wire.path_request(Type.GET_ALL_NODES_FOR_PATH, "/w", 1),
        wire.path_request(Type.DELETE_PATH, "/w", 1),
        wire.framed(b"\0"),
    ],
    ids=["pulses", "read", "list", "delete", "malformed"],
)
def test_connections_leave_no_cycles(frame: bytes) -> None:
    """A connection's memory is freed when it ends, without a collection."""
    # What other tests have left is not this test's.  A finalizer that runs in one
    # collection may leave something for the next.
    while gc.collect():
        pass
    with Hand() as hand:
        for _ in range(20):
            peer, connection = hand.connect()
            peer.send(frame)
            hand.turn_until(partial(has_read, connection))
            peer.close()
            del connection
            hand.after(5)
            hand.after(5)
        hand._peers.clear()
        assert not hand.thread.connections
        assert gc.collect() == 0
