"""The events of `test_relays` without relays: what they spare a cluster of 2.8.3."""

from __future__ import annotations

import pytest

from tests.cluster.cluster import Cluster, Setup
from tests.cluster.conftest import Record
from tests.cluster.observation import Observation, keep_ports
from tests.cluster.pacemaker_events import EVENTS, Event
from tests.cluster.pacemakers import Kind
from tests.cluster.releases import RELEASES, only_with_all
from tests.cluster.two_hosts import make_hosts, number

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(1800),
    only_with_all,
    pytest.mark.parametrize("release", RELEASES[:1], scope="module"),
]

__all__ = ["make_hosts", "number"]

WORKERS = 6


@pytest.fixture(scope="module")
def setup(release: str, kind: Kind) -> Setup:
    """Say what kind of cluster: that of the relays, without them."""
    return Setup(release, workers=WORKERS, kind=kind)


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS.keys())
def test_workers_notice(cluster: Cluster, recording: Record, event: Event) -> None:
    """Heartbeats are lost, which shows that the observation of relays would see it."""
    keep_ports(cluster, False)
    with Observation(cluster) as seen:
        one, other = cluster.pacemakers
        if len(seen.heartbeats.writers(one.address)) < WORKERS / 2:
            one, other = other, one
        event.happen(one, other)
        seen.over()
        outcome = seen.outcome()
    recording(event.scenario("without relays"), outcome)
    assert outcome.flow.lost, outcome
