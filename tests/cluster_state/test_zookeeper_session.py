"""ZooKeeper sessions of the cluster state that end and begin, without a server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kazoo.protocol.states import KazooState

from pacemaker.cluster_state.events import ConnectionState
from pacemaker.cluster_state.zookeeper_session import ZooKeeperSession


class HeldHandler:
    """Stands for kazoo's threads: keeps what they are given until a test runs it."""

    def __init__(self) -> None:
        self.spawned: list[Callable[[], None]] = []

    def spawn(self, function: Callable[..., None], *args: Any) -> None:
        """Keep what would run in a thread of its own."""
        self.spawned.append(lambda: function(*args))

    def dispatch_callback(self, callback: Any) -> None:
        """Run a callback at once."""
        callback.func(*callback.args)


class HeldClient:
    """A client that connects to nothing: the test says what becomes of it."""

    client_state = None

    def __init__(self) -> None:
        self.handler = HeldHandler()
        self.listeners: list[Callable[[Any], object]] = []
        self.add_listener = self.listeners.append


class Session:
    """A session whose connections a test makes and ends."""

    def __init__(self) -> None:
        self.heard: list[ConnectionState] = []
        client: Any = HeldClient()
        self.session = ZooKeeperSession(client, 1, lambda *_: None, self.heard.append)
        self.handler: HeldHandler = client.handler
        self._listeners = client.listeners

    def change(self, state: str) -> None:
        """Tell of a change of the connection, as kazoo does."""
        for listener in self._listeners:
            listener(state)

    @property
    def is_ready(self) -> bool:
        """Whether calls are sent now."""
        return self.session.wait_ready(0)


def test_calls_wait_until_the_watches_are_set_again() -> None:
    """A connection alone is not enough."""
    session = Session()
    session.change(KazooState.CONNECTED)
    assert not session.is_ready
    session.handler.spawned.pop()()
    assert session.is_ready


def test_watches_of_an_earlier_connection_make_no_later_one_ready() -> None:
    """A restorer that was overtaken says nothing of the connection there is now."""
    session = Session()
    session.change(KazooState.CONNECTED)
    session.change(KazooState.SUSPENDED)
    session.change(KazooState.CONNECTED)
    overtaken, current = session.handler.spawned
    overtaken()
    assert not session.is_ready
    current()
    assert session.is_ready


def test_restorer_of_a_connection_that_is_gone_makes_nothing_ready() -> None:
    """It may end after the connection that it has served."""
    session = Session()
    session.change(KazooState.CONNECTED)
    session.change(KazooState.LOST)
    session.handler.spawned.pop()()
    assert not session.is_ready


def test_each_change_of_the_connection_is_told() -> None:
    """The second connection is told as one that is back."""
    session = Session()
    for state in (KazooState.CONNECTED, KazooState.SUSPENDED, KazooState.CONNECTED):
        session.change(state)
    session.change(KazooState.LOST)
    assert session.heard == [
        ConnectionState.CONNECTED,
        ConnectionState.SUSPENDED,
        ConnectionState.RECONNECTED,
        ConnectionState.LOST,
    ]
