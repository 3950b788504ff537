"""Tests of core.protocol.fast_paths."""

from __future__ import annotations

import pytest

from pacemaker.core.accounts.account import UNKNOWN_PEER
from pacemaker.core.figures import Figures
from pacemaker.core.history.record import PeerRecord
from pacemaker.core.protocol.dispatch import Dispatcher
from pacemaker.core.protocol.fast_paths import BYTES_PER_COST, FastPaths
from pacemaker.core.protocol.outgoing import Outgoing
from pacemaker.core.protocol.pulse_fast_path import MAX_KEY_CHARACTERS, PulseFastPath
from pacemaker.core.protocol.read_fast_path import ReadFastPath
from pacemaker.core.store.store import Store
from pacemaker.wire.frames import FrameReader
from tests.wire import by_hand as wire
from tests.wire.by_hand import send_pulse

LIMIT = 2**20
PULSE = send_pulse("/a", b"beat", 5)
OTHER = send_pulse("/b", b"beat", 5)


def new_paths(store: Store | None = None) -> FastPaths:
    """Return the paths of a new connection."""
    dispatcher = Dispatcher(Store() if store is None else store, Figures(), LIMIT)
    return FastPaths(dispatcher, UNKNOWN_PEER, PeerRecord(""))


def worker(key: str = "/a", store: Store | None = None) -> FastPaths:
    """Return the paths of a connection that has sent two pulses to a key."""
    paths = new_paths(store)
    paths.note_pulse(key)
    paths.note_pulse(key)
    return paths


def unread(*pieces: bytes) -> FrameReader:
    """Return a reader that has received some bytes."""
    frames = FrameReader(LIMIT)
    for piece in pieces:
        frames.receive(piece)
    return frames


@pytest.mark.parametrize(
    ("keys", "is_worker"),
    [("a", False), ("ab", False), ("aba", False), ("aa", True), ("baa", True)],
)
def test_two_consecutive_pulses_to_one_key_make_a_worker(
    keys: str, is_worker: bool
) -> None:
    """A peer that writes a different key each time is none."""
    paths = new_paths()
    for key in keys:
        paths.note_pulse(key)
    assert isinstance(paths.first, PulseFastPath) == is_worker


def test_worker_of_another_key_takes_that_keys_path() -> None:
    """Two pulses to the new key change it, and one does not."""
    paths = worker("/a")
    first = paths.first
    paths.note_pulse("/b")
    assert paths.first is first
    paths.note_pulse("/b")
    assert isinstance(paths.first, PulseFastPath)
    assert paths.first.key == "/b"


def test_key_may_not_be_too_long() -> None:
    """The constant bytes of its pulses would take too much memory."""
    longest = "/" + "k" * (MAX_KEY_CHARACTERS - 1)
    assert worker(longest).first is not None
    assert worker(longest + "k").first is None


def test_reader_takes_the_path_of_reads_unless_it_is_a_worker() -> None:
    """A worker reads nothing; whoever does both is answered as a worker."""
    paths = new_paths()
    paths.note_read()
    reads = paths.first
    assert isinstance(reads, ReadFastPath)
    paths.note_read()
    assert paths.first is reads
    paths.note_pulse("/a")
    paths.note_pulse("/a")
    assert isinstance(paths.first, PulseFastPath)


def test_nothing_is_known_once_cleared() -> None:
    """Neither a worker nor a reader."""
    paths = worker()
    paths.note_read()
    paths.clear()
    assert paths.first is None
    assert paths.answer_pulses(unread(PULSE), Outgoing()) == 0


def test_pulses_are_answered_together_at_one_cost() -> None:
    """Up to the first request that is no pulse to the key."""
    store = Store()
    paths, outgoing = worker(store=store), Outgoing()
    frames = unread(PULSE * 3 + OTHER)
    one = paths.answer_pulses(unread(PULSE), Outgoing())
    assert paths.answer_pulses(frames, outgoing) == one > 0
    assert b"".join(outgoing.take()) == wire.ack(5, 5) * 3
    assert (frames.unread_bytes, store.get("/a")) == (len(OTHER), b"beat")
    assert paths.answer_pulses(frames, outgoing) == 0
    assert not outgoing.chunks


def test_large_pulse_in_pieces_costs_more_the_larger_it_is() -> None:
    """It is answered where its pieces are."""
    store, outgoing = Store(), Outgoing()
    paths = worker(store=store)
    large = send_pulse("/a", b"x" * 4 * BYTES_PER_COST, 5)
    frames = unread(large[:70_000], large[70_000:])
    assert paths.answer_pulses(frames, outgoing) == 5
    assert (frames.unread_bytes, outgoing.chunks) == (0, [wire.ack(5, 5)])
    assert store.get("/a") == b"x" * 4 * BYTES_PER_COST


def test_incomplete_large_pulse_waits() -> None:
    """Nothing is done before its last byte."""
    large = send_pulse("/a", b"x" * 4 * BYTES_PER_COST, 5)
    frames = unread(large[:70_000], large[70_000:-1])
    assert worker().answer_pulses(frames, Outgoing()) == 0
    assert frames.unread_bytes == len(large) - 1
