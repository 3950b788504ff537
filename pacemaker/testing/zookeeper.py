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

import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final

from kazoo.exceptions import (
    AuthFailedError,
    ConnectionClosedError,
    ConnectionLoss,
    KazooException,
    SessionExpiredError,
)
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.protocol.states import (
    Callback,
    EventType,
    KazooState,
    KeeperState,
    WatchedEvent,
)

from pacemaker.cluster_state.zookeeper_client import (
    WatchFunction,
    ZooKeeperClient,
    credentials,
)
from pacemaker.config.settings import Settings
from pacemaker.testing.znodes import OPEN, Session, Znodes, digest_identity

# ZooKeeper's default of jute.maxbuffer; it ends the connection for a larger request.
MAX_REQUEST_BYTES: Final = 0xFFFFF

# How long `wait_caught` waits for another thread of the test, in real seconds.
CAUGHT_TIMEOUT_S: Final = 30.0

# The requests that a link can hold or leave without an answer.
REQUESTS: Final = ("create", "delete", "exists", "get", "get_children", "set", "sync")


class FakeZooKeeper:
    """One ZooKeeper and its nodes.  Thread-safe."""

    def __init__(self) -> None:
        self._server = _Server()

    def client(self, settings: Settings) -> ZooKeeperClient:
        """Return a client that always has a connection, once it is started."""
        return self.link().client(settings)

    def link(self) -> ZooKeeperLink:
        """Return a new link, for clients whose connections a test breaks."""
        return ZooKeeperLink(self._server)


class _Server:
    """The part of a fake ZooKeeper that its links and clients share."""

    def __init__(self) -> None:
        # Guards the server, its links and its clients.  Reentrant, because a request
        # that is too large ends its own connection.
        self.lock = threading.RLock()
        self.nodes = Znodes(self._report)
        self.clients: list[_Client] = []
        self._sessions = 0

    def new_session(self) -> int:
        self._sessions += 1
        return self._sessions

    def _report(self, kind: Any, path: str) -> None:
        for client in self.clients:
            client.on_event(kind, path)


class ZooKeeperLink:
    """The connections of some clients to a fake ZooKeeper.  Thread-safe.

    `FakeZooKeeper.link` returns one.
    """

    def __init__(self, server: _Server) -> None:
        self._server = server
        self._lock = server.lock  # guards all below
        self._clients: list[_Client] = []
        self.is_open = True
        self._trap: str | None = None
        self._holds_requests = False
        self._drops_answers = False
        self._caught = threading.Event()

    def client(self, settings: Settings) -> ZooKeeperClient:
        """Return a client whose connections go over this link."""
        client = _Client(self._server, self, settings)
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

    def carry(self, request: str, serve: Callable[[], Any], answer: _Answer) -> None:
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


class _Client:
    """A client; see `pacemaker.cluster_state.zookeeper_client.ZooKeeperClient`."""

    def __init__(
        self, server: _Server, link: ZooKeeperLink, settings: Settings
    ) -> None:
        self.handler = _Handler()
        self.client_state = KeeperState.CLOSED
        self.client_id: tuple[int, bytes] | None = None
        self.last_zxid = 0
        self._server = server
        self._link = link
        self._lock = server.lock  # guards all of this object
        self._credentials = credentials(settings)
        self._listeners: list[Callable[[Any], object]] = []
        # Unanswered requests: sent ones, and those that wait for a connection.
        self._unanswered: list[_Answer] = []
        self._queue: list[tuple[str, Callable[[], Any], _Answer]] = []
        self._node_watches: defaultdict[str, set[WatchFunction]] = defaultdict(set)
        self._child_watches: defaultdict[str, set[WatchFunction]] = defaultdict(set)
        # The session on the server's side.  The client is told of its end later, and
        # may be closed while it has no connection to end the session.
        self._live_session: int | None = None
        self._is_stopped = False

    def add_listener(self, listener: Callable[[Any], object]) -> None:
        with self._lock:
            self._listeners.append(listener)

    def start_async(self) -> None:
        with self._lock:
            self.handler.start()
            self.client_state = KeeperState.CONNECTING
            self._server.clients.append(self)
            if self._link.is_open:
                self.connect()

    def stop(self) -> None:
        with self._lock:
            if not self._is_stopped:
                self._is_stopped = True
                self._close()
        self.handler.stop()

    def close(self) -> None:
        pass

    def exists_async(self, path: str, watch: WatchFunction | None = None) -> _Answer:
        def serve() -> Any:
            stat = self._nodes.exists(self._session, path)
            self._watch(self._node_watches, path, watch)
            return stat

        return self._send("exists", serve)

    def get_async(self, path: str, watch: WatchFunction | None = None) -> _Answer:
        def serve() -> Any:
            found = self._nodes.get(self._session, path)
            self._watch(self._node_watches, path, watch)
            return found

        return self._send("get", serve)

    def get_children_async(
        self,
        path: str,
        watch: WatchFunction | None = None,
        include_data: bool = False,
    ) -> _Answer:
        def serve() -> Any:
            names, stat = self._nodes.children(self._session, path)
            self._watch(self._child_watches, path, watch)
            return (names, stat) if include_data else names

        return self._send("get_children", serve)

    def create_async(
        self,
        path: str,
        value: bytes = b"",
        acl: Sequence[Any] | None = None,
        ephemeral: bool = False,
        sequence: bool = False,
    ) -> _Answer:
        def serve() -> str:
            return self._nodes.create(
                self._session,
                path,
                value,
                OPEN if acl is None else acl,
                is_ephemeral=ephemeral,
                is_sequential=sequence,
            )

        return self._send("create", serve, len(value))

    def set_async(self, path: str, value: bytes) -> _Answer:
        return self._send(
            "set", lambda: self._nodes.set(self._session, path, value), len(value)
        )

    def delete_async(self, path: str) -> _Answer:
        return self._send("delete", lambda: self._nodes.delete(self._session, path))

    def sync_async(self, path: str) -> _Answer:
        return self._send("sync", lambda: path)

    @property
    def _nodes(self) -> Znodes:
        return self._server.nodes

    @property
    def _session(self) -> Session:
        assert self.client_id is not None  # noqa: S101  (there is a connection)
        identities = tuple(digest_identity(each) for _, each in self._credentials)
        return Session(self.client_id[0], identities)

    def _send(
        self, request: str, serve: Callable[[], Any], size_bytes: int = 0
    ) -> _Answer:
        answer = _Answer()
        with self._lock:
            if self.client_state == KeeperState.AUTH_FAILED:
                answer.set(AuthFailedError())
            elif self.client_state == KeeperState.CLOSED:
                answer.set(ConnectionClosedError("Connection has been closed"))
            elif self.client_state == KeeperState.CONNECTING:
                self._queue.append((request, serve, answer))
            else:
                self._unanswered.append(answer)
                if size_bytes > MAX_REQUEST_BYTES:
                    self.lose_connection()
                    self.connect()
                else:
                    self._carry(request, serve, answer)
        return answer

    def _carry(self, request: str, serve: Callable[[], Any], answer: _Answer) -> None:
        self._link.carry(request, serve, answer)
        if answer.is_set:
            self._unanswered.remove(answer)
            self.last_zxid = self._nodes.zxid

    def connect(self) -> None:
        if self.client_state != KeeperState.CONNECTING:
            return
        if any(scheme != "digest" for scheme, _ in self._credentials):
            self._end(KeeperState.AUTH_FAILED, AuthFailedError())
            return
        if self.client_id is not None and self._live_session is None:
            self._end(KeeperState.CONNECTING, SessionExpiredError())
        if self._live_session is None:
            self._live_session = self._server.new_session()
            self.client_id = (self._live_session, bytes(16))
        self.client_state = KeeperState.CONNECTED
        self._tell(KazooState.CONNECTED)
        waiting, self._queue = self._queue, []
        for request, serve, answer in waiting:
            self._unanswered.append(answer)
            self._carry(request, serve, answer)

    def lose_connection(self) -> None:
        if self.client_state != KeeperState.CONNECTED:
            return
        self.client_state = KeeperState.CONNECTING
        self._fail_requests(ConnectionLoss())
        self._tell(KazooState.SUSPENDED)
        self._drop_watches()

    def expire(self) -> None:
        if self._live_session is not None:
            self._server.nodes.end_session(self._live_session)
            self._live_session = None

    def _close(self) -> None:
        if self._link.is_open:
            self.expire()
        if self.client_state != KeeperState.CLOSED:
            self._server.clients.remove(self)
            self._end(KeeperState.CLOSED, ConnectionLoss())

    def _end(self, state: Any, error: Exception) -> None:
        """End the session for this client."""
        self.client_state = state
        self._tell(KazooState.LOST)
        self._fail_requests(error)
        self._drop_watches()
        self.client_id = None

    def _tell(self, state: Any) -> None:
        for listener in list(self._listeners):
            listener(state)

    def _fail_requests(self, error: Exception) -> None:
        lost = [*self._unanswered, *(answer for _, _, answer in self._queue)]
        self._unanswered, self._queue = [], []
        for answer in lost:
            answer.set(error)

    def _watch(
        self,
        watches: defaultdict[str, set[WatchFunction]],
        path: str,
        watch: WatchFunction | None,
    ) -> None:
        if watch:
            watches[path].add(watch)

    def on_event(self, kind: Any, path: str) -> None:
        found: set[WatchFunction] = set()
        if kind != EventType.CHILD:
            found |= self._node_watches.pop(path, set())
        if kind in (EventType.CHILD, EventType.DELETED):
            found |= self._child_watches.pop(path, set())
        self._call(found, WatchedEvent(kind, self.client_state, path))

    def _drop_watches(self) -> None:
        """Forget all watches, as kazoo does: each is called without an event."""
        dropped = [*self._node_watches.values(), *self._child_watches.values()]
        self._node_watches.clear()
        self._child_watches.clear()
        event = WatchedEvent(EventType.NONE, self.client_state, None)
        self._call(set().union(*dropped), event)

    def _call(self, watches: set[WatchFunction], event: Any) -> None:
        for watch in watches:
            self.handler.dispatch_callback(Callback("watch", watch, (event,)))


class _Handler:
    """The threads of a client: one for callbacks, and those that are spawned."""

    def __init__(self) -> None:
        self._callbacks: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = self.spawn(self._run)

    def stop(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            self._callbacks.put(None)
            thread.join()

    def spawn(self, func: Callable[..., None], *args: Any) -> threading.Thread:
        thread = threading.Thread(
            target=func, args=args, name="fake-zookeeper", daemon=True
        )
        thread.start()
        return thread

    def dispatch_callback(self, callback: Any) -> None:
        self._callbacks.put(callback)

    def _run(self) -> None:
        while (callback := self._callbacks.get()) is not None:
            callback.func(*callback.args)


class _Answer:
    """The answer to one request: a value, or an exception that `get` raises."""

    def __init__(self) -> None:
        self._is_set = threading.Event()
        self._outcome: Any = None

    @property
    def is_set(self) -> bool:
        return self._is_set.is_set()

    def set(self, outcome: Any) -> None:
        self._outcome = outcome
        self._is_set.set()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        if not self._is_set.wait(timeout if block else 0):
            raise KazooTimeoutError
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


def _outcome_of(serve: Callable[[], Any]) -> Any:
    try:
        return serve()
    except KazooException as exc:
        return exc
