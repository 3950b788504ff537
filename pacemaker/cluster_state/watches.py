"""The watches that are set, so that none is forgotten when a connection ends.

ZooKeeper tells of a watched node's next change once.  kazoo keeps the watches
of one connection and forgets them with it, unlike ZooKeeper's Java client.  So
they are kept here as well, each with what its reader saw of the node: when there
is a connection again, the node is read again, which sets the watch anew, and
where it is no longer as it was seen, the change is told at once.

There is one watch for each node and kind, however often it is asked for, and a
change is told once: ZooKeeper tells of a deletion to the watches of both kinds,
and only the first to hear of it is listened to.

A watch is armed before the node is read, because its event may come before the
reader has looked at the answer.  `saw` says afterwards whether the watch still
stands; where it does not, since an event took it or the connection ended, the
reader reads again, so that what was read last is always watched.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

from pacemaker.cluster_state.events import EventType


class WatchKind(enum.Enum):
    """What of a node is watched: itself and its data, or its list of children."""

    NODE = "node"
    CHILDREN = "children"


class Seen(NamedTuple):
    """What a reader saw of a node, in transaction ids of ZooKeeper.

    Attributes:
        created: of its creation.
        changed: of its last change: of the data, or of the list of children.
    """

    created: int
    changed: int


MaybeSeen: TypeAlias = Seen | None
"""None is a node that is not there."""

_KINDS: Final[dict[EventType, tuple[WatchKind, ...]]] = {
    EventType.CREATED: (WatchKind.NODE,),
    EventType.DATA_CHANGED: (WatchKind.NODE,),
    EventType.CHILDREN_CHANGED: (WatchKind.CHILDREN,),
    EventType.DELETED: (WatchKind.NODE, WatchKind.CHILDREN),
}
"""Which watches an event of ZooKeeper takes with it."""


class Watch:
    """One watch; the ZooKeeper client calls it with its events.

    Attributes:
        kind: what is watched.
        path: the node, as ZooKeeper knows it.
        seen: what its first reader saw; meaningless until `is_seen`.
        is_seen: there is a reader that has seen the node.
        readers: how many readers have armed it and have not seen the node yet.
    """

    def __init__(
        self, kind: WatchKind, path: str, hear: Callable[[Watch, Any], None]
    ) -> None:
        self.kind = kind
        self.path = path
        self.seen: MaybeSeen = None
        self.is_seen = False
        self.readers = 0
        self._hear = hear

    def __call__(self, event: Any) -> None:
        """Take an event from the ZooKeeper client."""
        self._hear(self, event)

    def __repr__(self) -> str:
        return f"<Watch {self.kind.value} {self.path} seen={self.seen}>"


@dataclass(frozen=True, slots=True)
class Armed:
    """A watch as one reader armed it, on the connection of that moment."""

    watch: Watch
    connection: int


class Watches:
    """All watches of one client; any thread may call.

    Args:
        hear: what a watch does with an event that the ZooKeeper client calls it
            with.
    """

    def __init__(self, hear: Callable[[Watch, Any], None]) -> None:
        self._hear = hear
        self._lock = threading.Lock()  # guards all below, and what a Watch holds
        self._watches: dict[tuple[WatchKind, str], Watch] = {}
        self._connection = 0

    def arm(self, kind: WatchKind, path: str) -> Armed:
        """Return the watch to read a node with; it ends in `saw` or `disarm`."""
        with self._lock:
            key = (kind, path)
            if key not in self._watches:
                self._watches[key] = Watch(kind, path, self._hear)
            watch = self._watches[key]
            watch.readers += 1
            return Armed(watch, self._connection)

    def saw(self, armed: Armed, seen: MaybeSeen) -> bool:
        """Note what a reader saw; False where the watch no longer stands.

        What the first reader saw stays: a change since is still to be told.
        """
        watch = armed.watch
        with self._lock:
            watch.readers -= 1
            if armed.connection != self._connection:
                self._drop_unseen(watch)
                return False
            if not watch.is_seen:
                watch.is_seen, watch.seen = True, seen
            return self._stands(watch)

    def disarm(self, armed: Armed) -> None:
        """Take back a watch whose reader has failed."""
        with self._lock:
            armed.watch.readers -= 1
            self._drop_unseen(armed.watch)

    def take(self, watch: Watch, event: EventType) -> bool:
        """Take a watch away for its event; False where another was first."""
        with self._lock:
            if not self._stands(watch):
                return False
            for kind in _KINDS[event]:
                self._watches.pop((kind, watch.path), None)
            return True

    def lost(self) -> None:
        """Note that the connection has ended, and all watches of it."""
        with self._lock:
            self._connection += 1

    def to_restore(self) -> list[Watch]:
        """Return the watches to set again; the others' readers read again."""
        with self._lock:
            return [watch for watch in self._watches.values() if watch.is_seen]

    def __len__(self) -> int:
        with self._lock:
            return len(self._watches)

    def _stands(self, watch: Watch) -> bool:
        return self._watches.get((watch.kind, watch.path)) is watch

    def _drop_unseen(self, watch: Watch) -> None:
        if not watch.readers and not watch.is_seen and self._stands(watch):
            del self._watches[watch.kind, watch.path]


def missed_event(watch: Watch, seen: MaybeSeen) -> EventType | None:
    """Return what happened to a node that was not watched for a while.

    Args:
        watch: the watch, with what was seen before.
        seen: what is seen now.
    """
    if seen == watch.seen:
        return None
    if seen is None:
        return EventType.DELETED
    if watch.kind is WatchKind.CHILDREN:
        return EventType.CHILDREN_CHANGED
    return EventType.CREATED if watch.seen is None else EventType.DATA_CHANGED
