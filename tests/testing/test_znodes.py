"""The requests of kazoo's client, on the fake ZooKeeper and the real one."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kazoo import exceptions as kazoo
from kazoo.protocol.states import EventType, KazooState
from kazoo.security import ACL, Id

from pacemaker.cluster_state import acls
from pacemaker.cluster_state.zookeeper_client import ZooKeeperClient
from pacemaker.config.settings import Settings
from tests.cluster_state.zookeepers import AnyZooKeeper
from tests.testing.names import next_name

TIMEOUT_S = 20.0
NOBODY = Id("digest", "nobody:x")


class Client:
    """A started client, whose requests are made below a node of its own.

    Args:
        client: the client.
        root: the node; created unless another client has done so.
    """

    def __init__(self, client: ZooKeeperClient, root: str) -> None:
        self.client = client
        self.root = root
        connected = threading.Event()

        def hear(state: Any) -> None:
            if state == KazooState.CONNECTED:
                connected.set()

        client.add_listener(hear)
        client.start_async()
        assert connected.wait(TIMEOUT_S)
        self._events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        with contextlib.suppress(kazoo.NodeExistsError):
            self.ask(client.create_async, "")

    def ask(
        self, request: Callable[..., Any], path: str, *args: Any, **options: Any
    ) -> Any:
        """Send a request and return its answer."""
        answer = request(self.root + path, *args, **options)
        return answer.get(timeout=TIMEOUT_S)

    def create(self, path: str, data: bytes = b"", **options: Any) -> str:
        """Create a node; return its path below the root."""
        path = self.ask(self.client.create_async, path, data, **options)
        return path.removeprefix(self.root)

    def stat(self, path: str) -> Any:
        """Return a node's stat, or None."""
        return self.ask(self.client.exists_async, path)

    def watch(self, event: Any) -> None:
        """Keep an event of a watch."""
        self._events.put((event.type, event.path.removeprefix(self.root)))

    def event(self) -> tuple[Any, str]:
        """Wait for the next event."""
        kind, path = self._events.get(timeout=TIMEOUT_S)
        return kind, path


@pytest.fixture
def connect(zookeeper: AnyZooKeeper) -> Iterator[Callable[..., Client]]:
    """Give what connects clients, which end with the test."""
    root = next_name()
    with contextlib.ExitStack() as stack:

        def new(**credentials: str) -> Client:
            settings = zookeeper.settings()
            if credentials:
                settings = with_credentials(settings, **credentials)
            client = zookeeper.make_client()(settings)
            stack.callback(client.close)
            stack.callback(client.stop)
            return Client(client, root)

        yield new


def with_credentials(settings: Settings, scheme: str, payload: str) -> Settings:
    """Return the settings of a client that authenticates."""
    return Settings(
        zookeeper_servers=settings.zookeeper_servers,
        zookeeper_port=settings.zookeeper_port,
        zookeeper_auth_scheme=scheme,
        zookeeper_auth_payload=payload,
    )


@pytest.fixture
def client(connect: Callable[..., Client]) -> Client:
    """Give one client."""
    return connect()


def test_stat_counts_writes_and_children(client: Client) -> None:
    """Changes of the children are counted in `cversion`, writes in `version`."""
    client.create("/a", b"one")
    client.create("/a/b")
    client.create("/a/c")
    client.ask(client.client.delete_async, "/a/b")
    client.ask(client.client.set_async, "/a", b"three")
    stat = client.stat("/a")
    assert (stat.version, stat.cversion, stat.aversion) == (1, 3, 0)
    assert (stat.numChildren, stat.dataLength, stat.ephemeralOwner) == (1, 5, 0)


def test_transactions_are_in_the_stat(client: Client) -> None:
    """Creation, last write and last change of the children each have their own."""
    client.create("/a")
    created = client.stat("/a")
    assert created.czxid == created.mzxid == created.pzxid
    client.create("/a/b")
    child_created = client.stat("/a")
    assert child_created.mzxid == created.mzxid < child_created.pzxid
    client.ask(client.client.set_async, "/a", b"")
    written = client.stat("/a")
    assert child_created.pzxid == written.pzxid < written.mzxid
    assert written.czxid == created.czxid
    client.ask(client.client.delete_async, "/a/b")
    assert client.stat("/a").pzxid > written.mzxid
    assert client.client.last_zxid >= client.stat("/a").pzxid


def test_node_is_created_anew_by_another_transaction(client: Client) -> None:
    """A stat tells a node from an earlier one of the same path."""
    client.create("/a")
    before = client.stat("/a").czxid
    client.ask(client.client.delete_async, "/a")
    client.create("/a")
    assert client.stat("/a").czxid > before


def test_sequential_nodes_count_all_creations(client: Client) -> None:
    """The number is that of the children that were ever created there."""
    client.create("/a")
    assert client.create("/n-", sequence=True) == "/n-0000000001"
    client.ask(client.client.delete_async, "/a")
    client.ask(client.client.delete_async, "/n-0000000001")
    assert client.create("/n-", sequence=True) == "/n-0000000002"


def test_ephemeral_node_names_its_owner(client: Client) -> None:
    """It is the session, by its number."""
    client.create("/a", ephemeral=True)
    client_id = client.client.client_id
    assert client_id is not None
    assert client.stat("/a").ephemeralOwner == client_id[0] != 0


def test_children_come_with_the_stat_if_asked_for(client: Client) -> None:
    """Without `include_data` there are the names alone."""
    client.create("/a")
    client.create("/b")
    children = client.client.get_children_async
    assert sorted(client.ask(children, "")) == ["a", "b"]
    names, stat = client.ask(children, "", include_data=True)
    assert (sorted(names), stat.numChildren) == (["a", "b"], 2)


def test_data_come_with_the_stat(client: Client) -> None:
    """Both are of one moment."""
    client.create("/a", b"one")
    data, stat = client.ask(client.client.get_async, "/a")
    assert (data, stat) == (b"one", client.stat("/a"))


Request = Callable[[Client], Any]
ERRORS: tuple[tuple[Request, type[Exception]], ...] = (
    (lambda c: c.create("/a"), kazoo.NodeExistsError),
    (lambda c: c.create("/none/b"), kazoo.NoNodeError),
    (lambda c: c.create("/ephemeral/b"), kazoo.NoChildrenForEphemeralsError),
    (lambda c: c.create("/b", acl=[]), kazoo.InvalidACLError),
    (lambda c: c.create("/b", acl=[ACL(31, Id("none", ""))]), kazoo.InvalidACLError),
    (lambda c: c.create("/b", acl=[ACL(31, Id("auth", ""))]), kazoo.InvalidACLError),
    (lambda c: c.create("/closed/b"), kazoo.NoAuthError),
    (lambda c: c.stat("/closed"), kazoo.NoAuthError),
    (lambda c: c.ask(c.client.get_async, "/closed"), kazoo.NoAuthError),
    (lambda c: c.ask(c.client.get_children_async, "/closed"), kazoo.NoAuthError),
    (lambda c: c.ask(c.client.set_async, "/closed", b""), kazoo.NoAuthError),
    (lambda c: c.ask(c.client.get_async, "/none"), kazoo.NoNodeError),
    (lambda c: c.ask(c.client.get_children_async, "/none"), kazoo.NoNodeError),
    (lambda c: c.ask(c.client.set_async, "/none", b""), kazoo.NoNodeError),
    (lambda c: c.ask(c.client.delete_async, "/none"), kazoo.NoNodeError),
    (lambda c: c.ask(c.client.delete_async, "/a"), kazoo.NotEmptyError),
)


@pytest.mark.parametrize(("request_", "error"), ERRORS)
def test_refusals_are_zookeepers(
    client: Client, request_: Request, error: type[Exception]
) -> None:
    """Each request that is refused changes nothing and says why."""
    client.create("/a")
    client.create("/a/child")
    client.create("/ephemeral", ephemeral=True)
    client.create("/closed", acl=[ACL(acls.ALL, NOBODY)])
    before = client.stat("")
    with pytest.raises(error):
        request_(client)
    assert client.stat("") == before


def test_node_of_a_creator_is_closed_to_others(connect: Callable[..., Client]) -> None:
    """The scheme auth stands for who creates the node."""
    owner = connect(scheme="digest", payload="user:secret")
    owner.create("/a", b"one", acl=[ACL(acls.ALL, Id("auth", ""))])
    other = connect()
    with pytest.raises(kazoo.NoAuthError):
        other.ask(other.client.get_async, "/a")
    again = connect(scheme="digest", payload="user:secret")
    assert again.ask(again.client.get_async, "/a")[0] == b"one"


def test_watch_of_a_node_hears_of_its_creation_and_end(client: Client) -> None:
    """Each watch hears one event, in the order of the changes."""
    client.ask(client.client.exists_async, "/a", client.watch)
    client.create("/a")
    client.ask(client.client.get_async, "/a", client.watch)
    client.ask(client.client.set_async, "/a", b"")
    client.ask(client.client.set_async, "/a", b"")
    client.ask(client.client.exists_async, "/a", client.watch)
    client.ask(client.client.delete_async, "/a")
    kinds = (EventType.CREATED, EventType.CHANGED, EventType.DELETED)
    assert [client.event() for _ in kinds] == [(kind, "/a") for kind in kinds]


def test_watch_of_children_hears_of_them_alone(client: Client) -> None:
    """A write to the parent or to a child is none of its business."""
    client.create("/a")
    client.ask(client.client.get_children_async, "", client.watch)
    client.ask(client.client.set_async, "", b"")
    client.ask(client.client.set_async, "/a", b"")
    client.ask(client.client.delete_async, "/a")
    assert client.event() == (EventType.CHILD, "")


def test_watch_of_a_missing_node_is_set_by_exists_alone(client: Client) -> None:
    """A read that finds no node leaves no watch."""
    for request in (client.client.get_async, client.client.get_children_async):
        with pytest.raises(kazoo.NoNodeError):
            client.ask(request, "/a", client.watch)
    client.create("/a")
    client.ask(client.client.get_async, "/a", client.watch)
    client.ask(client.client.set_async, "/a", b"")
    assert client.event() == (EventType.CHANGED, "/a")


def test_events_reach_every_client(connect: Callable[..., Client]) -> None:
    """A node of a session that ends is deleted for all who watch it."""
    one, other = connect(), connect()
    other.create("/a", ephemeral=True)
    one.ask(one.client.sync_async, "")
    one.ask(one.client.exists_async, "/a", one.watch)
    other.client.stop()
    assert one.event() == (EventType.DELETED, "/a")


def test_stopped_client_sends_nothing(client: Client) -> None:
    """A second stop is nothing; a request after it is an error."""
    client.client.stop()
    client.client.stop()
    with pytest.raises(kazoo.ConnectionClosedError):
        client.stat("")
