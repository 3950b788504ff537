"""The session with ZooKeeper: kazoo's client, and what it leaves to its users.

kazoo connects, and connects again, by itself.  Here is what it does not do:

- it forgets all watches with each connection; they are set again, and what
  changed meanwhile is told, before any call of ours is sent on a new connection,
  so that an event comes before the news that a reader could find by itself;
- a request that is made while there is no connection waits without end in
  kazoo's queue; here the call waits, with a deadline, for the connection first;
- ``start_async`` called twice deadlocks; here it is called once.

Callbacks and listeners run one after another in kazoo's thread for them, which
they may block with further calls of the state, but for `close`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Final

from kazoo.client import KazooClient
from kazoo.exceptions import (
    ConnectionLoss,
    KazooException,
    NoNodeError,
    SessionExpiredError,
    WriterNotClosedException,
)
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.protocol.states import Callback as KazooCallback
from kazoo.protocol.states import EventType as KazooEventType
from kazoo.protocol.states import KazooState, KeeperState
from kazoo.retry import KazooRetry

from pacemaker.cluster_state.events import ConnectionState, EventType
from pacemaker.cluster_state.watches import (
    MaybeSeen,
    Seen,
    Watch,
    Watches,
    WatchKind,
    missed_event,
)
from pacemaker.config.keys import ZOOKEEPER_SERVERS
from pacemaker.config.settings import Settings
from pacemaker.config.values import WrongValueError, zookeeper_servers
from pacemaker.errors import ConfigError

_logger: Final = logging.getLogger(__name__)

# The longest pause between two attempts to connect.  kazoo's own is a minute, in
# which a session would end although ZooKeeper is back.
RECONNECT_PAUSE_MAX_S: Final = 2.0

CONNECTION_LOST: Final = (ConnectionLoss, SessionExpiredError)
"""kazoo's errors that leave open whether a request was served."""

_EVENT_TYPES: Final = {
    KazooEventType.CREATED: EventType.CREATED,
    KazooEventType.DELETED: EventType.DELETED,
    KazooEventType.CHANGED: EventType.DATA_CHANGED,
    KazooEventType.CHILD: EventType.CHILDREN_CHANGED,
}


class ZooKeeperSession:
    """One client of ZooKeeper, whose watches survive its connections.

    Args:
        settings: the servers, the session's timeout, the authentication.
        on_event: called once for each event of a watch, with the node's path as
            ZooKeeper knows it.
        on_state: called with each change of the connection.
    """

    def __init__(
        self,
        settings: Settings,
        on_event: Callable[[EventType, str], None],
        on_state: Callable[[ConnectionState], None],
    ) -> None:
        self.watches = Watches(self._hear)
        self._on_event = on_event
        self._on_state = on_state
        self._changed = threading.Condition()  # guards the three below
        self._is_ready = False
        self._end: str | None = None
        # Counts the changes of the connection, so that a restorer can tell
        # whether the connection that it served is still the one there is.
        self._change = 0
        # These two are the business of kazoo's connection thread alone, until
        # that has ended.
        self._was_connected = False
        self._restorer: threading.Thread | None = None
        self._timeout_s = settings.zookeeper_session_timeout_ms / 1000
        self.client = _kazoo_client(settings)
        self.client.add_listener(self._state_changed)

    def __repr__(self) -> str:
        state = self._end or ("ready" if self._is_ready else "not connected")
        return f"<ZooKeeperSession {state} watches={len(self.watches)}>"

    def start(self) -> None:
        """Begin to connect; `wait_ready` waits until that is done."""
        self.client.start_async()

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait for a connection on which all watches are set again.

        Returns:
            False where there was none in time, or there will be none.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_ready or self._end is not None, timeout_s
            )
            return self._is_ready

    @property
    def end(self) -> str | None:
        """Why there will be no connection any more, if so."""
        return self._end

    def close(self) -> None:
        """End the session, and its ephemeral nodes with it; may be called twice."""
        self._not_ready(end="it is closed")
        try:
            self.client.stop()
            self.client.close()
        except WriterNotClosedException:
            # Its thread is still waiting for a server, and ends with that.
            _logger.warning("the ZooKeeper client did not end in time")
        if self._restorer is not None:
            self._restorer.join()

    def _state_changed(self, state: Any) -> None:
        """Take a change of the connection; kazoo's connection thread must not wait."""
        if state == KazooState.CONNECTED:
            again = self._was_connected
            self._was_connected = True
            self._tell(
                ConnectionState.RECONNECTED if again else ConnectionState.CONNECTED
            )
            change = self._not_ready()
            self._restorer = self.client.handler.spawn(self._restore, change)
            return
        refused = self.client.client_state == KeeperState.AUTH_FAILED
        self._not_ready(end="the authentication was refused" if refused else None)
        self.watches.lost()
        lost = state == KazooState.LOST
        self._tell(ConnectionState.LOST if lost else ConnectionState.SUSPENDED)

    def _not_ready(self, end: str | None = None) -> int:
        with self._changed:
            self._is_ready = False
            self._end = self._end or end
            self._change += 1
            self._changed.notify_all()
            return self._change

    def _ready(self, change: int) -> None:
        with self._changed:
            if change == self._change:
                self._is_ready = True
                self._changed.notify_all()

    def _tell(self, state: ConnectionState) -> None:
        self._in_callback_thread(self._on_state, state)

    def _in_callback_thread(self, function: Callable[..., None], *args: Any) -> None:
        self.client.handler.dispatch_callback(KazooCallback("watch", function, args))

    def _hear(self, watch: Watch, event: Any) -> None:
        """Take an event of kazoo's; those of no type say that it forgets the watch."""
        kind = _EVENT_TYPES.get(event.type)
        if kind is not None:
            self._fire(watch, kind)

    def _fire(self, watch: Watch, kind: EventType) -> None:
        if self._end is None and self.watches.take(watch, kind):
            self._on_event(kind, watch.path)

    def _restore(self, change: int) -> None:
        """Set all watches again, in a thread of its own, and let the calls go on."""
        try:
            for watch in self.watches.to_restore():
                missed = self._look_again(watch)
                if missed is not None:
                    self._in_callback_thread(self._fire, watch, missed)
        except (*CONNECTION_LOST, KazooTimeoutError):
            # The next connection begins anew, with a thread of its own.
            return
        self._ready(change)

    def _look_again(self, watch: Watch) -> EventType | None:
        """Set one watch again; return what happened to its node meanwhile."""
        try:
            return missed_event(watch, self._look(watch))
        except CONNECTION_LOST:
            raise
        except KazooException as exc:
            # It may not be read any more, which its reader is to find out.
            _logger.info("cannot watch %s again: %r", watch.path, exc)
            children = watch.kind is WatchKind.CHILDREN
            return EventType.CHILDREN_CHANGED if children else EventType.DATA_CHANGED

    def _look(self, watch: Watch) -> MaybeSeen:
        # After a session's timeout without an answer kazoo has surely given the
        # connection up; without a limit, a request that comes in the moment of
        # the client's end would wait for ever.
        limit_s = self._timeout_s
        if watch.kind is WatchKind.NODE:
            stat = self.client.exists_async(watch.path, watch).get(timeout=limit_s)
            return seen_of(watch.kind, stat)
        answer = self.client.get_children_async(watch.path, watch, include_data=True)
        try:
            _, stat = answer.get(timeout=limit_s)
        except NoNodeError:
            return None
        return seen_of(watch.kind, stat)


def seen_of(kind: WatchKind, stat: Any) -> MaybeSeen:
    """Return what a stat, or its absence, says to a watch of this kind."""
    if stat is None:
        return None
    is_node = kind is WatchKind.NODE
    return Seen(stat.czxid, stat.mzxid if is_node else stat.pzxid)


def _kazoo_client(settings: Settings) -> Any:
    try:
        # Settings may also be made without a storm.yaml, which is checked.
        hosts = zookeeper_servers(list(settings.zookeeper_servers))
    except WrongValueError as exc:
        value = list(settings.zookeeper_servers)
        raise ConfigError(str(exc), key=ZOOKEEPER_SERVERS, value=value) from None
    return KazooClient(
        hosts=",".join(f"{_in_url(host)}:{settings.zookeeper_port}" for host in hosts),
        timeout=settings.zookeeper_session_timeout_ms / 1000,
        auth_data=_auth_data(settings),
        connection_retry=KazooRetry(max_tries=-1, max_delay=RECONNECT_PAUSE_MAX_S),
    )


def _in_url(host: str) -> str:
    # One with a comma is several hosts, of which the last gets the port.
    is_bare = ":" in host and "," not in host and not host.startswith("[")
    return f"[{host}]" if is_bare else host


def _auth_data(settings: Settings) -> list[tuple[str, str]]:
    """Return who this client is: the topology's credentials before the cluster's.

    As Storm's ZookeeperAuthInfo: each only where scheme and payload are set.
    """
    for scheme, payload in (
        (
            settings.zookeeper_topology_auth_scheme,
            settings.zookeeper_topology_auth_payload,
        ),
        (settings.zookeeper_auth_scheme, settings.zookeeper_auth_payload),
    ):
        if scheme is not None and payload is not None:
            return [(scheme, payload)]
    return []
