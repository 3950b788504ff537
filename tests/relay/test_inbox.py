"""What the I/O threads tell the links' thread."""

from __future__ import annotations

from typing import Any

import pytest

from pacemaker.core.accounts.account import Account
from pacemaker.core.store.store import Store
from pacemaker.relay.core.question import Question, QuestionKind
from pacemaker.relay.inbox import Dropped, Inbox, KeyWritten, QuestionAsked, WriterLeft

KEY = "/workerbeats/words-1-1700000000/7a4e-6700"
OTHER = "/workerbeats/words-1-1700000000/7a4e-6701"
TOPOLOGY = "/workerbeats/words-1-1700000000"


class Counted:
    """An inbox, and how often it has woken the thread."""

    def __init__(self) -> None:
        self.woken = 0
        self.store = Store()
        self.inbox = Inbox(self.store, self._wake)

    def _wake(self) -> None:
        self.woken += 1

    def put(self, key: str, value: bytes, writer: str = "worker") -> None:
        """Write a heartbeat."""
        self.inbox.put(key, value, None, Account("a"), writer)


def question(kind: QuestionKind, path: str) -> Question:
    """Return a question whose answer nobody needs."""
    return Question(kind, path, lambda answer: None)


def shown(event: Any) -> tuple[str, Any]:
    """Return an event's type and what it is about."""
    if isinstance(event, KeyWritten):
        return "written", event.key
    if isinstance(event, WriterLeft):
        return "left", event.writer
    kind = "asked" if isinstance(event, QuestionAsked) else "dropped"
    return kind, event.question.path


def test_key_written_twice_has_one_event_with_its_last_writer() -> None:
    """The thread looks up the newest value, so one event is enough."""
    counted = Counted()
    counted.put(KEY, b"1", "first")
    counted.put(KEY, b"2", "second")
    (event,) = counted.inbox.drain()
    assert isinstance(event, KeyWritten)
    assert event.writer == "second"
    assert counted.inbox.newest(KEY) == b"2"
    assert counted.woken == 1


def test_key_has_an_event_again_after_the_thread_took_the_first() -> None:
    """The thread may have sent the earlier value by then."""
    counted = Counted()
    counted.put(KEY, b"1")
    counted.inbox.drain()
    counted.put(KEY, b"2")
    assert [shown(event) for event in counted.inbox.drain()] == [("written", KEY)]
    assert counted.woken == 2


@pytest.mark.parametrize(
    ("kind", "path", "kept"),
    [
        (QuestionKind.DELETE, TOPOLOGY, None),
        (QuestionKind.DELETE_ONE, KEY, None),
        (QuestionKind.DELETE_ONE, OTHER, b"1"),
        (QuestionKind.PULSE, KEY, b"1"),
    ],
)
def test_delete_is_carried_out_at_once(
    kind: QuestionKind, path: str, kept: bytes | None
) -> None:
    """A pulse that waits must not be sent after the delete that followed it."""
    counted = Counted()
    counted.put(KEY, b"1")
    counted.inbox.ask(question(kind, path))
    assert counted.inbox.newest(KEY) == kept


def test_pulse_after_a_delete_has_an_event_after_it() -> None:
    """Otherwise the Pacemakers would delete what was written last."""
    counted = Counted()
    counted.put(KEY, b"1")
    counted.inbox.ask(question(QuestionKind.DELETE, TOPOLOGY))
    counted.put(KEY, b"2")
    assert [shown(event) for event in counted.inbox.drain()] == [
        ("written", KEY),
        ("asked", TOPOLOGY),
        ("written", KEY),
    ]


def test_events_keep_their_order() -> None:
    """A question that was dropped was asked before."""
    counted = Counted()
    asked = question(QuestionKind.PULSE, KEY)
    counted.inbox.ask(asked)
    counted.inbox.drop(asked)
    counted.inbox.writer_left("worker")
    events = counted.inbox.drain()
    assert [type(event) for event in events] == [QuestionAsked, Dropped, WriterLeft]
    assert counted.woken == 3


def test_forgotten_key_is_removed() -> None:
    """Its worker has gone, and its pulse must not be sent again."""
    counted = Counted()
    counted.put(KEY, b"1")
    counted.inbox.drain()
    counted.inbox.forget(KEY)
    assert counted.inbox.newest(KEY) is None


def test_key_that_was_just_written_is_not_forgotten() -> None:
    """Its worker came back while the thread decided that it had gone."""
    counted = Counted()
    counted.put(KEY, b"1")
    counted.inbox.forget(KEY)
    assert counted.inbox.newest(KEY) == b"1"
    # After a delete, a later pulse gets an event of its own, but this one still counts.
    counted.inbox.ask(question(QuestionKind.DELETE_ONE, OTHER))
    counted.inbox.forget(KEY)
    assert counted.inbox.newest(KEY) == b"1"
    counted.inbox.drain()
    counted.inbox.forget(KEY)
    assert counted.inbox.newest(KEY) is None
