"""The clients of a fake ZooKeeper: what the cluster state uses of kazoo's client.

`pacemaker.testing.zookeeper` has the links that a test breaks.  A client sends each
request over its link, which carries it to the server or catches it.
"""

from __future__ import annotations

import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from kazoo.exceptions import (
    AuthFailedError,
    ConnectionClosedError,
    ConnectionLoss,
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

from pacemaker.cluster_state.zookeeper_client import WatchFunction, credentials
from pacemaker.config.settings import Settings
from pacemaker.testing.znodes import OPEN, SessionIdentity, Znodes, digest_identity

# ZooKeeper's default of jute.maxbuffer; it ends the connection for a larger request.
MAX_REQUEST_BYTES: Final = 0xFFFFF


class FakeServerState:
    """The part of a fake ZooKeeper that its links and clients share."""

    def __init__(self) -> None:
        # Guards the server, its links and its clients.  Reentrant, because a request
        # that is too large ends its own connection.
        self.lock = threading.RLock()
        self.nodes = Znodes(self._report)
        self.clients: list[FakeKazooClient] = []
        self._sessions = 0

    def new_session(self) -> int:
        """Return the id of a new session."""
        self._sessions += 1
        return self._sessions

    def _report(self, kind: Any, path: str) -> None:
        for client in self.clients:
            client.on_event(kind, path)


class RequestCarrier(Protocol):
    """What a client needs from the link that carries its requests."""

    is_open: bool

    def carry(
        self, request: str, serve: Callable[[], Any], answer: FakeAsyncResult
    ) -> None:
        """Carry a request to the server, and its answer back, or catch one of them."""


class FakeKazooClient:
    """A client; see `pacemaker.cluster_state.zookeeper_client.ZooKeeperClient`."""

    def __init__(
        self, server: FakeServerState, link: RequestCarrier, settings: Settings
    ) -> None:
        self.handler = FakeHandler()
        self.client_state = KeeperState.CLOSED
        self.client_id: tuple[int, bytes] | None = None
        self.last_zxid = 0
        self._server = server
        self._link = link
        self._lock = server.lock  # guards all of this object
        self._credentials = credentials(settings)
        self._listeners: list[Callable[[Any], object]] = []
        # Unanswered requests: sent ones, and those that wait for a connection.
        self._unanswered: list[FakeAsyncResult] = []
        self._queue: list[tuple[str, Callable[[], Any], FakeAsyncResult]] = []
        self._node_watches: defaultdict[str, set[WatchFunction]] = defaultdict(set)
        self._child_watches: defaultdict[str, set[WatchFunction]] = defaultdict(set)
        # The session on the server's side.  The client is told of its end later, and
        # may be closed while it has no connection to end the session.
        self._live_session: int | None = None
        self._is_stopped = False

    def add_listener(self, listener: Callable[[Any], object]) -> None:
        """Call a function with each new state of the connection."""
        with self._lock:
            self._listeners.append(listener)

    def start_async(self) -> None:
        """Begin to connect."""
        with self._lock:
            self.handler.start()
            self.client_state = KeeperState.CONNECTING
            self._server.clients.append(self)
            if self._link.is_open:
                self.connect()

    def stop(self) -> None:
        """End the session, if the server can be reached."""
        with self._lock:
            if not self._is_stopped:
                self._is_stopped = True
                self._close()
        self.handler.stop()

    def close(self) -> None:
        """Do nothing: the client has no descriptors."""

    def exists_async(
        self, path: str, watch: WatchFunction | None = None
    ) -> FakeAsyncResult:
        """Send a request for a node's stat; None if there is no node."""

        def serve() -> Any:
            stat = self._nodes.exists(self._session, path)
            self._watch(self._node_watches, path, watch)
            return stat

        return self._send("exists", serve)

    def get_async(
        self, path: str, watch: WatchFunction | None = None
    ) -> FakeAsyncResult:
        """Send a request for a node's value and stat."""

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
    ) -> FakeAsyncResult:
        """Send a request for the names of a node's children."""

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
    ) -> FakeAsyncResult:
        """Send a request to create a node."""

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

    def set_async(self, path: str, value: bytes) -> FakeAsyncResult:
        """Send a request to change a node's value."""
        return self._send(
            "set", lambda: self._nodes.set(self._session, path, value), len(value)
        )

    def delete_async(self, path: str) -> FakeAsyncResult:
        """Send a request to delete a node."""
        return self._send("delete", lambda: self._nodes.delete(self._session, path))

    def sync_async(self, path: str) -> FakeAsyncResult:
        """Send a request after which reads see all earlier writes."""
        return self._send("sync", lambda: path)

    @property
    def _nodes(self) -> Znodes:
        return self._server.nodes

    @property
    def _session(self) -> SessionIdentity:
        assert self.client_id is not None  # noqa: S101  (there is a connection)
        identities = tuple(digest_identity(each) for _, each in self._credentials)
        return SessionIdentity(self.client_id[0], identities)

    def _send(
        self, request: str, serve: Callable[[], Any], size_bytes: int = 0
    ) -> FakeAsyncResult:
        answer = FakeAsyncResult()
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

    def _carry(
        self, request: str, serve: Callable[[], Any], answer: FakeAsyncResult
    ) -> None:
        self._link.carry(request, serve, answer)
        if answer.is_set:
            self._unanswered.remove(answer)
            self.last_zxid = self._nodes.zxid

    def connect(self) -> None:
        """Take the session up again, or begin one, and send what waits for it."""
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
        """Fail the unanswered requests, and drop the watches."""
        if self.client_state != KeeperState.CONNECTED:
            return
        self.client_state = KeeperState.CONNECTING
        self._fail_requests(ConnectionLoss())
        self._tell(KazooState.SUSPENDED)
        self._drop_watches()

    def expire(self) -> None:
        """End the session on the server's side; the client is told when it connects."""
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
        """Call the watches that a change of a node sets off."""
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


class FakeHandler:
    """The threads of a client: one for callbacks, and those that are spawned."""

    def __init__(self) -> None:
        self._callbacks: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread of the callbacks."""
        self._thread = self.spawn(self._run)

    def stop(self) -> None:
        """End that thread, after the callbacks that are queued."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._callbacks.put(None)
            thread.join()

    def spawn(self, func: Callable[..., None], *args: Any) -> threading.Thread:
        """Run a function on a thread of its own."""
        thread = threading.Thread(
            target=func, args=args, name="fake-zookeeper", daemon=True
        )
        thread.start()
        return thread

    def dispatch_callback(self, callback: Any) -> None:
        """Queue a callback."""
        self._callbacks.put(callback)

    def _run(self) -> None:
        while (callback := self._callbacks.get()) is not None:
            callback.func(*callback.args)


class FakeAsyncResult:
    """The answer to one request: a value, or an exception that `get` raises."""

    def __init__(self) -> None:
        self._is_set = threading.Event()
        self._outcome: Any = None

    @property
    def is_set(self) -> bool:
        """Whether it has arrived."""
        return self._is_set.is_set()

    def set(self, outcome: Any) -> None:
        """Let it arrive."""
        self._outcome = outcome
        self._is_set.set()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Return the value, or raise the exception; wait for it if asked to."""
        if not self._is_set.wait(timeout if block else 0):
            raise KazooTimeoutError
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome
