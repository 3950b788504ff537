"""Tests of pacemaker.cluster_state.factory."""

from __future__ import annotations

import dataclasses

import pytest

from pacemaker.cluster_state.acls import CREATOR_ALL
from pacemaker.cluster_state.factory import pacemaker_state_factory
from pacemaker.config.settings import Settings
from pacemaker.errors import ConfigError, NodeAccessError, UnavailableError
from pacemaker.testing import FakePool, FakeZooKeeper

BRIEF = Settings(zookeeper_connection_timeout_ms=10)


def test_state_is_connected_and_has_its_root() -> None:
    """Nodes are below storm.zookeeper.root, which is created."""
    zookeeper = FakeZooKeeper()
    settings = Settings(zookeeper_root="/storm-1")
    with pacemaker_state_factory(
        settings, pool=FakePool(), make_client=zookeeper.client
    ) as state:
        state.set_data("/a", b"one")
    above = dataclasses.replace(settings, zookeeper_root="/")
    with pacemaker_state_factory(
        above, pool=FakePool(), make_client=zookeeper.client
    ) as state:
        assert state.get_data("/storm-1/a") == b"one"


def test_pool_is_closed_with_the_state() -> None:
    """The caller hands it over."""
    pool = FakePool()
    make_client = FakeZooKeeper().client
    with pacemaker_state_factory(Settings(), pool=pool, make_client=make_client):
        assert not pool.is_closed
    assert pool.is_closed


def test_pool_is_closed_if_the_start_fails() -> None:
    """Also without a connection nothing is left open."""
    pool, link = FakePool(), FakeZooKeeper().link()
    link.close_gate()
    with pytest.raises(UnavailableError):
        pacemaker_state_factory(BRIEF, pool=pool, make_client=link.client)
    assert pool.is_closed


@pytest.mark.parametrize("servers", [(), ("zk 1",)])
def test_pool_is_closed_if_the_settings_name_no_zookeeper(
    servers: tuple[str, ...],
) -> None:
    """There is no state yet that would close it."""
    pool = FakePool()
    with pytest.raises(ConfigError, match=r"storm\.zookeeper\.servers"):
        pacemaker_state_factory(Settings(zookeeper_servers=servers), pool=pool)
    assert pool.is_closed


def test_pool_that_counts_as_false_is_used() -> None:
    """A pool of the caller's own may have a length, and be empty."""

    class EmptyPool(FakePool):
        def __len__(self) -> int:
            return len(self.pulses)

    pool = EmptyPool()
    make_client = FakeZooKeeper().client
    with pacemaker_state_factory(Settings(), pool=pool, make_client=make_client):
        assert not pool.is_closed
    assert pool.is_closed


def test_default_acls_are_those_of_new_nodes() -> None:
    """ZooKeeper refuses the creator's, if nobody has authenticated."""
    with pytest.raises(NodeAccessError, match="start"):
        pacemaker_state_factory(
            Settings(),
            pool=FakePool(),
            default_acls=CREATOR_ALL,
            make_client=FakeZooKeeper().client,
        )


def test_pacemakers_come_from_the_settings() -> None:
    """Without a pool, they must name one."""
    with pytest.raises(ConfigError, match=r"pacemaker\.servers"):
        pacemaker_state_factory(Settings(), make_client=FakeZooKeeper().client)
