"""Heartbeats that are compressed once: a worker stores what Storm would write."""

from __future__ import annotations

import dataclasses
import gzip
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacemaker.heartbeats import codec
from pacemaker.heartbeats.compression import Compression
from pacemaker.heartbeats.model import ExecutorInfo, WorkerHeartbeat
from pacemaker.simulate.prepared_heartbeats import PreparedHeartbeats
from tests.observe.made_up import bolt, spout

EPOCH_S = 1_700_000_000.0
UPTIME_SECS = 500
RNG = random.Random(1)  # noqa: S311  (no secret)


def heartbeat(factor: int) -> WorkerHeartbeat:
    """Return a heartbeat of three executors."""
    stats = [bolt(executed=17 * factor), spout(3 * factor), bolt(execute_ms=factor)]
    executors = {ExecutorInfo(n, n): each for n, each in enumerate(stats, 1)}
    return WorkerHeartbeat("words-1-1", int(EPOCH_S), UPTIME_SECS, executors)


BEATS = [heartbeat(factor) for factor in (1, 2, 3)]
POOL = PreparedHeartbeats(BEATS, EPOCH_S)

tasks = st.integers(1, 2**31 - 1).map(lambda task: ExecutorInfo(task, task))


@given(
    st.lists(tasks, min_size=3, max_size=3, unique=True),
    st.integers(0, 5),
    st.integers(0, 10_000),
)
def test_beat_is_the_heartbeat_with_other_tasks_and_time(
    infos: list[ExecutorInfo], number: int, scheduled_s: int
) -> None:
    """It unpacks to the very bytes of Storm's serializer, checksum included."""
    expected = BEATS[(1 + number) % 3]
    expected = dataclasses.replace(
        expected,
        time_secs=int(EPOCH_S) + scheduled_s,
        uptime_secs=UPTIME_SECS + scheduled_s,
        executors=dict(zip(infos, expected.executors.values(), strict=True)),
    )
    beat = POOL.of_worker(infos, 1).at(number, scheduled_s + 0.5)
    assert gzip.decompress(beat) == codec.encode(expected, Compression.NONE)


def test_sizes_are_those_of_the_beats() -> None:
    """They are known without a worker, as the length of each beat is the same."""
    beats = POOL.of_worker(BEATS[0].executors, 0)
    assert POOL.sizes_bytes == [len(beats.at(number, 0.0)) for number in range(3)]


def test_worker_knows_its_own_beats_alone() -> None:
    """Another worker's, a shortened and a damaged one are none of them."""
    own = POOL.of_worker(BEATS[0].executors, 0)
    other = POOL.of_worker([ExecutorInfo(n, n) for n in (7, 8, 9)], 0)
    beat = own.at(2, 44.0)
    assert beat in own
    assert beat not in other
    assert beat[:-1] not in own
    assert b"" not in own


@pytest.mark.parametrize("place", [0, 15, -24, -20, -12, -6, -1])
def test_damaged_beat_is_not_the_workers(place: int) -> None:
    """A changed bit is found in the header, the data, the time and the checksum."""
    own = POOL.of_worker(BEATS[0].executors, 0)
    beat = bytearray(own.at(RNG.randrange(3), 44.0))
    beat[place] ^= 1
    assert bytes(beat) not in own
