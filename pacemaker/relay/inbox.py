"""What the I/O threads tell the links' thread, in the order in which it happened.

The newest value of each key is in the daemon's store, which also limits how much is
stored.  The inbox adds what the store does not record: that a key was written, and by
which connection.  However often a key is written, it has only one event until the
links' thread takes the events.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Final, TypeAlias

from pacemaker.core.accounts.account import Account
from pacemaker.core.store.store import KeyHandle, Store
from pacemaker.relay.core.question import Question, QuestionKind


class KeyWritten:
    """A key was written."""

    __slots__ = ("key", "writer")

    def __init__(self, key: str, writer: Hashable) -> None:
        self.key = key
        self.writer = writer


class QuestionAsked:
    """A request has to be answered."""

    __slots__ = ("question",)

    def __init__(self, question: Question) -> None:
        self.question = question


class Dropped:
    """A question was dropped: nobody wants its answer any more."""

    __slots__ = ("question",)

    def __init__(self, question: Question) -> None:
        self.question = question


class WriterLeft:
    """A connection has ended."""

    __slots__ = ("writer",)

    def __init__(self, writer: Hashable) -> None:
        self.writer = writer


InboxEvent: TypeAlias = KeyWritten | QuestionAsked | Dropped | WriterLeft

_DELETES: Final = (QuestionKind.DELETE, QuestionKind.DELETE_ONE)


class Inbox:
    """The events, and the newest pulses.  Any thread may call any method.

    Args:
        store: the newest pulses.
        wake: wakes the links' thread.
    """

    def __init__(self, store: Store, wake: Callable[[], None]) -> None:
        self._store = store
        self._wake = wake
        # Guards the events.  The store is changed under this lock too, because a delete
        # and a pulse of two threads must have the same order in the store and in the
        # events.  A thread may take the store's lock while it holds this one, and never
        # the other way round.
        self._lock = threading.Lock()
        self._events: list[InboxEvent] = []
        # The events of keys that were written since the last delete, and all keys that
        # have an event.
        self._written: dict[str, KeyWritten] = {}
        self._undrained: set[str] = set()

    def __repr__(self) -> str:
        return f"<Inbox events={len(self._events)} {self._store!r}>"

    def put(
        self,
        key: str,
        value: bytes,
        handle: KeyHandle | None,
        account: Account,
        writer: Hashable,
    ) -> None:
        """Store a pulse that a connection has written.

        Raises:
            LimitError: as for `Store.put`.
        """
        with self._lock:
            self._store.put(key, value, handle, account)
            is_first = self._note(key, writer)
        if is_first:
            self._wake()

    def put_at(self, handle: KeyHandle, value: bytes, writer: Hashable) -> None:
        """Store a pulse of a known key.

        Raises:
            LimitError: as for `Store.put_at`.
        """
        with self._lock:
            self._store.put_at(handle, value)
            is_first = self._note(handle.key, writer)
        if is_first:
            self._wake()

    def ask(self, question: Question) -> None:
        """Queue a question; a delete is carried out in the store at once."""
        with self._lock:
            if question.kind in _DELETES:
                if question.kind is QuestionKind.DELETE:
                    self._store.delete_all(question.path)
                else:
                    self._store.delete(question.path)
                # A later pulse needs an event after the delete's.
                self._written.clear()
            self._events.append(QuestionAsked(question))
        self._wake()

    def drop(self, question: Question) -> None:
        """Drop a question: nobody wants its answer any more."""
        self._append(Dropped(question))

    def writer_left(self, writer: Hashable) -> None:
        """Note that a connection has ended."""
        self._append(WriterLeft(writer))

    def restore(self, key: str, writer: Hashable) -> None:
        """Note which connection wrote a key that the upgrade carried over."""
        with self._lock:
            self._note(key, writer)

    # What the links' thread calls.

    def drain(self) -> list[InboxEvent]:
        """Remove and return all events."""
        with self._lock:
            events, self._events = self._events, []
            self._written.clear()
            self._undrained.clear()
        return events

    def newest(self, key: str) -> bytes | None:
        """Return the newest value of a key."""
        return self._store.get(key)

    def forget(self, key: str) -> None:
        """Remove a key whose worker has gone, unless it was just written again."""
        with self._lock:
            if key not in self._undrained:
                self._store.delete(key)

    def _append(self, event: InboxEvent) -> None:
        with self._lock:
            self._events.append(event)
        self._wake()

    def _note(self, key: str, writer: Hashable) -> bool:
        """Add an event for a key; return whether the thread has to be woken."""
        written = self._written.get(key)
        if written is not None:
            written.writer = writer
            return False
        self._written[key] = written = KeyWritten(key, writer)
        self._undrained.add(key)
        self._events.append(written)
        return True
