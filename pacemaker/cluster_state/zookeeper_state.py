"""The part of a cluster's state that is in ZooKeeper: Storm's ZKStateStorage.

The names are those of Storm's IStateStorage (2.8.3).  Paths are relative to
``storm.zookeeper.root``, and may have doubled, missing or trailing slashes.

A ``watch`` requests one notification of the node's next change; it goes to all
callbacks that are registered at that time.  Watches survive the connection and the
session: changes that happened without a connection are reported on the next one.  Each
change is reported at least once; sometimes one event too many is reported.

Each call takes at most ``storm.zookeeper.session.timeout``.  By then the client has
replaced a dead server with another one, or none is available.  A lost connection only
delays a call: a read is sent again, and the outcome of a write is read back; see
`pacemaker.cluster_state.operation`.

Besides the errors that a method lists, every method can raise:

- `UnavailableError` if ZooKeeper does not answer in time;
- `NodeAccessError` if the node's ACL does not allow the call;
- `AnswerLostError`, if it writes, the answer is lost and reading back decides nothing;
- `ZooKeeperError`, the base of these, if ZooKeeper refuses for another reason;
- `ValueError` for a path that contains ``.`` or ``..``.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, NamedTuple, TypeVar

from kazoo.exceptions import NoNodeError

from pacemaker.cluster_state import nodes
from pacemaker.cluster_state.acls import CREATOR_ALL, OPEN, Acls
from pacemaker.cluster_state.events import (
    Callback,
    ConnectionState,
    EventType,
    Listener,
)
from pacemaker.cluster_state.operation import Operation
from pacemaker.cluster_state.paths import join_path, normalize, parent
from pacemaker.cluster_state.watches import Watch, WatchKind
from pacemaker.cluster_state.zookeeper_client import MakeClient, kazoo_client
from pacemaker.cluster_state.zookeeper_session import ZooKeeperSession, seen_of
from pacemaker.config.settings import Settings

_logger: Final = logging.getLogger(__name__)

AnyState = TypeVar("AnyState", bound="ZooKeeperState")


class VersionedData(NamedTuple):
    """A node's data and the number of writes since its creation."""

    version: int
    data: bytes


class ZooKeeperState:
    """The nodes below ``storm.zookeeper.root``.  Thread-safe.

    Args:
        settings: the ZooKeeper servers, the timeouts, the authentication.
        default_acls: the ACLs of nodes that are created without any.  By default the
            same as Nimbus': `CREATOR_ALL` if storm.zookeeper.auth.scheme is set,
            otherwise `OPEN`.
        make_client: returns the client of one session with ZooKeeper.
    """

    def __init__(
        self,
        settings: Settings,
        default_acls: Acls | None = None,
        make_client: MakeClient = kazoo_client,
    ) -> None:
        self._root = normalize(settings.zookeeper_root)
        self._timeout_s = settings.zookeeper_session_timeout_ms / 1000
        self._connect_timeout_s = settings.zookeeper_connection_timeout_ms / 1000
        if default_acls is None:
            default_acls = CREATOR_ALL if settings.zookeeper_auth_scheme else OPEN
        self._default_acls = default_acls
        self._lock = threading.Lock()  # guards the two below
        self._callbacks: dict[str, Callback] = {}
        self._listeners: list[Listener] = []
        # Allows one create_sequential at a time.  With two, if the answer of one is
        # lost, the other's node could be mistaken for its own.
        self._sequential = threading.Lock()
        self._session = ZooKeeperSession(
            make_client(settings), self._timeout_s, self._on_event, self._on_state
        )

    def start(self, *, creates_root: bool = True) -> None:
        """Connect and create the node ``storm.zookeeper.root``; must be called once.

        Args:
            creates_root: False for a program that only reads; the root must then exist.

        Raises:
            NodeMissingError: the root does not exist and is not to be created.
            UnavailableError: there is no connection within
                storm.zookeeper.connection.timeout; the state is then closed.
        """
        try:
            self._session.start()
            op = Operation(self._session, "start", self._root, self._connect_timeout_s)
            with op:
                acls = self._default_acls
                if creates_root:
                    nodes.make_directory(op, self._root, acls, acls)
                elif nodes.stat_of(op, self._root) is None:
                    raise NoNodeError  # which the operation translates
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the session, which removes its ephemeral nodes.  May be called twice.

        If a server does not answer, this may take a session timeout.  It must not be
        called from a callback or a listener, because it ends their thread.
        """
        self._session.close()

    def __enter__(self: AnyState) -> AnyState:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._root} {self._session!r}>"

    def register(self, callback: Callback) -> str:
        """Register a callback for all watch events.

        Args:
            callback: called with the type of the event and the node's path.  It may
                use the state; further events wait until it returns.

        Returns:
            The id to pass to `unregister`.
        """
        callback_id = str(uuid.uuid4())
        with self._lock:
            self._callbacks[callback_id] = callback
        return callback_id

    def unregister(self, callback_id: str) -> None:
        """Remove a callback; an unknown id is ignored."""
        with self._lock:
            self._callbacks.pop(callback_id, None)

    def add_listener(self, listener: Listener) -> None:
        """Register a listener for changes of the connection from now on."""
        with self._lock:
            self._listeners.append(listener)

    def mkdirs(self, path: str, acls: Acls | None = None) -> None:
        """Create a node and its parents, unless they exist.

        Args:
            acls: the node's ACLs; its parents get the default ones.
        """
        with self._operation("mkdirs", path) as op:
            self._make_directory(op, self._full(path), acls)

    def create_sequential(
        self, path: str, data: bytes, acls: Acls | None = None
    ) -> str:
        """Create an ephemeral node with an increasing number appended to its name.

        Returns:
            The path of the node, with its number.
        """
        with self._operation("create_sequential", path) as op, self._sequential:
            full = self._full(path)
            return self._path(nodes.create_sequential(op, full, data, self._acls(acls)))

    def set_ephemeral_node(
        self, path: str, data: bytes, acls: Acls | None = None
    ) -> None:
        """Create a node that lives as long as this session, or write an existing one.

        When ZooKeeper ends the session, it removes the node, and the caller must set it
        again; a listener receives `ConnectionState.LOST`.  As in Storm, an existing
        node keeps its owner, or stays permanent if it has none.
        """
        self._put("set_ephemeral_node", path, data, acls, is_ephemeral=True)

    def set_data(self, path: str, data: bytes, acls: Acls | None = None) -> None:
        """Write a node's data; create the node and its parents if they are missing.

        Args:
            acls: the ACLs for the node and its parent if they are created; as in
                Storm, existing nodes keep theirs.
        """
        self._put("set_data", path, data, acls, is_ephemeral=False)

    def delete_node(self, path: str) -> None:
        """Delete a node and everything below it; a missing node is ignored.

        If the call fails, part of the subtree may have been deleted.
        """
        with self._operation("delete_node", path) as op:
            nodes.delete_tree(op, self._full(path))

    def delete_node_blobstore(self, path: str, nimbus_host_port_info: str) -> None:
        """Delete the children of a blob's node that a Nimbus has created.

        Args:
            path: the blob's node; a missing node is ignored.
            nimbus_host_port_info: the Nimbus' host and port, with which the names of
                these children begin.
        """
        with self._operation("delete_node_blobstore", path) as op:
            full = self._full(path)
            try:
                names, _ = nodes.children_of(op, full)
            except NoNodeError:
                return
            for name in names:
                if name.startswith(nimbus_host_port_info):
                    nodes.delete_tree(op, join_path(full, name))

    def node_exists(self, path: str, watch: bool = False) -> bool:
        """Return whether a node exists; if not, a watch waits for its creation."""
        with self._operation("node_exists", path) as op:
            return self._stat(op, path, watch) is not None

    def get_version(self, path: str, watch: bool = False) -> int | None:
        """Return the number of writes to a node's data since its creation.

        Returns:
            None if the node does not exist; a watch then waits for its creation.
        """
        with self._operation("get_version", path) as op:
            stat = self._stat(op, path, watch)
            return None if stat is None else stat.version

    def get_children(self, path: str, watch: bool = False) -> list[str]:
        """Return the names of a node's children, in any order.

        Raises:
            NodeMissingError: there is no such node; no watch is set then.
        """

        def read(
            op: Operation, full: str, watch: Watch | None
        ) -> tuple[list[str], Any]:
            names, stat = op.read(
                lambda client: client.get_children_async(full, watch, include_data=True)
            )
            return names, stat

        with self._operation("get_children", path) as op:
            names: list[str]
            names, _ = self._read(op, WatchKind.CHILDREN, path, watch, read)
            return names

    def get_data(self, path: str, watch: bool = False) -> bytes | None:
        """Return a node's data.

        Returns:
            None if the node does not exist; a watch then waits for its creation.
        """
        with self._operation("get_data", path) as op:
            data: bytes | None
            data, _ = self._read(op, WatchKind.NODE, path, watch, _read_data)
            return data

    def get_data_with_version(
        self, path: str, watch: bool = False
    ) -> VersionedData | None:
        """Return a node's data and the number of writes since its creation.

        Returns:
            None if the node does not exist; a watch then waits for its creation.
        """
        with self._operation("get_data_with_version", path) as op:
            data, stat = self._read(op, WatchKind.NODE, path, watch, _read_data)
            return None if data is None else VersionedData(stat.version, data)

    def sync_path(self, path: str) -> None:
        """Make later reads see everything that others wrote before this call."""
        with self._operation("sync_path", path) as op:
            full = self._full(path)
            op.read(lambda client: client.sync_async(full))

    def _put(
        self,
        name: str,
        path: str,
        data: bytes,
        acls: Acls | None,
        *,
        is_ephemeral: bool,
    ) -> None:
        with self._operation(name, path) as op:
            full = self._full(path)
            self._make_directory(op, self._full(parent(path)), acls)
            nodes.put(op, full, data, self._acls(acls), is_ephemeral=is_ephemeral)

    def _make_directory(self, op: Operation, full: str, acls: Acls | None) -> None:
        nodes.make_directory(op, full, self._acls(acls), self._default_acls)

    def _stat(self, op: Operation, path: str, watch: bool) -> Any:
        def read(op: Operation, full: str, watch: Watch | None) -> tuple[None, Any]:
            return None, op.read(lambda client: client.exists_async(full, watch))

        return self._read(op, WatchKind.NODE, path, watch, read)[1]

    def _read(
        self,
        op: Operation,
        kind: WatchKind,
        path: str,
        watch: bool,
        read: Callable[[Operation, str, Watch | None], tuple[Any, Any]],
    ) -> tuple[Any, Any]:
        """Read a node and, if requested, leave a watch that is certain to be set."""
        full = self._full(path)
        if not watch:
            return read(op, full, None)
        watches = self._session.watches
        while True:
            armed = watches.arm(kind, full)
            try:
                value, stat = read(op, full, armed.watch)
            except BaseException:
                watches.disarm(armed)
                raise
            if watches.note_seen(armed, seen_of(kind, stat)):
                return value, stat

    def _operation(self, name: str, path: str) -> Operation:
        return Operation(self._session, name, path, self._timeout_s)

    def _acls(self, acls: Acls | None) -> Acls:
        return self._default_acls if acls is None else acls

    def _full(self, path: str) -> str:
        return join_path(self._root, path)

    def _path(self, full: str) -> str:
        return normalize(full.removeprefix(self._root))

    def _on_event(self, kind: EventType, full: str) -> None:
        with self._lock:
            callbacks = list(self._callbacks.values())
        for callback in callbacks:
            _call(callback, kind, self._path(full))

    def _on_state(self, state: ConnectionState) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            _call(listener, state)


def _read_data(
    op: Operation, full: str, watch: Watch | None
) -> tuple[bytes | None, Any]:
    """Read data and stat; if there is no node, set the watch for its creation."""
    while True:
        try:
            data, stat = op.read(lambda client: client.get_async(full, watch))
        except NoNodeError:
            if watch is None:
                return None, None
        else:
            return data, stat
        if op.read(lambda client: client.exists_async(full, watch)) is None:
            return None, None


def _call(function: Callable[..., None], *args: object) -> None:
    """Call a user's function; log its exception so that the other functions run."""
    try:
        function(*args)
    except Exception:
        _logger.exception("a callback failed: %r", function)
