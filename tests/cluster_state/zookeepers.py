"""The ZooKeepers that the cluster state is tested on: the fake one and the real one.

Both are used in the same way, so that each test runs on both and holds the fake to
what the real one does.
"""

from __future__ import annotations

import contextlib
import dataclasses
import queue
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from pacemaker.cluster_state.acls import Acls
from pacemaker.cluster_state.cluster_state import ClusterState
from pacemaker.cluster_state.events import ConnectionState, EventType
from pacemaker.cluster_state.factory import pacemaker_state_factory
from pacemaker.cluster_state.zookeeper_client import MakeClient, kazoo_client
from pacemaker.config.settings import Settings
from pacemaker.testing import FakePool, FakeZooKeeper, ZooKeeperLink
from tests.cluster_state.tcp_link import TcpLink
from tests.real.daemons import free_port
from tests.real.zookeeper import (
    SESSION_MS,
    SHORT_SESSION_MS,
    ZooKeeper,
    new_settings,
)

EVENT_TIMEOUT_S = 20.0


class AnyLink(Protocol):
    """The connections of one state, which a test breaks."""

    def cut(self) -> None:
        """End all connections; the next ones are as good as new."""

    def close_gate(self) -> None:
        """End all connections; there are none until `open_gate`."""

    def open_gate(self) -> None:
        """Let connections through again."""

    def hold(self, request: str) -> None:
        """Keep a request, and all after it, from the server, until `cut`."""

    def drop_answer(self, request: str) -> None:
        """Keep a request's answer, and all after it, from the client, until `cut`."""

    def wait_caught(self) -> None:
        """Wait until the request is held, or its answer dropped."""

    def end_sessions(self) -> None:
        """Let the sessions end, with the gate closed."""


class AnyZooKeeper(Protocol):
    """A ZooKeeper."""

    brief_ms: int
    """A session timeout, and with it the limit of a call, that is soon over."""

    def settings(self, session_ms: int = SESSION_MS) -> Settings:
        """Return settings with a root of their own, so that tests share no node."""

    def make_client(self) -> MakeClient:
        """Return what makes its clients."""

    def unreachable(self, settings: Settings) -> tuple[Settings, MakeClient]:
        """Return settings and clients that find no server."""

    def linked(
        self, settings: Settings
    ) -> AbstractContextManager[tuple[AnyLink, ClusterState]]:
        """Open a state over a link."""


def open_state(
    zookeeper: AnyZooKeeper, settings: Settings, default_acls: Acls | None = None
) -> ClusterState:
    """Open a cluster's state, with its heartbeats in a dict."""
    return pacemaker_state_factory(
        settings,
        pool=FakePool(),
        default_acls=default_acls,
        make_client=zookeeper.make_client(),
    )


class Fake:
    """The one in memory."""

    brief_ms = 500

    def __init__(self) -> None:
        self._zookeeper = FakeZooKeeper()

    def settings(self, session_ms: int = SESSION_MS) -> Settings:
        """Return settings with a root of their own."""
        return new_settings(1, session_ms)

    def make_client(self) -> MakeClient:
        """Return what makes its clients."""
        return self._zookeeper.client

    def unreachable(self, settings: Settings) -> tuple[Settings, MakeClient]:
        """Return clients of a link that is closed."""
        link = self._zookeeper.link()
        link.close_gate()
        return settings, link.client

    @contextlib.contextmanager
    def linked(self, settings: Settings) -> Iterator[tuple[AnyLink, ClusterState]]:
        """Open a state over a link."""
        link = FakeLink(self._zookeeper.link())
        state = pacemaker_state_factory(
            settings, pool=FakePool(), make_client=link.client
        )
        with state:
            yield link, state
            link.open_gate()


class FakeLink:
    """A link in memory."""

    def __init__(self, link: ZooKeeperLink) -> None:
        self.client = link.client
        self.cut = link.cut
        self.close_gate = link.close_gate
        self.open_gate = link.open_gate
        self.hold = link.hold
        self.drop_answer = link.drop_answer
        self.wait_caught = link.wait_caught
        self.end_sessions = link.expire_sessions


class Real:
    """A server process.

    Args:
        zookeeper: the process.
    """

    brief_ms = SHORT_SESSION_MS

    def __init__(self, zookeeper: ZooKeeper) -> None:
        self._zookeeper = zookeeper

    def settings(self, session_ms: int = SESSION_MS) -> Settings:
        """Return settings with a root of their own."""
        return new_settings(self._zookeeper.port, session_ms)

    def make_client(self) -> MakeClient:
        """Return kazoo's clients."""
        return kazoo_client

    def unreachable(self, settings: Settings) -> tuple[Settings, MakeClient]:
        """Return settings with a port where nothing listens."""
        return at_port(settings, free_port()), kazoo_client

    @contextlib.contextmanager
    def linked(self, settings: Settings) -> Iterator[tuple[AnyLink, ClusterState]]:
        """Open a state over a link."""
        with TcpLink(settings.zookeeper_port) as tcp:
            link = RealLink(tcp)
            with open_state(self, at_port(settings, tcp.port)) as state:
                yield link, state
                link.open_gate()


REQUESTS = {
    "create": 1,
    "delete": 2,
    "exists": 3,
    "get": 4,
    "set": 5,
    "sync": 9,
    "get_children": 12,
}
"""ZooKeeper's numbers of requests."""


class RealLink:
    """A link over TCP that knows ZooKeeper's requests."""

    def __init__(self, link: TcpLink) -> None:
        self._link = link
        self.cut = link.cut
        self.close_gate = link.close_gate
        self.open_gate = link.open_gate
        self.wait_caught = link.wait_caught

    def hold(self, request: str) -> None:
        """Keep a request, and all after it, from the server, until `cut`."""
        self._link.hold(_is_request(REQUESTS[request]))

    def drop_answer(self, request: str) -> None:
        """Keep a request's answer, and all after it, from the client, until `cut`."""
        self._link.drop_answer(_is_request(REQUESTS[request]))

    def end_sessions(self) -> None:
        """Do nothing: without a connection they end by themselves."""


def _is_request(number: int) -> Callable[[bytes], bool]:
    """Return what knows whether there is a request of a kind among some."""

    def is_there(data: bytes) -> bool:
        while data:
            # Length, id and kind, of four bytes each.
            length = int.from_bytes(data[:4], "big")
            if int.from_bytes(data[8:12], "big") == number:
                return True
            data = data[4 + length :]
        return False

    return is_there


def at_port(settings: Settings, port: int) -> Settings:
    """Return the settings of the same cluster, by another way."""
    return dataclasses.replace(settings, zookeeper_port=port)


class Heard:
    """What a state tells: the events of its watches, and of its connection."""

    def __init__(self, state: ClusterState) -> None:
        self._events: queue.SimpleQueue[tuple[EventType, str]] = queue.SimpleQueue()
        self._states: queue.SimpleQueue[ConnectionState] = queue.SimpleQueue()
        state.register(lambda kind, path: self._events.put((kind, path)))
        state.add_listener(self._states.put)

    def event(self) -> tuple[EventType, str]:
        """Wait for the next event and return it."""
        return self._events.get(timeout=EVENT_TIMEOUT_S)

    def no_event(self) -> bool:
        """Tell that there is none so far."""
        return self._events.empty()

    def wait_for(self, wanted: ConnectionState) -> None:
        """Wait until the connection has become so."""
        while self._states.get(timeout=EVENT_TIMEOUT_S) is not wanted:
            pass
