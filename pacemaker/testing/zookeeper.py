"""A ZooKeeper in memory, to test programs that use a cluster's state.

    zookeeper = FakeZooKeeper()
    state = pacemaker_state_factory(settings, pool=..., make_client=zookeeper.client)

The clients share the nodes, with watches, ephemeral and sequential nodes, ACLs and
digest authentication.  If a client uses a `ZooKeeperLink`, a test can make it lose its
connection, the answer to a request, or its session:

    link = zookeeper.link()
    state = pacemaker_state_factory(settings, pool=..., make_client=link.client)
    link.close_gate()         # no connection until open_gate
    link.expire_sessions()    # ephemeral nodes are gone

A request is carried out and answered before the call that sends it returns.  As with
kazoo, the callbacks of each client run in one thread, which ends when the state is
closed.  Nothing depends on time: only `expire_sessions` ends a session.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from kazoo.exceptions import KazooException

from pacemaker.cluster_state.zookeeper_client import ZooKeeperClient
from pacemaker.config.settings import Settings
from pacemaker.testing.zookeeper_client import (
    FakeAsyncResult,
    FakeKazooClient,
    FakeServerState,
)

# How long `wait_caught` waits for another thread of the test, in real seconds.
CAUGHT_TIMEOUT_S: Final = 30.0

# The requests that a link can hold or leave without an answer.
REQUESTS: Final = ("create", "delete", "exists", "get", "get_children", "set", "sync")


class FakeZooKeeper:
    """One ZooKeeper and its nodes.  Thread-safe."""

    def __init__(self) -> None:
        self._server = FakeServerState()

    def client(self, settings: Settings) -> ZooKeeperClient:
        """Return a client that always has a connection, once it is started."""
        return self.link().client(settings)

    def link(self) -> ZooKeeperLink:
        """Return a new link, for clients whose connections a test breaks."""
        return ZooKeeperLink(self._server)


class ZooKeeperLink:
    """The connections of some clients to a fake ZooKeeper.  Thread-safe.

    `FakeZooKeeper.link` returns one.
    """

    def __init__(self, server: FakeServerState) -> None:
        self._server = server
        self._lock = server.lock  # guards all below
        self._clients: list[FakeKazooClient] = []
        self.is_open = True
        self._trap: str | None = None
        self._holds_requests = False
        self._drops_answers = False
        self._caught = threading.Event()

    def client(self, settings: Settings) -> ZooKeeperClient:
        """Return a client whose connections go over this link."""
        client = FakeKazooClient(self._server, self, settings)
        with self._lock:
            self._clients.append(client)
        return client

    def cut(self) -> None:
        """End all connections; the clients connect again at once."""
        with self._lock:
            self._disconnect()
            self._reconnect()

    def close_gate(self) -> None:
        """End all connections, and allow no new ones until `open_gate`."""
        with self._lock:
            self.is_open = False
            self._disconnect()

    def open_gate(self) -> None:
        """Let the clients connect again."""
        with self._lock:
            self.is_open = True
            self._reconnect()

    def expire_sessions(self) -> None:
        """End all sessions; each client is told on its next connection."""
        with self._lock:
            self._disconnect()
            for client in self._clients:
                client.expire()
            self._reconnect()

    def hold(self, request: str) -> None:
        """Hold back the next such request, and all requests after it, until `cut`.

        Args:
            request: one of `REQUESTS`.
        """
        self._set_trap(request, holds=True)

    def drop_answer(self, request: str) -> None:
        """Drop the answers to the next such request and all after it, until `cut`.

        Args:
            request: one of `REQUESTS`.
        """
        self._set_trap(request, holds=False)

    def wait_caught(self) -> None:
        """Wait until a request is held, or its answer dropped.

        Raises:
            TimeoutError: there was no such request.
        """
        if not self._caught.wait(CAUGHT_TIMEOUT_S):
            raise TimeoutError(f"no {self._trap} request within {CAUGHT_TIMEOUT_S:g} s")

    def _set_trap(self, request: str, *, holds: bool) -> None:
        if request not in REQUESTS:
            raise ValueError(
                f"the request must be one of {', '.join(REQUESTS)}, not {request!r}"
            )
        with self._lock:
            self._trap = request
            self._holds_requests, self._drops_answers = holds, not holds

    def carry(
        self, request: str, serve: Callable[[], Any], answer: FakeAsyncResult
    ) -> None:
        """Carry a request to the server, and its answer back, or catch one of them."""
        if request == self._trap:
            self._trap = None
        is_caught = self._trap is None
        if not (is_caught and self._holds_requests):
            outcome = _outcome_of(serve)
            if not (is_caught and self._drops_answers):
                answer.set(outcome)
                return
        self._caught.set()

    def _disconnect(self) -> None:
        self._trap = None
        self._holds_requests = self._drops_answers = False
        self._caught.clear()
        for client in self._clients:
            client.lose_connection()

    def _reconnect(self) -> None:
        if self.is_open:
            for client in self._clients:
                client.connect()


def _outcome_of(serve: Callable[[], Any]) -> Any:
    try:
        return serve()
    except KazooException as exc:
        return exc
