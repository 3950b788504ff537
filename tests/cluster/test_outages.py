"""The only Pacemaker of a cluster stops and starts again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack

import pytest

from tests.cluster import outages
from tests.cluster.cluster import Cluster, Setup
from tests.cluster.conftest import settled_cluster
from tests.cluster.hosts import Host
from tests.cluster.observation import Observation, keep_ports
from tests.cluster.outages import Site, Try
from tests.cluster.pacemakers import Kind

SURVIVED_S = 60
"""So long Nimbus of 2.x surely waits for its only Pacemaker."""

HARMLESS_S = 5
"""So long an outage has moved nothing, where the port is closed."""


def _parameters() -> list[object]:
    """Return what is to be tried, less what has been."""
    resumes = os.environ.get("ALL") == "1"
    parameters: list[object] = []
    for site, one in outages.planned():
        done = resumes and outages.is_tried(site, one)
        skip = pytest.mark.skipif(done, reason="tried before: its figures are kept")
        parameters.append(pytest.param(site, one, id=f"{one}-{site}", marks=skip))
    return parameters


pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(1800),
    pytest.mark.parametrize(("site", "one"), _parameters()),
]


class Sites:
    """Gives the clusters of the sites, one at a time."""

    def __init__(self, parts: ExitStack) -> None:
        self._parts = parts
        self._site: Site | None = None

    def cluster_of(self, site: Site) -> Cluster:
        """Return the site's cluster; that of another one is taken down."""
        if site != self._site:
            self._site = None
            self._parts.close()
            self._cluster = self._parts.enter_context(_cluster_of(site))
            self._site = site
        return self._cluster


def _cluster_of(site: Site) -> AbstractContextManager[Cluster]:
    setup = Setup(site.release, kind=site.kind, serve_options=site.serve_options)
    return settled_cluster(setup, [Host()])


@pytest.fixture(scope="module")
def sites() -> Iterator[Sites]:
    """Give the clusters, and take the last one down."""
    with ExitStack() as parts:
        yield Sites(parts)


@pytest.fixture
def running(sites: Sites, site: Site) -> Cluster:
    """Give the cluster of a try."""
    return sites.cluster_of(site)


def test_only_pacemaker_is_away(cluster: Cluster, site: Site, one: Try) -> None:
    """No outage moves a worker, where the port is kept and misses are held.

    Elsewhere a short one does not; and after any, Nimbus is its old self by
    itself.  (That of 1.x ends when it finds the only Pacemaker gone, that of
    2.x when it has not had an answer for a hundred seconds and more.)
    """
    keep_ports(cluster, one.kept)
    with Observation(cluster) as seen:
        cluster.wait_for_place(one.place_s)
        seen.event()
        if one.is_upgrade:
            cluster.pacemakers[0].upgrade()
        else:
            cluster.pacemakers[0].go_away(one.how, one.outage_s)
        seen.over()
        outcome = seen.outcome()
    outages.record(site, one, outcome, seen.away_s)
    if one.is_upgrade:
        assert not outcome.flow.lost, outcome
    if one.outage_s <= SURVIVED_S and not cluster.is_1x:
        assert not outcome.nimbus_ended, outcome
    harmless = one.outage_s <= HARMLESS_S and site.kind is Kind.OURS
    if harmless or (one.kept and site.holds):
        assert outcome.nothing_moved, outcome
