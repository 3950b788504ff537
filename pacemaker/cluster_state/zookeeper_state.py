"""What Storm keeps of a cluster in ZooKeeper: its ZKStateStorage.

The names are those of Storm's IStateStorage (2.8.3).  Paths are below
``storm.zookeeper.root``; slashes in them may be doubled, missing or trailing.

A ``watch`` asks to be told, once, when the node changes next: all callbacks that
are registered then are called.  Watches outlive the connection and the session:
what changed while there was none is told when there is one again.  An event may
come once more than there were changes, never less than once.

Each call takes at most ``storm.zookeeper.session.timeout``: by then a server
that is dead has been noticed and another one found, or there is none.  A lost
connection costs a call only time: a read is sent again, and what became of a
write is read back; see `pacemaker.cluster_state.operation`.

Besides the errors that a method names, each raises `UnavailableError` where
ZooKeeper does not answer in time and `NodeAccessError` where the node's ACL does
not allow it, each that writes `AnswerLostError` where the answer is lost and
reading back settles nothing, and all of them `ZooKeeperError`, the base of
these, where ZooKeeper refuses for any other reason, and `ValueError` for a path
with ``.`` or ``..`` in it.
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
from pacemaker.cluster_state.paths import below, normalize, parent
from pacemaker.cluster_state.session import ZooKeeperSession, seen_of
from pacemaker.cluster_state.watches import Watch, WatchKind
from pacemaker.config.settings import Settings

_logger: Final = logging.getLogger(__name__)

AnyState = TypeVar("AnyState", bound="ZooKeeperState")


class VersionedData(NamedTuple):
    """A node's data and how often they have been written before."""

    version: int
    data: bytes


class ZooKeeperState:
    """The nodes below ``storm.zookeeper.root``; any thread may call.

    Args:
        settings: where ZooKeeper is, the timeouts, the authentication.
        default_acls: the ACLs of nodes that are made without any; as Nimbus's
            unless given: `CREATOR_ALL` where storm.zookeeper.auth.scheme is set,
            else `OPEN`.
    """

    def __init__(self, settings: Settings, default_acls: Acls | None = None) -> None:
        self._root = normalize(settings.zookeeper_root)
        self._timeout_s = settings.zookeeper_session_timeout_ms / 1000
        self._connect_timeout_s = settings.zookeeper_connection_timeout_ms / 1000
        if default_acls is None:
            default_acls = CREATOR_ALL if settings.zookeeper_auth_scheme else OPEN
        self._default_acls = default_acls
        self._lock = threading.Lock()  # guards the two below
        self._callbacks: dict[str, Callback] = {}
        self._listeners: list[Listener] = []
        # Held for one create_sequential at a time: with two, the node of the one
        # could be taken for that of the other, whose answer was lost.
        self._sequential = threading.Lock()
        self._session = ZooKeeperSession(settings, self._on_event, self._on_state)

    def start(self) -> None:
        """Connect, and make the node ``storm.zookeeper.root``; to be called once.

        Raises:
            UnavailableError: there is no connection within
                storm.zookeeper.connection.timeout; the state is closed then.
        """
        try:
            self._session.start()
            op = Operation(self._session, "start", self._root, self._connect_timeout_s)
            with op:
                acls = self._default_acls
                nodes.make_directory(op, self._root, acls, acls)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the session; its ephemeral nodes go at once.  May be called twice.

        Where a server does not answer, this may take a session's timeout.  Not to be
        called by a callback or a listener, whose thread it ends.
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
        """Have a function called with each event of a watch.

        Args:
            callback: takes the type of the event and the node's path.  It may call
                the state; events that come meanwhile wait for it.

        Returns:
            What `unregister` takes.
        """
        callback_id = str(uuid.uuid4())
        with self._lock:
            self._callbacks[callback_id] = callback
        return callback_id

    def unregister(self, callback_id: str) -> None:
        """Have a callback called no more; an unknown id is let pass."""
        with self._lock:
            self._callbacks.pop(callback_id, None)

    def add_listener(self, listener: Listener) -> None:
        """Have a function called with each change of the connection from now on."""
        with self._lock:
            self._listeners.append(listener)

    def mkdirs(self, path: str, acls: Acls | None = None) -> None:
        """Create a node and those above it, where they are missing.

        Args:
            acls: the node's; those above it get the default ones.
        """
        with self._operation("mkdirs", path) as op:
            self._make_directory(op, self._full(path), acls)

    def create_sequential(
        self, path: str, data: bytes, acls: Acls | None = None
    ) -> str:
        """Create an ephemeral node with a growing number behind its name.

        Returns:
            The path of the node, with its number.
        """
        with self._operation("create_sequential", path) as op, self._sequential:
            full = self._full(path)
            return self._path(nodes.create_sequential(op, full, data, self._acls(acls)))

    def set_ephemeral_node(
        self, path: str, data: bytes, acls: Acls | None = None
    ) -> None:
        """Create a node that goes with this session, or write the one that is there.

        After a session that ZooKeeper has ended, the node is gone, and must be set
        again: `ConnectionState.LOST` tells a listener so.  As in Storm, a node that
        is there already is written and keeps its owner, be it nobody.
        """
        self._put("set_ephemeral_node", path, data, acls, is_ephemeral=True)

    def set_data(self, path: str, data: bytes, acls: Acls | None = None) -> None:
        """Write a node's data; where it is missing, it and those above are created.

        Args:
            acls: of the node and the one above it, as far as they are created; as in
                Storm, those of nodes that are there stay.
        """
        self._put("set_data", path, data, acls, is_ephemeral=False)

    def delete_node(self, path: str) -> None:
        """Delete a node and all below it; one that is not there is let pass.

        Where it fails, a part of what is below may have been deleted.
        """
        with self._operation("delete_node", path) as op:
            nodes.delete_tree(op, self._full(path))

    def delete_node_blobstore(self, path: str, nimbus_host_port_info: str) -> None:
        """Delete those children of a blob's node that a Nimbus has put there.

        Args:
            path: the blob's node; one that is not there is let pass.
            nimbus_host_port_info: how their names begin: the Nimbus' host and port.
        """
        with self._operation("delete_node_blobstore", path) as op:
            full = self._full(path)
            try:
                names, _ = nodes.children_of(op, full)
            except NoNodeError:
                return
            for name in names:
                if name.startswith(nimbus_host_port_info):
                    nodes.delete_tree(op, below(full, name))

    def node_exists(self, path: str, watch: bool = False) -> bool:
        """Tell whether there is a node; a watch waits for one where there is none."""
        with self._operation("node_exists", path) as op:
            return self._stat(op, path, watch) is not None

    def get_version(self, path: str, watch: bool = False) -> int | None:
        """Return how often a node's data have been written since its creation.

        Returns:
            None where there is no node, for which a watch waits then.
        """
        with self._operation("get_version", path) as op:
            stat = self._stat(op, path, watch)
            return None if stat is None else stat.version

    def get_children(self, path: str, watch: bool = False) -> list[str]:
        """Return the names of a node's children, in any order.

        Raises:
            NodeMissingError: there is no such node, and no watch is set.
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
            None where there is no node, for which a watch waits then.
        """
        with self._operation("get_data", path) as op:
            data: bytes | None
            data, _ = self._read(op, WatchKind.NODE, path, watch, _read_data)
            return data

    def get_data_with_version(
        self, path: str, watch: bool = False
    ) -> VersionedData | None:
        """Return a node's data and how often they have been written before.

        Returns:
            None where there is no node, for which a watch waits then.
        """
        with self._operation("get_data_with_version", path) as op:
            data, stat = self._read(op, WatchKind.NODE, path, watch, _read_data)
            return None if data is None else VersionedData(stat.version, data)

    def sync_path(self, path: str) -> None:
        """Have later reads see what others have written before this call."""
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
        """Read a node and, if asked to, leave a watch that surely stands."""
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
            if watches.saw(armed, seen_of(kind, stat)):
                return value, stat

    def _operation(self, name: str, path: str) -> Operation:
        return Operation(self._session, name, path, self._timeout_s)

    def _acls(self, acls: Acls | None) -> Acls:
        return self._default_acls if acls is None else acls

    def _full(self, path: str) -> str:
        return below(self._root, path)

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
    """Read data and stat; where there is no node, leave the watch for one to come."""
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
    """Call a user's function; what it raises must not keep the others from theirs."""
    try:
        function(*args)
    except Exception:
        _logger.exception("a callback failed: %r", function)
