"""Keep track of watches, so that they survive the end of a connection.

ZooKeeper reports a watched node's next change once.  Unlike ZooKeeper's Java client,
kazoo forgets all watches when their connection ends.  So they are also kept here, each
with the state of the node that its reader saw.  On a new connection each node is read
again, which sets the watch again; if the node has changed since, the change is reported
at once.

There is one watch per node and kind, however often it is requested, and a change is
reported once: ZooKeeper reports a deletion to the watches of both kinds, and only the
first report counts.

A watch is armed before the node is read, because its event may arrive before the reader
has seen the answer.  Afterwards `note_seen` returns whether the watch is still set.  If
it is not, because an event has consumed it or the connection has ended, the reader
reads again.  So the value that was read last is always watched.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

from pacemaker.cluster_state.events import EventType


class WatchKind(enum.Enum):
    """Which part of a node is watched: the node and its data, or its children."""

    NODE = "node"
    CHILDREN = "children"


class Seen(NamedTuple):
    """The state of a node that a reader saw, as ZooKeeper transaction ids.

    Attributes:
        created: the transaction that created the node.
        changed: the last one that changed its data, or its list of children.
    """

    created: int
    changed: int


# None means that the node did not exist.
MaybeSeen: TypeAlias = Seen | None

# The watches that an event of ZooKeeper consumes.
_KINDS: Final[dict[EventType, tuple[WatchKind, ...]]] = {
    EventType.CREATED: (WatchKind.NODE,),
    EventType.DATA_CHANGED: (WatchKind.NODE,),
    EventType.CHILDREN_CHANGED: (WatchKind.CHILDREN,),
    EventType.DELETED: (WatchKind.NODE, WatchKind.CHILDREN),
}


class Watch:
    """One watch; the ZooKeeper client calls it with its events.

    Attributes:
        kind: what is watched.
        path: the node's full path.
        seen: the state that its first reader saw; meaningless until `is_seen`.
        is_seen: whether a reader has seen the node.
        readers: the number of readers that have armed it but not seen the node yet.
    """

    def __init__(
        self, kind: WatchKind, path: str, on_event: Callable[[Watch, Any], None]
    ) -> None:
        self.kind = kind
        self.path = path
        self.seen: MaybeSeen = None
        self.is_seen = False
        self.readers = 0
        self._on_event = on_event

    def __call__(self, event: Any) -> None:
        """Handle an event from the ZooKeeper client."""
        self._on_event(self, event)

    def __repr__(self) -> str:
        return f"<Watch {self.kind.value} {self.path} seen={self.seen}>"


@dataclass(frozen=True, slots=True)
class Armed:
    """A watch as armed by one reader, with the connection at that time."""

    watch: Watch
    connection: int


class Watches:
    """All watches of one client.  Thread-safe.

    Args:
        on_event: called with each watch and event from the ZooKeeper client.
    """

    def __init__(self, on_event: Callable[[Watch, Any], None]) -> None:
        self._on_event = on_event
        self._lock = (
            threading.Lock()
        )  # guards everything below, and the fields of each Watch
        self._watches: dict[tuple[WatchKind, str], Watch] = {}
        self._connection = 0

    def arm(self, kind: WatchKind, path: str) -> Armed:
        """Return the watch for a read; `note_seen` or `disarm` must follow."""
        with self._lock:
            key = (kind, path)
            if key not in self._watches:
                self._watches[key] = Watch(kind, path, self._on_event)
            watch = self._watches[key]
            watch.readers += 1
            return Armed(watch, self._connection)

    def note_seen(self, armed: Armed, seen: MaybeSeen) -> bool:
        """Note the state that a reader saw; return whether the watch is still set.

        The first reader's state is kept, because a change since then is yet to be
        reported.
        """
        watch = armed.watch
        with self._lock:
            watch.readers -= 1
            if armed.connection != self._connection:
                self._drop_unseen(watch)
                return False
            if not watch.is_seen:
                watch.is_seen, watch.seen = True, seen
            return self._is_current(watch)

    def disarm(self, armed: Armed) -> None:
        """Withdraw a watch whose reader has failed."""
        with self._lock:
            armed.watch.readers -= 1
            self._drop_unseen(armed.watch)

    def take(self, watch: Watch, event: EventType) -> bool:
        """Remove a watch for its event; return False if another event was first."""
        with self._lock:
            if not self._is_current(watch):
                return False
            for kind in _KINDS[event]:
                self._watches.pop((kind, watch.path), None)
            return True

    def connection_lost(self) -> None:
        """Note that the connection has ended, and its watches with it."""
        with self._lock:
            self._connection += 1

    def to_restore(self) -> list[Watch]:
        """Return the watches to set again; readers of the others will read again."""
        with self._lock:
            return [watch for watch in self._watches.values() if watch.is_seen]

    def __len__(self) -> int:
        with self._lock:
            return len(self._watches)

    def _is_current(self, watch: Watch) -> bool:
        return self._watches.get((watch.kind, watch.path)) is watch

    def _drop_unseen(self, watch: Watch) -> None:
        if not watch.readers and not watch.is_seen and self._is_current(watch):
            del self._watches[watch.kind, watch.path]


def missed_event(watch: Watch, seen: MaybeSeen) -> EventType | None:
    """Return the event that a watch has missed, if any.

    Args:
        watch: the watch, with the state seen before.
        seen: the state seen now.
    """
    if seen == watch.seen:
        return None
    if seen is None:
        return EventType.DELETED
    if watch.kind is WatchKind.CHILDREN:
        return EventType.CHILDREN_CHANGED
    return EventType.CREATED if watch.seen is None else EventType.DATA_CHANGED
