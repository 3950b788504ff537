"""What an upgrade reads from the old daemon's parts and puts into the new one's."""

from __future__ import annotations

import os
import socket

import pytest

from pacemaker.core.history.history import History
from pacemaker.core.history.record import ConnectionEnd, PeerRecord
from pacemaker.core.store.store import Store
from pacemaker.server import limits
from pacemaker.server.carry_over import (
    restore_heartbeats,
    restore_history,
    restore_socket,
    sample_heartbeats,
)
from pacemaker.wire.fast_codec import PULSE_OVERHEAD_BYTES


def test_sample_has_a_few_small_heartbeats() -> None:
    """A trial reads the format; it needs no large values for that."""
    store = Store()
    store.put("/large", bytes(limits.SAMPLED_BYTES + 1))
    store.put("/small", bytes(limits.SAMPLED_BYTES))
    assert sample_heartbeats(store) == [("/small", bytes(limits.SAMPLED_BYTES))]
    for number in range(100):
        store.put(f"/w/{number}", b"beat")
    assert len(sample_heartbeats(store)) == limits.SAMPLED_HEARTBEATS


def test_heartbeats_are_restored_whatever_their_budget_is_now(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A smaller budget drops no heartbeat; one too large for a reply is dropped."""
    store = Store(1)
    largest = 1000 - PULSE_OVERHEAD_BYTES - len("/w")
    heartbeats = [("/w", bytes(largest)), ("/v", bytes(largest + 1)), ("/u", b"x")]
    restore_heartbeats(store, heartbeats, 1000)
    assert sorted(store.items()) == [("/u", b"x"), ("/w", bytes(largest))]
    assert caplog.messages == ["/v: dropped, because it no longer fits in a reply"]
    assert store.budget_bytes == 1


def test_heartbeat_whose_key_is_not_taken_any_more_is_dropped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An older release may have stored it; the others are kept all the same."""
    store = Store()
    restore_heartbeats(store, [("/w/" + "n" * 256, b"x"), ("/u", b"x")], 1000)
    assert list(store.items()) == [("/u", b"x")]
    (message,) = caplog.messages
    assert message.startswith("dropped a heartbeat: name too long")


def test_history_that_cannot_be_read_starts_empty(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log says why; an old format must not prevent the start."""
    assert restore_history(None, b"garbage", (), 5.0) == {}
    assert restore_history(History(2**20), b"", (), 5.0) == {}
    assert not caplog.messages
    assert restore_history(History(2**20), b"garbage", (), 5.0) == {}
    (message,) = caplog.messages
    assert message.startswith("the history starts empty: ")


def test_history_goes_on_with_the_connections_that_are_carried_over() -> None:
    """How they end is noted where their heartbeats were; the others were reset."""
    before, after = History(2**20), History(2**20)
    ended = PeerRecord("10.0.0.3:1")
    for key, peer in (
        ("/w/1", PeerRecord("10.0.0.1:1")),
        ("/w/2", PeerRecord("10.0.0.2:1")),
        ("/w/3", ended),
    ):
        before.note_pulse(key, peer, 1.0, b"")
    ended.end, ended.ended_s = ConnectionEnd.FIN, 2.0
    carried = restore_history(
        after, b"".join(before.dump()), {"10.0.0.1:1", "10.0.0.3:1"}, 5.0
    )
    assert list(carried) == ["10.0.0.1:1"]
    assert carried["10.0.0.1:1"] is after.records["/w/1"].writer
    ends = [
        (record.writer.end, record.writer.ended_s) for record in after.records.values()
    ]
    assert ends == [
        (ConnectionEnd.OPEN, 0.0),
        (ConnectionEnd.RESET, 5.0),
        (ConnectionEnd.FIN, 2.0),
    ]


@pytest.mark.io
def test_socket_is_restored_by_its_number() -> None:
    """It stays non-blocking, and no program that is started inherits it."""
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    ours.set_inheritable(True)
    restored = restore_socket(ours.detach())
    peer.send(b"x")
    assert restored.recv(1) == b"x"
    assert not os.get_inheritable(restored.fileno())
    assert not os.get_blocking(restored.fileno())
    restored.close()
    peer.close()
