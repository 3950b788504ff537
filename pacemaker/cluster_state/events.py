"""The events that a cluster state reports: changed nodes and the connection."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TypeAlias


class EventType(enum.Enum):
    """What happened to a watched node, in ZooKeeper's terms."""

    CREATED = "NodeCreated"
    DELETED = "NodeDeleted"
    DATA_CHANGED = "NodeDataChanged"
    CHILDREN_CHANGED = "NodeChildrenChanged"


class ConnectionState(enum.Enum):
    """What happened to the connection to ZooKeeper, in Curator's terms.

    SUSPENDED means that the connection is lost; RECONNECTED follows when there is one
    again.  LOST means that the session and its ephemeral nodes have ended.  Curator
    decides that by its own clock; here it is reported when ZooKeeper says so, which is
    just before RECONNECTED.
    """

    CONNECTED = "CONNECTED"
    SUSPENDED = "SUSPENDED"
    RECONNECTED = "RECONNECTED"
    LOST = "LOST"


# Called with the event and the node's path relative to storm.zookeeper.root.
Callback: TypeAlias = Callable[[EventType, str], None]

# Called with the new state of the connection.
Listener: TypeAlias = Callable[[ConnectionState], None]
