"""Every operation of the cluster state, on the fake ZooKeeper and the real one."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import threading
from collections.abc import Callable, Iterator

import pytest

from pacemaker.cluster_state.acls import ALL, CREATOR_ALL, OPEN, READ, Acl
from pacemaker.cluster_state.cluster_state import ClusterState
from pacemaker.cluster_state.events import ConnectionState, EventType
from pacemaker.cluster_state.factory import pacemaker_state_factory
from pacemaker.cluster_state.zookeeper_state import VersionedData
from pacemaker.config.settings import Settings
from pacemaker.errors import (
    NodeAccessError,
    NodeMissingError,
    UnavailableError,
    ZooKeeperError,
)
from pacemaker.testing import FakePool
from tests.cluster_state.zookeepers import AnyZooKeeper, Heard, open_state


@pytest.fixture
def settings(zookeeper: AnyZooKeeper) -> Settings:
    """Return the settings of a cluster of this test's own."""
    return zookeeper.settings()


@pytest.fixture
def state(zookeeper: AnyZooKeeper, settings: Settings) -> Iterator[ClusterState]:
    """Open that cluster's state."""
    with open_state(zookeeper, settings) as opened:
        yield opened


def test_data_are_written_and_read(state: ClusterState) -> None:
    """Data come back as they were written, with a version that counts the writes."""
    state.set_data("/assignments/t-1", b"one")
    state.set_data("/assignments/t-1", b"")
    state.set_data("/assignments/t-1", b"\x00two")
    assert state.get_data("/assignments/t-1") == b"\x00two"
    assert state.get_version("/assignments/t-1") == 2
    assert state.get_data_with_version("/assignments/t-1") == VersionedData(
        2, b"\x00two"
    )


def test_missing_node_has_nothing(state: ClusterState) -> None:
    """A node that is not there has no data and no version, which is no error."""
    assert not state.node_exists("/none")
    assert state.get_data("/none") is None
    assert state.get_version("/none") is None
    assert state.get_data_with_version("/none") is None


def test_missing_node_has_no_children(state: ClusterState) -> None:
    """The children of a node that is not there are an error, as in Storm."""
    with pytest.raises(NodeMissingError, match=r"^get_children /none: there is no"):
        state.get_children("/none", watch=True)


def test_directories_are_made_with_their_parents(state: ClusterState) -> None:
    """What is missing is made by mkdirs, and what is there is let be."""
    state.mkdirs("/a/b/c")
    state.mkdirs("/a/b/c")
    assert state.get_children("/a") == ["b"]
    assert state.get_data("/a/b/c") == b"\x07"
    assert state.get_data("/a/b") == b""


def test_paths_may_be_written_in_many_ways(state: ClusterState) -> None:
    """Slashes may be doubled, missing and trailing, as Storm allows."""
    state.set_data("a//b/", b"1")
    assert state.get_data("//a/b") == b"1"
    assert state.get_children("") == state.get_children("/") == ["a"]


def test_relative_paths_are_refused(state: ClusterState) -> None:
    """No path leads out of storm.zookeeper.root."""
    with pytest.raises(ValueError, match="is relative"):
        state.set_data("/../x", b"")


def test_tree_is_deleted(state: ClusterState) -> None:
    """A node is deleted with all below it; one that is not there is let pass."""
    for path in ("/a/b/c", "/a/b/d", "/a/e", "/f"):
        state.set_data(path, b"")
    state.delete_node("/a")
    state.delete_node("/a")
    assert state.get_children("/") == ["f"]


def test_blobs_of_one_nimbus_are_deleted(state: ClusterState) -> None:
    """Only the children that begin with the Nimbus' host and port go."""
    for name in ("host:6627-1", "host:6627-2", "other:6627-1"):
        state.set_data(f"/blobstore/key/{name}", b"")
    state.delete_node_blobstore("/blobstore/key", "host:6627")
    state.delete_node_blobstore("/blobstore/none", "host:6627")
    assert state.get_children("/blobstore/key") == ["other:6627-1"]


def test_sequential_nodes_are_numbered(
    state: ClusterState, zookeeper: AnyZooKeeper, settings: Settings
) -> None:
    """Each gets the next number behind its name, and goes with the session."""
    with open_state(zookeeper, settings) as other:
        first = other.create_sequential("/errors/t-1/e", b"one")
        second = other.create_sequential("/errors/t-1/e", b"two")
        assert (first, second) == (
            "/errors/t-1/e0000000000",
            "/errors/t-1/e0000000001",
        )
        assert state.get_data(first) == b"one"
    assert state.get_children("/errors/t-1") == []


def test_ephemeral_node_goes_with_its_session(
    state: ClusterState, zookeeper: AnyZooKeeper, settings: Settings
) -> None:
    """An ephemeral node is there until its session is closed, and others see it go."""
    heard = Heard(state)
    with open_state(zookeeper, settings) as other:
        other.set_ephemeral_node("/nimbuses/n:1", b"one")
        other.set_ephemeral_node("/nimbuses/n:1", b"two")
        assert state.get_data("/nimbuses/n:1", watch=True) == b"two"
    assert heard.event() == (EventType.DELETED, "/nimbuses/n:1")


def test_ephemeral_data_may_go_to_a_node_that_stays(state: ClusterState) -> None:
    """A node that is there already is written and stays what it is, as in Storm."""
    state.set_data("/a", b"one")
    state.set_ephemeral_node("/a", b"two")
    assert state.get_data_with_version("/a") == VersionedData(1, b"two")


def test_sync_sees_what_others_wrote(
    state: ClusterState, zookeeper: AnyZooKeeper, settings: Settings
) -> None:
    """What another client wrote before a sync is read after it."""
    with open_state(zookeeper, settings) as other:
        other.set_data("/a", b"one")
    state.sync_path("/a")
    assert state.get_data("/a") == b"one"


def _write(state: ClusterState) -> None:
    state.set_data("/w/node", b"two")


def _create(state: ClusterState) -> None:
    state.set_data("/w/new", b"")


def _delete(state: ClusterState) -> None:
    state.delete_node("/w/node")


def _exists(state: ClusterState, path: str) -> None:
    state.node_exists(path, watch=True)


def _version(state: ClusterState, path: str) -> None:
    state.get_version(path, watch=True)


def _data(state: ClusterState, path: str) -> None:
    state.get_data(path, watch=True)


def _data_with_version(state: ClusterState, path: str) -> None:
    state.get_data_with_version(path, watch=True)


def _children(state: ClusterState, path: str) -> None:
    state.get_children(path, watch=True)


NODE_READS = (_exists, _version, _data, _data_with_version)
CHANGES = (
    *((read, "/w/node", _write, EventType.DATA_CHANGED) for read in NODE_READS),
    *((read, "/w/new", _create, EventType.CREATED) for read in NODE_READS),
    *((read, "/w/node", _delete, EventType.DELETED) for read in NODE_READS),
    (_children, "/w", _create, EventType.CHILDREN_CHANGED),
    (_children, "/w", _delete, EventType.CHILDREN_CHANGED),
    (_children, "/w/node", _delete, EventType.DELETED),
)


@pytest.mark.parametrize(("read", "path", "change", "kind"), CHANGES)
def test_watch_tells_of_a_change_once(
    state: ClusterState,
    zookeeper: AnyZooKeeper,
    settings: Settings,
    read: Callable[[ClusterState, str], None],
    path: str,
    change: Callable[[ClusterState], None],
    kind: EventType,
) -> None:
    """A watch tells all callbacks of the next change, and of that alone."""
    state.set_data("/w/node", b"one")
    heard = Heard(state)
    read(state, path)
    read(state, path)
    with open_state(zookeeper, settings) as other:
        change(other)
        assert heard.event() == (kind, path)
        other.set_data("/w/node", b"three")
        other.set_data("/w/new", b"three")
    state.sync_path("/")
    assert heard.no_event()


def test_deletion_is_told_once(state: ClusterState) -> None:
    """A node that is watched for itself and for its children is deleted once."""
    state.set_data("/w", b"")
    heard = Heard(state)
    state.get_data("/w", watch=True)
    state.get_children("/w", watch=True)
    state.delete_node("/w")
    assert heard.event() == (EventType.DELETED, "/w")
    state.node_exists("/v", watch=True)
    state.set_data("/v", b"")
    assert heard.event() == (EventType.CREATED, "/v")


def test_callback_may_read_and_watch_again(state: ClusterState) -> None:
    """A callback calls the state, as Storm's do to keep a watch."""
    seen: list[bytes | None] = []
    both = threading.Event()

    def again(kind: EventType, path: str) -> None:
        seen.append(state.get_data(path, watch=True))
        if len(seen) == 1:
            state.set_data(path, b"two")
        else:
            both.set()

    state.register(again)
    state.get_data("/a", watch=True)
    state.set_data("/a", b"one")
    assert both.wait(20)
    assert seen == [b"one", b"two"]


def test_failing_callback_hurts_no_other(
    state: ClusterState, caplog: pytest.LogCaptureFixture
) -> None:
    """What a callback raises is logged, and the others are called all the same."""

    def fails(kind: EventType, path: str) -> None:
        raise ZeroDivisionError

    gone = state.register(fails)
    state.unregister(gone)
    state.unregister(gone)
    state.register(fails)
    heard = Heard(state)
    state.node_exists("/a", watch=True)
    state.set_data("/a", b"")
    assert heard.event() == (EventType.CREATED, "/a")
    assert caplog.text.count("a callback failed") == 1


DIGEST_ID = "nimbus:" + base64.b64encode(
    hashlib.sha1(b"nimbus:secret").digest()  # noqa: S324  (ZooKeeper's scheme)
).decode("ascii")


def with_secret(settings: Settings) -> Settings:
    """Return the settings of a client that authenticates."""
    return dataclasses.replace(
        settings,
        zookeeper_auth_scheme="digest",
        zookeeper_auth_payload="nimbus:secret",
    )


def test_authenticated_nodes_are_closed_to_others(
    zookeeper: AnyZooKeeper, settings: Settings
) -> None:
    """With storm.zookeeper.auth.*, only who has the secret reads and writes."""
    with (
        open_state(zookeeper, settings) as other,
        open_state(zookeeper, with_secret(settings)) as nimbus,
    ):
        nimbus.set_data("/a/b", b"one")
        for attempt in (
            lambda: other.get_data("/a/b"),
            lambda: other.get_children("/a"),
            lambda: other.set_data("/a/b", b"two"),
            lambda: other.delete_node("/a"),
        ):
            with pytest.raises(NodeAccessError, match="not allowed"):
                attempt()
    with open_state(zookeeper, with_secret(settings)) as again:
        assert again.get_data("/a/b") == b"one"


def test_cluster_may_be_closed_to_others(
    zookeeper: AnyZooKeeper, settings: Settings
) -> None:
    """Where storm.zookeeper.root was made with a secret, none comes in without it."""
    open_state(zookeeper, with_secret(settings)).close()
    with pytest.raises(NodeAccessError, match="start"):
        open_state(zookeeper, settings)


def test_refused_authentication_is_told_at_once(
    zookeeper: AnyZooKeeper, settings: Settings
) -> None:
    """A scheme that ZooKeeper does not know ends the start, without its timeout."""
    unknown = dataclasses.replace(
        settings, zookeeper_auth_scheme="none", zookeeper_auth_payload="secret"
    )
    with pytest.raises((NodeAccessError, UnavailableError), match=r"uthentic|AuthF"):
        open_state(zookeeper, unknown)


def test_topology_secret_goes_first(
    zookeeper: AnyZooKeeper, settings: Settings
) -> None:
    """As in Storm, storm.zookeeper.topology.auth.* goes before the cluster's."""
    topology = dataclasses.replace(
        settings,
        zookeeper_auth_scheme="digest",
        zookeeper_auth_payload="worker:other",
        zookeeper_topology_auth_scheme="digest",
        zookeeper_topology_auth_payload="nimbus:secret",
    )
    with open_state(zookeeper, topology) as worker:
        worker.set_data("/a", b"one")
    with open_state(zookeeper, with_secret(settings)) as nimbus:
        assert nimbus.get_data("/a") == b"one"


def test_acls_are_those_of_the_call(
    zookeeper: AnyZooKeeper, settings: Settings
) -> None:
    """ACLs that a call names are the node's, and hold for who has none of them."""
    only_nimbus = [Acl(ALL, "digest", DIGEST_ID), Acl(READ, "world", "anyone")]
    with open_state(zookeeper, settings) as anybody:
        anybody.mkdirs("/a")
        anybody.set_data("/a/b", b"one", only_nimbus)
        anybody.set_data("/a/c", b"two", OPEN)
        assert anybody.get_data("/a/b") == b"one"
        with pytest.raises(NodeAccessError):
            anybody.set_data("/a/b", b"two")
    with open_state(zookeeper, with_secret(settings)) as nimbus:
        nimbus.set_data("/a/b", b"two")


def test_creator_must_be_somebody(zookeeper: AnyZooKeeper, settings: Settings) -> None:
    """CREATOR_ALL without authentication is refused, and said to be."""
    with open_state(zookeeper, settings) as nobody, pytest.raises(NodeAccessError):
        nobody.set_data("/a", b"", CREATOR_ALL)


def test_refusal_is_told(state: ClusterState) -> None:
    """What ZooKeeper refuses for its own reasons is an error that names them."""
    state.set_ephemeral_node("/a", b"")
    with pytest.raises(ZooKeeperError, match="NoChildrenForEphemerals"):
        state.set_data("/a/b", b"")


def test_too_large_data_are_refused(
    zookeeper: AnyZooKeeper, settings: Settings
) -> None:
    """What ZooKeeper ends the connection for is sent a few times, not for ever."""
    with open_state(zookeeper, settings) as state:
        state.set_data("/a", b"one")
        with pytest.raises(UnavailableError, match="ended each time"):
            state.set_data("/a", bytes(2_000_000))
        assert state.get_data("/a") == b"one"


def test_many_threads_share_a_state(state: ClusterState) -> None:
    """Twenty threads make their sequential nodes, and each gets its own."""
    made: list[str] = []
    threads = [
        threading.Thread(
            target=lambda: made.extend(
                state.create_sequential("/q/n", b"x") for _ in range(5)
            )
        )
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 100
    assert len(state.get_children("/q")) == 100


def test_heartbeats_go_to_the_pool(state: ClusterState) -> None:
    """The four heartbeat calls leave no trace in ZooKeeper."""
    state.set_worker_hb("/workerbeats/t-1/n-1", b"beat")
    assert state.get_worker_hb("/workerbeats/t-1/n-1") == b"beat"
    assert state.get_worker_hb_children("/workerbeats") == ["t-1"]
    assert state.get_children("/") == []
    state.delete_worker_hb("/workerbeats/t-1")
    assert state.get_worker_hb("/workerbeats/t-1/n-1") is None


def test_no_server_is_said_in_time(zookeeper: AnyZooKeeper, settings: Settings) -> None:
    """Without a ZooKeeper the factory fails within the connection timeout."""
    settings = dataclasses.replace(settings, zookeeper_connection_timeout_ms=300)
    settings, make_client = zookeeper.unreachable(settings)
    before = set(threading.enumerate())
    with pytest.raises(UnavailableError, match=r"no connection in 0\.3 s"):
        pacemaker_state_factory(settings, pool=FakePool(), make_client=make_client)
    assert set(threading.enumerate()) <= before


def test_closed_state_serves_no_more(
    zookeeper: AnyZooKeeper, settings: Settings
) -> None:
    """A closed state says so, may be closed again, and leaves no thread behind."""
    before = set(threading.enumerate())
    state = open_state(zookeeper, settings)
    heard = Heard(state)
    state.node_exists("/a", watch=True)
    state.close()
    state.close()
    with pytest.raises(UnavailableError, match="it is closed"):
        state.get_data("/a")
    assert heard.no_event()
    assert set(threading.enumerate()) <= before


def test_listener_hears_of_the_connection(state: ClusterState) -> None:
    """A listener that is added later hears nothing of what was before."""
    heard = Heard(state)
    with pytest.raises(UnavailableError):
        state.set_data("/a", bytes(2_000_000))
    heard.wait_for(ConnectionState.SUSPENDED)
    heard.wait_for(ConnectionState.RECONNECTED)
