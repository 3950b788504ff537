"""Heartbeats of a run: Storm's own, which change from beat to beat."""

from __future__ import annotations

import random

from pacemaker.heartbeats import codec
from pacemaker.heartbeats.model import BoltStats, SpoutStats
from pacemaker.simulate.heartbeats import BEATS, pools
from pacemaker.simulate.shape import ClusterShape

SHAPE = ClusterShape(
    supervisors=1, workers=1, executors=10, topologies=2, interval_s=3.0
)
RNG = random.Random(1)  # noqa: S311  (no secret)
POOLS = pools(SHAPE, ["a-1-1", "b-2-1"], 1700000000, RNG)


def test_values_are_heartbeats_of_the_topology() -> None:
    """Each is gzipped, as Storm 2.x writes, and has the shape's executors."""
    assert [len(pool) for pool in POOLS] == [BEATS, BEATS]
    for topology_id, pool in zip(("a-1-1", "b-2-1"), POOLS, strict=True):
        for details in pool:
            assert details.startswith(b"\x1f\x8b")
            beat = codec.decode(details)
            assert beat.topology_id == topology_id
            assert len(beat.executors) == 10
            kinds = {type(stats.specific) for stats in beat.executors.values()}
            assert kinds == {BoltStats, SpoutStats}


def test_values_change_from_beat_to_beat() -> None:
    """Time and uptime go on by the interval, the counts grow, no two are the same."""
    beats = [codec.decode(details) for details in POOLS[0]]
    assert [beat.time_secs - 1700000000 for beat in beats] == [
        3 * number for number in range(BEATS)
    ]
    assert beats[5].uptime_secs - beats[0].uptime_secs == 15
    first, last = (next(iter(beats[at].executors.values())) for at in (0, -1))
    assert first.emitted[":all-time"]["default"] < last.emitted[":all-time"]["default"]
    assert len({details for pool in POOLS for details in pool}) == 2 * BEATS


def test_counts_are_sampled_as_storms_are() -> None:
    """The rate is the factor by which the counts are multiplied, 20 by default."""
    for stats in codec.decode(POOLS[0][0]).executors.values():
        assert stats.rate == 20.0
        counts = [each for by in stats.emitted.values() for each in by.values()]
        assert all(count % 20 == 0 for count in counts)
        assert any(counts)


def test_size_is_that_of_real_heartbeats() -> None:
    """One of 10 executors has about 5 KB, as Storm's have."""
    assert all(4500 < len(details) < 6500 for details in POOLS[0])
