"""What a cluster state tells of by callback: nodes that changed, and the connection."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TypeAlias


class EventType(enum.Enum):
    """What became of a node that was watched, in ZooKeeper's words."""

    CREATED = "NodeCreated"
    DELETED = "NodeDeleted"
    DATA_CHANGED = "NodeDataChanged"
    CHILDREN_CHANGED = "NodeChildrenChanged"


class ConnectionState(enum.Enum):
    """What became of the connection to ZooKeeper, in Curator's words.

    SUSPENDED is a connection that is lost; RECONNECTED comes when there is one
    again.  LOST is the end of the session, and of its ephemeral nodes with it;
    unlike Curator's, which goes by its own clock, it is told when ZooKeeper has said
    so, which is just before RECONNECTED.
    """

    CONNECTED = "CONNECTED"
    SUSPENDED = "SUSPENDED"
    RECONNECTED = "RECONNECTED"
    LOST = "LOST"


Callback: TypeAlias = Callable[[EventType, str], None]
"""Takes what happened and the path of the node, without storm.zookeeper.root."""

Listener: TypeAlias = Callable[[ConnectionState], None]
"""Takes what became of the connection."""
