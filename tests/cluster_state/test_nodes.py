"""Tests of pacemaker.cluster_state.nodes: what is read back after a lost answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from kazoo.exceptions import ConnectionLoss, NodeExistsError, NoNodeError

from pacemaker.cluster_state import nodes
from pacemaker.cluster_state.operation import Operation
from pacemaker.errors import AnswerLostError
from tests.cluster_state.scripted_session import ScriptedSession

LOST = ConnectionLoss()
DELETE = ["get_children", "delete"]
READ_BACK = ["sync", "exists"]


def stat(czxid: int, version: int = 0) -> SimpleNamespace:
    """Return what kazoo says of a node: by whom it was created and its version."""
    return SimpleNamespace(czxid=czxid, version=version)


OURS = SimpleNamespace(ephemeralOwner=5)
ANOTHERS = SimpleNamespace(ephemeralOwner=6)


def operation(session: Any, name: str) -> Operation:
    """Return an operation on a scripted session."""
    return Operation(session, name, "/a", 5)


@pytest.mark.parametrize(
    ("found", "requests"),
    [
        (stat(czxid=7), ["delete"]),
        (stat(czxid=8), []),
        (stat(czxid=6), []),
        (None, []),
    ],
    ids=["is still there", "was created since", "is another one", "is gone"],
)
def test_lost_delete_is_sent_again_if_the_node_is_still_the_same(
    found: Any, requests: list[str]
) -> None:
    """A node of the same path that another client has created is kept."""
    session = ScriptedSession([([], stat(czxid=7)), LOST, "/", found, None])
    with operation(session, "delete_node") as op:
        nodes.delete_tree(op, "/a")
    assert session.requests == DELETE + READ_BACK + requests


@pytest.mark.parametrize("again", [stat(7, version=3), stat(7, version=4)])
def test_lost_write_is_done_if_its_data_is_there(again: Any) -> None:
    """It is not sent again, whatever the version says."""
    session = ScriptedSession([stat(7, version=3), LOST, "/", (b"new", again)])
    with operation(session, "set_data") as op:
        nodes.put(op, "/a", b"new", ())
    assert session.requests == ["exists", "set", "sync", "get"]


def test_lost_write_is_sent_again_if_the_node_is_unchanged() -> None:
    """The same node at the same version shows that it was not done."""
    before = stat(7, version=3)
    session = ScriptedSession([before, LOST, "/", (b"old", before), "done"])
    with operation(session, "set_data") as op:
        nodes.put(op, "/a", b"new", ())
    assert session.requests == ["exists", "set", "sync", "get", "set"]


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ((b"other", stat(7, version=4)), "another client has written the node since"),
        ((b"other", stat(8, version=3)), "another client has written the node since"),
        (NoNodeError(), "deleted since"),
    ],
)
def test_lost_write_is_open_if_another_came_after_it(found: Any, why: str) -> None:
    """Nobody can tell any more whether it was done before the other's."""
    session = ScriptedSession([stat(7, version=3), LOST, "/", found])
    with pytest.raises(AnswerLostError, match=why), operation(session, "set") as op:
        nodes.put(op, "/a", b"new", ())


@pytest.mark.parametrize(
    ("found", "is_ours"),
    [
        ((b"data", OURS), True),
        ((b"data", ANOTHERS), False),
        ((b"other", OURS), False),
    ],
    ids=["ours", "another session's", "with other data"],
)
def test_node_found_after_a_lost_create_is_ours_by_data_and_owner(
    found: Any, is_ours: bool
) -> None:
    """Two clients may create one node at the same moment; only one of them has."""
    session = ScriptedSession([LOST, "/", found])
    with operation(session, "create") as op:
        if is_ours:
            nodes.create(op, "/a", b"data", (), is_ephemeral=True)
        else:
            with pytest.raises(NodeExistsError):
                nodes.create(op, "/a", b"data", (), is_ephemeral=True)
    assert session.requests == ["create", "sync", "get"]


def test_create_is_sent_again_if_no_node_is_found() -> None:
    """It was not done, or another client has deleted the node since."""
    session = ScriptedSession([LOST, "/", NoNodeError(), "/a"])
    with operation(session, "create") as op:
        nodes.create(op, "/a", b"data", ())
    assert session.requests == ["create", "sync", "get", "create"]
