"""The shape of a cluster: keys like Storm's, of recognisable topologies."""

from __future__ import annotations

import random
import re

from pacemaker.simulate.shape import ClusterShape, plan_workers, topology_ids

RNG = random.Random(1)  # noqa: S311  (no secret)
SHAPE = ClusterShape(
    supervisors=5, workers=4, executors=2, topologies=3, interval_s=3.0
)
KEY = re.compile(
    r"/workerbeats/storm-pacemaker-simulation-[1-3]-1700000000"
    r"/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-670[0-3]"
)


def test_keys_are_like_storms() -> None:
    """Each worker has its own key: topology, supervisor, port; of a usual length."""
    found = plan_workers(SHAPE, topology_ids(SHAPE, 1700000000), RNG)
    keys = {worker.key for worker in found}
    assert len(keys) == len(found) == SHAPE.workers_in_all == 20
    assert all(KEY.fullmatch(key) and 80 <= len(key) <= 130 for key in keys)
    supervisors = {key.rpartition("-")[0].rpartition("/")[2] for key in keys}
    assert len(supervisors) == 5


def test_workers_belong_to_topologies_by_turns() -> None:
    """Each topology has its share of the workers, and its number is its key's."""
    ids = topology_ids(SHAPE, 1700000000)
    found = plan_workers(SHAPE, ids, RNG)
    assert [worker.topology for worker in found[:4]] == [0, 1, 2, 0]
    assert all(ids[worker.topology] in worker.key for worker in found)
    for topology in range(3):
        numbers = [worker.number for worker in found if worker.topology == topology]
        assert numbers == list(range(SHAPE.workers_of(topology)))


def test_workers_behind_a_relay_share_its_connection() -> None:
    """So 50,000 workers of 5,000 hosts need no more descriptors than a process has."""
    shape = ClusterShape(
        supervisors=5000,
        workers=10,
        executors=4,
        topologies=10,
        interval_s=3.0,
        has_relays=True,
    )
    assert shape.workers_in_all == 50_000
    assert shape.connections == 5000


def test_shape_says_its_rate() -> None:
    """20 workers that send every 3 s send 6.7 pulses a second."""
    assert SHAPE.pulses_per_s == 20 / 3
    assert str(SHAPE) == "5 supervisors with 4 workers each, 2 executors in a worker"
