"""Nodes of ZooKeeper: read, created, written and deleted, each request surely once.

Each writing function says what to look for where its answer is lost; see
`pacemaker.cluster_state.operation` for why what is found then is final.  Paths are
those that ZooKeeper knows.  kazoo's NodeExistsError and NoNodeError pass
through to the callers, which know what they mean.
"""

from __future__ import annotations

import contextlib
import re
from typing import Any, Final

from kazoo.exceptions import NodeExistsError, NoNodeError, NotEmptyError
from kazoo.security import ACL, Id

from pacemaker.cluster_state.acls import Acls
from pacemaker.cluster_state.operation import Done, Operation
from pacemaker.cluster_state.paths import below, parent

# What Storm writes into the nodes that it makes for their children's sake.
DIRECTORY_DATA: Final = b"\x07"

# What ZooKeeper appends to the name of a sequential node: a signed 32-bit
# number, printed in ten places.
_SEQUENCE: Final = r"-?[0-9]{9,10}"


def stat_of(op: Operation, path: str) -> Any:
    """Return kazoo's stat of a node, or None."""
    return op.read(lambda client: client.exists_async(path))


def data_of(op: Operation, path: str) -> tuple[bytes | None, Any] | None:
    """Return a node's data and kazoo's stat, or None where there is no node."""
    try:
        data, stat = op.read(lambda client: client.get_async(path))
    except NoNodeError:
        return None
    return data, stat


def put(
    op: Operation, path: str, data: bytes, acls: Acls, *, is_ephemeral: bool = False
) -> None:
    """Write a node's data; where there is none, create it.

    Where another client creates or deletes it meanwhile, all begins again.
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
    """Create a node for others' sake, unless it is there, and those above it."""
    if path == "/" or stat_of(op, path) is not None:
        return
    make_parents(op, path, parents_acls)
    with contextlib.suppress(NodeExistsError):
        create(op, path, DIRECTORY_DATA, acls)


def make_parents(op: Operation, path: str, acls: Acls) -> None:
    """Create the nodes above a node, without data, as Curator does."""
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

    A node that is found where the answer is lost is ours if it holds our data
    and is owned as ours would be.  None found is none made, but for one that
    another client has deleted since; making it again is then what would have
    come of an answer that was only late.
    """

    def read_back() -> Done | None:
        owner = op.session_id() if is_ephemeral else 0
        found = data_of(op, path)
        if found is None:
            return None
        there, stat = found
        if there == data and stat.ephemeralOwner == owner:
            return Done()
        raise NodeExistsError

    acl_list = _kazoo_acls(acls)
    op.write(
        lambda client: client.create_async(path, data, acl_list, is_ephemeral),
        read_back,
    )


def create_sequential(op: Operation, path: str, data: bytes, acls: Acls) -> str:
    """Create an ephemeral node with a number behind its name; return its path.

    Where the answer is lost, the node is known by its owner, this session, by
    its data, and by being newer than all that was known before; of a session
    that has ended meanwhile, ZooKeeper has taken it away.  For that no other
    sequential node may be made in this session at the same time, which the
    caller sees to.
    """
    acl_list = _kazoo_acls(acls)
    while True:
        # Read also for the newest transaction that it brings.
        if stat_of(op, parent(path)) is None:
            make_parents(op, path, acls)
        before = op.last_transaction()

        def read_back(before: int = before) -> Done | None:
            mine = _own_sequential(op, path, data, newer_than=before)
            if len(mine) > 1:
                raise op.answer_lost(f"it may be any of {', '.join(mine)}")
            return Done(mine[0]) if mine else None

        # Where another client deletes the parent meanwhile, it is made again.
        with contextlib.suppress(NoNodeError):
            created: str = op.write(
                lambda client: client.create_async(
                    path, data, acl_list, ephemeral=True, sequence=True
                ),
                read_back,
            )
            return created


def delete_tree(op: Operation, path: str) -> None:
    """Delete a node and all below it; where there is none, do nothing."""
    while True:
        # The list grows while it is walked, from the top down.
        nodes = [path]
        created: dict[str, int] = {}
        for node in nodes:
            with contextlib.suppress(NoNodeError):
                names, stat = children_of(op, node)
                created[node] = stat.czxid
                nodes.extend(below(node, name) for name in names)
        try:
            for node in reversed(nodes):
                if node in created:
                    _delete(op, node, created[node])
        except NotEmptyError:
            continue  # another client has put something there meanwhile
        return


def children_of(op: Operation, path: str) -> tuple[list[str], Any]:
    """Return the names of a node's children, and kazoo's stat of the node."""
    names, stat = op.read(
        lambda client: client.get_children_async(path, include_data=True)
    )
    return names, stat


def _write(op: Operation, path: str, data: bytes, before: Any) -> None:
    def read_back() -> Done | None:
        found = data_of(op, path)
        if found is None:
            raise op.answer_lost("the node has been deleted since")
        there, stat = found
        if there == data:
            return Done()
        if (stat.czxid, stat.version) == (before.czxid, before.version):
            return None
        raise op.answer_lost("the node has been written by another since")

    op.write(lambda client: client.set_async(path, data), read_back)


def _delete(op: Operation, path: str, created: int) -> None:
    def read_back() -> Done | None:
        stat = stat_of(op, path)
        # A node that was created since is another one, and not to be deleted.
        return None if stat is not None and stat.czxid == created else Done()

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
        node = below(parent(path), child)
        stat = stat_of(op, node)
        if stat is None or stat.ephemeralOwner != owner or stat.czxid <= newer_than:
            continue
        found = data_of(op, node)
        if found is not None and found[0] == data:
            mine.append(node)
    return mine


def _kazoo_acls(acls: Acls) -> list[Any]:
    return [ACL(acl.permissions, Id(acl.scheme, acl.id)) for acl in acls]
