"""The session with ZooKeeper: kazoo's client, and what kazoo leaves to its users.

kazoo connects and reconnects by itself.  This module adds three things:

- kazoo forgets all watches with each connection.  Here they are set again, and missed
  changes are reported, before any of our calls is sent on a new connection.  So an
  event arrives before a reader could discover the change by itself.
- kazoo queues a request without a time limit if there is no connection.  Here the call
  first waits for the connection, with a deadline.
- Calling ``start_async`` twice deadlocks; here it is called once.

Callbacks and listeners run one after another in kazoo's callback thread.  They may
block it with any call of the state except `close`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Final

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

from pacemaker.cluster_state.events import ConnectionState, EventType
from pacemaker.cluster_state.watches import (
    MaybeSeen,
    Seen,
    Watch,
    Watches,
    WatchKind,
    missed_event,
)
from pacemaker.cluster_state.zookeeper_client import ZooKeeperClient

_logger: Final = logging.getLogger(__name__)

# kazoo's errors after which a request may or may not have been served.
CONNECTION_LOST_ERRORS: Final = (ConnectionLoss, SessionExpiredError)

_EVENT_TYPES: Final = {
    KazooEventType.CREATED: EventType.CREATED,
    KazooEventType.DELETED: EventType.DELETED,
    KazooEventType.CHANGED: EventType.DATA_CHANGED,
    KazooEventType.CHILD: EventType.CHILDREN_CHANGED,
}


class ZooKeeperSession:
    """A ZooKeeper client whose watches survive its connections.

    Args:
        client: not started yet.
        timeout_s: the session timeout.
        on_event: called once for each watch event, with the node's full path.
        on_state: called with each change of the connection.
    """

    def __init__(
        self,
        client: ZooKeeperClient,
        timeout_s: float,
        on_event: Callable[[EventType, str], None],
        on_state: Callable[[ConnectionState], None],
    ) -> None:
        self.watches = Watches(self._on_watch_event)
        self._on_event = on_event
        self._on_state = on_state
        self._changed = threading.Condition()  # guards the next three
        self._is_ready = False
        self._end: str | None = None
        # Counts the changes of the connection, so that a restorer can tell whether its
        # connection is still the current one.
        self._change = 0
        # Used only by kazoo's connection thread, until it has ended.
        self._was_connected = False
        self._restorer: threading.Thread | None = None
        self._timeout_s = timeout_s
        self.client = client
        self.client.add_listener(self._state_changed)

    def __repr__(self) -> str:
        state = self._end or ("ready" if self._is_ready else "not connected")
        return f"<ZooKeeperSession {state} watches={len(self.watches)}>"

    def start(self) -> None:
        """Start to connect; `wait_ready` waits for the connection."""
        self.client.start_async()

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait for a connection on which all watches are set again.

        Returns:
            False if there was none in time, or there will never be one.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_ready or self._end is not None, timeout_s
            )
            return self._is_ready

    @property
    def end(self) -> str | None:
        """Why there will be no further connection; None if there may be one."""
        return self._end

    def close(self) -> None:
        """End the session and its ephemeral nodes; may be called twice."""
        self._not_ready(end="it is closed")
        try:
            self.client.stop()
            self.client.close()
        except WriterNotClosedException:
            # Its thread still waits for a server, and will end after that.
            _logger.warning("the ZooKeeper client did not stop in time")
        if self._restorer is not None:
            self._restorer.join()

    def _state_changed(self, state: Any) -> None:
        """Handle a change of the connection, without blocking kazoo's thread."""
        if state == KazooState.CONNECTED:
            again = self._was_connected
            self._was_connected = True
            self._report_state(
                ConnectionState.RECONNECTED if again else ConnectionState.CONNECTED
            )
            change = self._not_ready()
            self._restorer = self.client.handler.spawn(self._restore, change)
            return
        refused = self.client.client_state == KeeperState.AUTH_FAILED
        self._not_ready(end="authentication was refused" if refused else None)
        self.watches.connection_lost()
        lost = state == KazooState.LOST
        self._report_state(ConnectionState.LOST if lost else ConnectionState.SUSPENDED)

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

    def _report_state(self, state: ConnectionState) -> None:
        self._in_callback_thread(self._on_state, state)

    def _in_callback_thread(self, function: Callable[..., None], *args: Any) -> None:
        self.client.handler.dispatch_callback(KazooCallback("watch", function, args))

    def _on_watch_event(self, watch: Watch, event: Any) -> None:
        """Handle an event from kazoo; an event without a type only drops the watch."""
        kind = _EVENT_TYPES.get(event.type)
        if kind is not None:
            self._fire(watch, kind)

    def _fire(self, watch: Watch, kind: EventType) -> None:
        if self._end is None and self.watches.take(watch, kind):
            self._on_event(kind, watch.path)

    def _restore(self, change: int) -> None:
        """Set all watches again, in a separate thread, then release the calls."""
        try:
            for watch in self.watches.to_restore():
                missed = self._set_again(watch)
                if missed is not None:
                    self._in_callback_thread(self._fire, watch, missed)
        except (*CONNECTION_LOST_ERRORS, KazooTimeoutError):
            # The next connection starts over with its own thread.
            return
        self._ready(change)

    def _set_again(self, watch: Watch) -> EventType | None:
        """Set one watch again; return the event that it missed, if any."""
        try:
            return missed_event(watch, self._read_and_watch(watch))
        except CONNECTION_LOST_ERRORS:
            raise
        except KazooException as exc:
            # Perhaps it may no longer be read; report a change so that its reader
            # finds out.
            _logger.info("cannot watch %s again: %r", watch.path, exc)
            children = watch.kind is WatchKind.CHILDREN
            return EventType.CHILDREN_CHANGED if children else EventType.DATA_CHANGED

    def _read_and_watch(self, watch: Watch) -> MaybeSeen:
        # After a session timeout without an answer, kazoo has certainly given up the
        # connection.  Without a limit, a request sent just as the client stops would
        # wait forever.
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
    """Return the state that a stat, or its absence, means for this kind of watch."""
    if stat is None:
        return None
    is_node = kind is WatchKind.NODE
    return Seen(stat.czxid, stat.mzxid if is_node else stat.pzxid)
