"""Read, create, write and delete ZooKeeper nodes; each write takes effect once.

Each writing function defines how to check the outcome if its answer is lost;
`pacemaker.cluster_state.operation` explains why the result of that check is final.
Paths are ZooKeeper's full paths.  kazoo's NodeExistsError and NoNodeError pass through
to the callers, which handle them.
"""

from __future__ import annotations

import contextlib
import re
from typing import Any, Final

from kazoo.exceptions import NodeExistsError, NoNodeError, NotEmptyError
from kazoo.security import ACL, Id

from pacemaker.cluster_state.acls import Acls
from pacemaker.cluster_state.operation import Operation, WriteWasDone
from pacemaker.cluster_state.paths import join_path, parent

# The data that Storm writes into nodes that serve only as directories.
DIRECTORY_DATA: Final = b"\x07"

# ZooKeeper appends this to the name of a sequential node: a signed 32-bit number,
# printed with ten characters.
_SEQUENCE: Final = r"-?[0-9]{9,10}"


def stat_of(op: Operation, path: str) -> Any:
    """Return kazoo's stat of a node, or None."""
    return op.read(lambda client: client.exists_async(path))


def data_of(op: Operation, path: str) -> tuple[bytes | None, Any] | None:
    """Return a node's data and kazoo's stat, or None if there is no node."""
    try:
        data, stat = op.read(lambda client: client.get_async(path))
    except NoNodeError:
        return None
    return data, stat


def put(
    op: Operation, path: str, data: bytes, acls: Acls, *, is_ephemeral: bool = False
) -> None:
    """Write a node's data; create the node if it is missing.

    If another client creates or deletes it meanwhile, start over.
    """
    while True:
        before = stat_of(op, path)
        try:
            if before is None:
                create(op, path, data, acls, is_ephemeral=is_ephemeral)
            else:
                _write(op, path, data, before)
        except NodeExistsError:
            continue
        except NoNodeError:
            make_parents(op, path, acls)
            continue
        return


def make_directory(op: Operation, path: str, acls: Acls, parents_acls: Acls) -> None:
    """Create a directory node and its parents, unless they exist."""
    if path == "/" or stat_of(op, path) is not None:
        return
    make_parents(op, path, parents_acls)
    with contextlib.suppress(NodeExistsError):
        create(op, path, DIRECTORY_DATA, acls)


def make_parents(op: Operation, path: str, acls: Acls) -> None:
    """Create the parents of a node, without data, as Curator does."""
    missing: list[str] = []
    node = parent(path)
    while node != "/" and stat_of(op, node) is None:
        missing.append(node)
        node = parent(node)
    for node in reversed(missing):
        with contextlib.suppress(NodeExistsError):
            create(op, node, b"", acls)


def create(
    op: Operation, path: str, data: bytes, acls: Acls, *, is_ephemeral: bool = False
) -> None:
    """Create one node.

    If the answer is lost, a node that is found is ours if it has our data and the
    expected owner.  If none is found, none was created, or another client has deleted
    it since.  Creating it again is right in both cases: the same would have happened if
    the answer had only been late.
    """

    def read_back() -> WriteWasDone | None:
        owner = op.session_id() if is_ephemeral else 0
        found = data_of(op, path)
        if found is None:
            return None
        there, stat = found
        if there == data and stat.ephemeralOwner == owner:
            return WriteWasDone()
        raise NodeExistsError

    acl_list = _kazoo_acls(acls)
    op.write(
        lambda client: client.create_async(path, data, acl_list, is_ephemeral),
        read_back,
    )


def create_sequential(op: Operation, path: str, data: bytes, acls: Acls) -> str:
    """Create an ephemeral node with a number appended to its name; return its path.

    If the answer is lost, the node is recognised by its owner (this session), by its
    data, and by being newer than any transaction known before.  If the session has
    ended meanwhile, ZooKeeper has removed the node.  The caller must make sure that
    this session creates no other sequential node at the same time.
    """
    acl_list = _kazoo_acls(acls)
    while True:
        # This read also brings the newest transaction id.
        if stat_of(op, parent(path)) is None:
            make_parents(op, path, acls)
        before = op.last_transaction()

        def read_back(before: int = before) -> WriteWasDone | None:
            mine = _own_sequential(op, path, data, newer_than=before)
            if len(mine) > 1:
                raise op.answer_lost(f"the node may be any of {', '.join(mine)}")
            return WriteWasDone(mine[0]) if mine else None

        # If another client deletes the parent meanwhile, it is created again.
        with contextlib.suppress(NoNodeError):
            created: str = op.write(
                lambda client: client.create_async(
                    path, data, acl_list, ephemeral=True, sequence=True
                ),
                read_back,
            )
            return created


def delete_tree(op: Operation, path: str) -> None:
    """Delete a node and everything below it; do nothing if it is missing."""
    while True:
        # The list grows while it is iterated over, from the top down.
        nodes = [path]
        created: dict[str, int] = {}
        for node in nodes:
            with contextlib.suppress(NoNodeError):
                names, stat = children_of(op, node)
                created[node] = stat.czxid
                nodes.extend(join_path(node, name) for name in names)
        try:
            for node in reversed(nodes):
                if node in created:
                    _delete(op, node, created[node])
        except NotEmptyError:
            continue  # another client has created a child meanwhile
        return


def children_of(op: Operation, path: str) -> tuple[list[str], Any]:
    """Return the names of a node's children, and kazoo's stat of the node."""
    names, stat = op.read(
        lambda client: client.get_children_async(path, include_data=True)
    )
    return names, stat


def _write(op: Operation, path: str, data: bytes, before: Any) -> None:
    def read_back() -> WriteWasDone | None:
        found = data_of(op, path)
        if found is None:
            raise op.answer_lost("the node has been deleted since")
        there, stat = found
        if there == data:
            return WriteWasDone()
        if (stat.czxid, stat.version) == (before.czxid, before.version):
            return None
        raise op.answer_lost("another client has written the node since")

    op.write(lambda client: client.set_async(path, data), read_back)


def _delete(op: Operation, path: str, created: int) -> None:
    def read_back() -> WriteWasDone | None:
        stat = stat_of(op, path)
        # A node that was created since then is a different one and must stay.
        return None if stat is not None and stat.czxid == created else WriteWasDone()

    with contextlib.suppress(NoNodeError):
        op.write(lambda client: client.delete_async(path), read_back)


def _own_sequential(
    op: Operation, path: str, data: bytes, *, newer_than: int
) -> list[str]:
    owner = op.session_id()
    name = re.compile(re.escape(path.rpartition("/")[2]) + _SEQUENCE)
    mine = []
    try:
        names, _ = children_of(op, parent(path))
    except NoNodeError:
        return []
    for child in filter(name.fullmatch, names):
        node = join_path(parent(path), child)
        stat = stat_of(op, node)
        if stat is None or stat.ephemeralOwner != owner or stat.czxid <= newer_than:
            continue
        found = data_of(op, node)
        if found is not None and found[0] == data:
            mine.append(node)
    return mine


def _kazoo_acls(acls: Acls) -> list[Any]:
    return [ACL(acl.permissions, Id(acl.scheme, acl.id)) for acl in acls]
