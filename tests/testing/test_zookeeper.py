"""Tests of pacemaker.testing.zookeeper: a state sees what the test has set.

The tests of the cluster state and of `znodes` compare it with the real one.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from pacemaker.cluster_state.cluster_state import ClusterState
from pacemaker.cluster_state.events import ConnectionState
from pacemaker.cluster_state.factory import pacemaker_state_factory
from pacemaker.config.settings import Settings
from pacemaker.testing import FakePool, FakeZooKeeper, ZooKeeperLink
from pacemaker.testing import zookeeper as module
from tests.cluster_state.zookeepers import Heard


@pytest.fixture
def zookeeper() -> FakeZooKeeper:
    """Give a ZooKeeper without nodes."""
    return FakeZooKeeper()


@pytest.fixture
def link(zookeeper: FakeZooKeeper) -> ZooKeeperLink:
    """Give a link to it."""
    return zookeeper.link()


@pytest.fixture
def state(link: ZooKeeperLink) -> Iterator[ClusterState]:
    """Open a state over the link."""
    opened = pacemaker_state_factory(
        Settings(), pool=FakePool(), make_client=link.client
    )
    with opened:
        yield opened


def test_clients_share_the_nodes(zookeeper: FakeZooKeeper, state: ClusterState) -> None:
    """What one writes another reads."""
    state.set_data("/a", b"one")
    other = pacemaker_state_factory(
        Settings(), pool=FakePool(), make_client=zookeeper.client
    )
    with other:
        assert other.get_data("/a") == b"one"


def test_expired_session_takes_its_ephemeral_nodes(
    link: ZooKeeperLink, state: ClusterState
) -> None:
    """The client hears of it in the order of the real events, and goes on."""
    state.set_ephemeral_node("/e", b"one")
    heard = Heard(state)
    link.expire_sessions()
    heard.wait_for(ConnectionState.SUSPENDED)
    heard.wait_for(ConnectionState.LOST)
    heard.wait_for(ConnectionState.RECONNECTED)
    assert not state.node_exists("/e")
    state.set_ephemeral_node("/e", b"two")


def test_session_outlives_its_connection(
    link: ZooKeeperLink, state: ClusterState
) -> None:
    """An ephemeral node is there after a cut."""
    state.set_ephemeral_node("/e", b"one")
    link.cut()
    assert state.get_data("/e") == b"one"


def test_session_that_cannot_say_goodbye_stays(
    zookeeper: FakeZooKeeper, link: ZooKeeperLink
) -> None:
    """Closed without a connection, it lives on until it expires."""
    settings = Settings()
    state = pacemaker_state_factory(settings, pool=FakePool(), make_client=link.client)
    state.set_ephemeral_node("/e", b"")
    link.close_gate()
    state.close()
    other = pacemaker_state_factory(
        settings, pool=FakePool(), make_client=zookeeper.client
    )
    with other:
        assert other.node_exists("/e")
        link.expire_sessions()
        assert not other.node_exists("/e")


def test_held_request_is_carried_out_by_nobody(
    link: ZooKeeperLink, state: ClusterState
) -> None:
    """It is sent again on the next connection, and done once."""
    link.hold("create")
    with ThreadPoolExecutor(1) as executor:
        created = executor.submit(state.create_sequential, "/q-", b"")
        link.wait_caught()
        link.cut()
        assert created.result() == "/q-0000000000"


def test_request_of_no_kind_cannot_be_held(link: ZooKeeperLink) -> None:
    """The error lists the kinds that there are."""
    with pytest.raises(ValueError, match=r"one of create, .*, sync, not 'write'"):
        link.hold("write")


def test_request_that_does_not_come_is_an_error(
    link: ZooKeeperLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test does not wait for ever for what it has misjudged."""
    monkeypatch.setattr(module, "CAUGHT_TIMEOUT_S", 0.0)
    link.hold("create")
    with pytest.raises(TimeoutError, match="no create request"):
        link.wait_caught()
