"""The nodes of a fake ZooKeeper: what each request changes, returns and reports.

It has no threads and no I/O; its owner makes one call at a time.  The rules are those
of ZooKeeper 3.9, on which the same tests are run (`tests/testing/test_znodes.py`,
`tests/cluster_state/`).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeAlias

from kazoo.exceptions import (
    InvalidACLError,
    NoAuthError,
    NoChildrenForEphemeralsError,
    NodeExistsError,
    NoNodeError,
    NotEmptyError,
)
from kazoo.protocol.states import EventType, ZnodeStat
from kazoo.security import ACL, Id

from pacemaker.cluster_state import acls as permissions
from pacemaker.cluster_state.paths import parent

ANYONE: Final = Id("world", "anyone")
OPEN: Final = (ACL(permissions.ALL, ANYONE),)

# Called with kazoo's EventType and the path of each change that a watch can see.
EventReporter: TypeAlias = Callable[[Any, str], None]


class SessionIdentity(NamedTuple):
    """The session that makes a request.

    Attributes:
        id: the session's number, which is also the owner of its ephemeral nodes.
        identities: the identities as which the session has authenticated.
    """

    id: int
    identities: tuple[Id, ...] = ()


@dataclass
class Znode:
    """One node.

    Attributes:
        data: its data.
        acls: kazoo's ACLs.
        owner: the session with which an ephemeral node ends; 0 if it is permanent.
        czxid: the transaction that created it.
        mzxid: the last one that wrote its data.
        pzxid: the last one that created or deleted a child.
        version: the number of writes since its creation.
        created: the number of children created so far; the next sequential node's
            number.
        children: the names of its children.
    """

    data: bytes
    acls: Sequence[Any]
    owner: int
    czxid: int
    mzxid: int
    pzxid: int
    version: int = 0
    created: int = 0
    children: set[str] = field(default_factory=set)

    def stat(self) -> Any:
        """Return kazoo's stat; all times in it are 0, because there is no clock."""
        return ZnodeStat(
            czxid=self.czxid,
            mzxid=self.mzxid,
            ctime=0,
            mtime=0,
            version=self.version,
            # Each deletion counts, too.
            cversion=2 * self.created - len(self.children),
            aversion=0,
            ephemeralOwner=self.owner,
            dataLength=len(self.data),
            numChildren=len(self.children),
            pzxid=self.pzxid,
        )


class Znodes:
    """The tree of nodes.

    Args:
        report: called for each change, before the request returns.

    Attributes:
        zxid: the newest transaction.
    """

    def __init__(self, report: EventReporter) -> None:
        self._report = report
        self.zxid = 0
        self._nodes = {"/": Znode(b"", OPEN, 0, 0, 0, 0)}

    def exists(self, session: SessionIdentity, path: str) -> Any:
        """Return a node's stat, or None."""
        node = self._nodes.get(path)
        if node is None:
            return None
        _require_permission(node, permissions.READ, session)
        return node.stat()

    def get(self, session: SessionIdentity, path: str) -> tuple[bytes, Any]:
        """Return a node's data and stat."""
        node = self._node(path)
        _require_permission(node, permissions.READ, session)
        return node.data, node.stat()

    def children(self, session: SessionIdentity, path: str) -> tuple[list[str], Any]:
        """Return the names of a node's children, and its stat."""
        node = self._node(path)
        _require_permission(node, permissions.READ, session)
        return sorted(node.children), node.stat()

    def create(
        self,
        session: SessionIdentity,
        path: str,
        data: bytes,
        acls: Sequence[Any],
        *,
        is_ephemeral: bool,
        is_sequential: bool,
    ) -> str:
        """Create a node and return its path."""
        acls = _own_acls(acls, session)
        above = self._node(parent(path))
        _require_permission(above, permissions.CREATE, session)
        if is_sequential:
            path = f"{path}{above.created:010d}"
        if path in self._nodes:
            raise NodeExistsError
        if above.owner:
            raise NoChildrenForEphemeralsError
        self.zxid += 1
        owner = session.id if is_ephemeral else 0
        self._nodes[path] = Znode(data, acls, owner, self.zxid, self.zxid, self.zxid)
        above.created += 1
        above.pzxid = self.zxid
        above.children.add(path.rpartition("/")[2])
        self._report(EventType.CREATED, path)
        self._report(EventType.CHILD, parent(path))
        return path

    def set(self, session: SessionIdentity, path: str, data: bytes) -> Any:
        """Write a node's data and return its stat."""
        node = self._node(path)
        _require_permission(node, permissions.WRITE, session)
        self.zxid += 1
        node.data, node.mzxid = data, self.zxid
        node.version += 1
        self._report(EventType.CHANGED, path)
        return node.stat()

    def delete(self, session: SessionIdentity, path: str) -> None:
        """Delete a node that has no children."""
        node = self._node(path)
        _require_permission(self._node(parent(path)), permissions.DELETE, session)
        if node.children:
            raise NotEmptyError
        self.zxid += 1
        self._remove(path)

    def end_session(self, session_id: int) -> None:
        """Remove the ephemeral nodes of a session, all in one transaction."""
        self.zxid += 1
        owned = [path for path, node in self._nodes.items() if node.owner == session_id]
        for path in owned:
            self._remove(path)

    def _remove(self, path: str) -> None:
        del self._nodes[path]
        above = self._nodes[parent(path)]
        above.children.remove(path.rpartition("/")[2])
        above.pzxid = self.zxid
        self._report(EventType.DELETED, path)
        self._report(EventType.CHILD, parent(path))

    def _node(self, path: str) -> Znode:
        try:
            return self._nodes[path]
        except KeyError as exc:
            raise NoNodeError from exc


def digest_identity(payload: str) -> Id:
    """Return the identity of a ``USER:PASSWORD``, as in ACLs of the scheme digest."""
    hashed = hashlib.sha1(payload.encode()).digest()  # noqa: S324  (ZooKeeper's scheme)
    user = payload.partition(":")[0]
    return Id("digest", f"{user}:{base64.b64encode(hashed).decode()}")


def _require_permission(node: Znode, permission: int, session: SessionIdentity) -> None:
    allowed = (acl.id for acl in node.acls if acl.perms & permission)
    if not any(each == ANYONE or each in session.identities for each in allowed):
        raise NoAuthError


def _own_acls(acls: Iterable[Any], session: SessionIdentity) -> list[Any]:
    """Return the ACLs of a new node; "auth" stands for the session's identities."""
    own: list[Any] = []
    for acl in acls:
        if acl.id.scheme == "auth":
            own += [ACL(acl.perms, identity) for identity in session.identities]
        elif acl.id == ANYONE or _is_digest(acl.id):
            own.append(acl)
        else:
            raise InvalidACLError
    if not own:
        raise InvalidACLError
    return own


def _is_digest(identity: Id) -> bool:
    is_pair: bool = identity.id.count(":") == 1
    return identity.scheme == "digest" and is_pair
