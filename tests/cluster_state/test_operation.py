"""Tests of pacemaker.cluster_state.operation: what is sent again or raised."""

from __future__ import annotations

from typing import Any

import pytest
from kazoo import exceptions as kazoo
from kazoo.handlers.threading import KazooTimeoutError

from pacemaker.cluster_state.operation import (
    MAX_WRITE_ATTEMPTS,
    Operation,
    WriteWasDone,
)
from pacemaker.errors import (
    AnswerLostError,
    NodeAccessError,
    NodeMissingError,
    UnavailableError,
    ZooKeeperError,
)
from tests.cluster_state.scripted_session import ScriptedSession

LOST = (kazoo.ConnectionLoss(), kazoo.SessionExpiredError())


def operation(session: Any) -> Operation:
    """Return an operation on a scripted session."""
    return Operation(session, "set_data", "/a", 5)


def read(session: ScriptedSession) -> Any:
    """Read a node by it."""
    with operation(session) as op:
        return op.read(lambda client: client.get_async("/a"))


def write(session: ScriptedSession, *found: WriteWasDone | None) -> Any:
    """Write a node by it; `found` is what reading back finds each time."""
    finds = iter(found)
    with operation(session) as op:
        return op.write(lambda client: client.set_async("/a"), lambda: next(finds))


@pytest.mark.parametrize("lost", LOST)
def test_read_is_sent_again(lost: Exception) -> None:
    """A read whose connection ends is sent on the next one."""
    session = ScriptedSession([lost, lost, "data"])
    assert read(session) == "data"
    assert session.requests == ["get", "get", "get"]


def test_answered_write_is_not_read_back() -> None:
    """A write that is answered costs one request."""
    session = ScriptedSession(["done"])
    assert write(session) == "done"
    assert session.requests == ["set"]


@pytest.mark.parametrize("lost", LOST)
def test_write_that_is_found_is_done(lost: Exception) -> None:
    """A lost write is looked for behind a sync; found, it is not sent again."""
    session = ScriptedSession([lost, "/"])
    assert write(session, WriteWasDone("found")) == "found"
    assert session.requests == ["set", "sync"]


def test_write_that_is_not_found_is_sent_again() -> None:
    """A write that was certainly not done is sent again."""
    session = ScriptedSession([LOST[0], LOST[1], "/", "done"])
    assert write(session, None) == "done"
    assert session.requests == ["set", "sync", "sync", "set"]


def test_write_is_not_sent_for_ever() -> None:
    """A write that ends its connection each time is given up, and was not done."""
    session = ScriptedSession([LOST[0], "/"] * MAX_WRITE_ATTEMPTS)
    with pytest.raises(UnavailableError, match="ended each time"):
        write(session, *[None] * MAX_WRITE_ATTEMPTS)


@pytest.mark.parametrize("error", [KazooTimeoutError(), kazoo.NoAuthError()])
def test_write_that_cannot_be_read_back_is_open(error: Exception) -> None:
    """Without reading back nobody knows, and the caller is told so."""
    with pytest.raises(AnswerLostError, match="set_data /a: the answer was lost"):
        write(ScriptedSession([LOST[0], error]))


def test_write_without_an_answer_in_time_is_open() -> None:
    """A write whose answer does not come may yet be done."""
    with pytest.raises(AnswerLostError, match="no answer in time"):
        write(ScriptedSession([KazooTimeoutError()]))


@pytest.mark.parametrize("call", [read, write])
def test_nothing_is_sent_without_a_connection(call: Any) -> None:
    """Without a connection the call says so, with the time that it has waited."""
    session = ScriptedSession(is_ready=False)
    with pytest.raises(UnavailableError, match="set_data /a: no connection in 5 s"):
        call(session)
    assert session.requests == []


def test_end_of_the_session_is_the_reason() -> None:
    """Where there will be no connection any more, the error says why."""
    with pytest.raises(UnavailableError, match="it is closed"):
        read(ScriptedSession(is_ready=False, end="it is closed"))


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (kazoo.NoNodeError(), NodeMissingError, "there is no such node"),
        (kazoo.NoAuthError(), NodeAccessError, "not allowed (NoAuthError)"),
        (kazoo.InvalidACLError(), NodeAccessError, "not allowed (InvalidACLError)"),
        (kazoo.AuthFailedError(), NodeAccessError, "not allowed (AuthFailedError)"),
        (KazooTimeoutError(), UnavailableError, "no answer in 5 s"),
        (kazoo.BadVersionError(), ZooKeeperError, "refused (BadVersionError)"),
    ],
)
def test_errors_of_kazoo_are_translated(
    error: Exception, kind: type[ZooKeeperError], text: str
) -> None:
    """What leaves the block is documented, and names call, node and cause."""
    with pytest.raises(kind) as caught:
        read(ScriptedSession([error]))
    assert type(caught.value) is kind
    assert str(caught.value) == f"set_data /a: {text}"
    assert caught.value.__cause__ is error


def test_other_errors_pass() -> None:
    """An error that is not ZooKeeper's stays what it is."""
    with pytest.raises(ZeroDivisionError):
        read(ScriptedSession([ZeroDivisionError()]))
