"""Dispatch: what each request does to the store, and what its reply is.

Reads need an authenticated connection, writes do not, as in Storm (its
``Pacemaker.handleMessage``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Protocol, TypeAlias

from pacemaker.core.accounts.account import UNKNOWN_PEER, Account
from pacemaker.core.figures import Figures
from pacemaker.core.history.history import History
from pacemaker.core.history.record import (
    NO_PEER,
    NO_TURN_TIME,
    PeerRecord,
    TurnTime,
)
from pacemaker.core.protocol.large_list import LARGE_LIST_NAMES, LargeList
from pacemaker.core.protocol.pulse_fast_path import PulseFastPath, PulseStore
from pacemaker.core.protocol.read_fast_path import ReadableStore, ReadFastPath
from pacemaker.core.store.store import KeyHandle
from pacemaker.errors import LimitError, MalformedError
from pacemaker.wire import messages
from pacemaker.wire.fast_codec import NODES_OVERHEAD_BYTES, PULSE_OVERHEAD_BYTES
from pacemaker.wire.messages import (
    NO_MESSAGE_ID,
    Data,
    Message,
    Nodes,
    Pulse,
    quoted,
)

# The requests that need an authenticated connection.
READS: Final = frozenset(
    (
        messages.EXISTS,
        messages.GET_ALL_PULSE_FOR_PATH,
        messages.GET_ALL_NODES_FOR_PATH,
        messages.GET_PULSE,
    )
)
DELETES: Final = frozenset((messages.DELETE_PATH, messages.DELETE_PULSE_ID))
# UTF-8 takes at most this many bytes for each character of a str.
_MAX_UTF8_BYTES: Final = 4


class HeartbeatStore(PulseStore, ReadableStore, Protocol):
    """Where requests are carried out: the store, or a relay's connection."""

    def put(
        self,
        key: str,
        value: bytes,
        handle: KeyHandle | None = None,
        account: Account = UNKNOWN_PEER,
    ) -> None:
        """Store a heartbeat."""

    def count_names(self, path: str) -> int:
        """Return about how many names a directory has."""

    def list_nodes(self, path: str) -> list[str]:
        """Return the names of a directory."""

    def name_slices(self, path: str, seen: set[str]) -> Iterator[list[str]]:
        """Yield the names of a large directory in batches; see `Store.name_slices`."""

    def delete(self, key: str) -> None:
        """Remove exactly this key."""

    def delete_all(self, path: str) -> None:
        """Remove the key of a path and all keys below it."""


class Dispatcher:
    """Answers requests from one store.

    Each I/O thread has its own dispatcher; in a relay, each connection has one.

    Args:
        store: the heartbeats.
        figures: the counts of this thread.
        max_body_bytes: `pacemaker.thrift.message.size.max`.  A heartbeat is stored
            only if the reply to its GET_PULSE also fits this size: a client would
            refuse a larger reply and retry forever.
        history: notes who writes, reads and deletes; None if there is no history.
        turn_time: the time of the last poll of this thread.
    """

    def __init__(
        self,
        store: HeartbeatStore,
        figures: Figures,
        max_body_bytes: int,
        history: History | None = None,
        turn_time: TurnTime = NO_TURN_TIME,
    ) -> None:
        self._history = history
        self._turn_time = turn_time
        self._store = store
        self._figures = figures
        self._max_body_bytes = max_body_bytes
        self._max_pulse_bytes = max_body_bytes - PULSE_OVERHEAD_BYTES
        # `LARGE_LIST_NAMES` names with at most this many characters in all fit a reply,
        # whatever the characters are.
        self._max_names_characters = (
            max_body_bytes - NODES_OVERHEAD_BYTES - 4 * LARGE_LIST_NAMES
        ) // _MAX_UTF8_BYTES

    def reply_to(
        self,
        message: Message,
        authenticated: bool,
        account: Account = UNKNOWN_PEER,
        peer_record: PeerRecord = NO_PEER,
    ) -> Message | LargeList | None:
        """Carry out one request.

        Args:
            message: the peer's message.
            authenticated: whether the peer may read.
            account: the peer's account.
            peer_record: the connection, for the history.

        Returns:
            The reply.  For the list of a large directory, the `LargeList` that writes
            the reply.  None if the message is not a request.

        Raises:
            MalformedError: the request has no data, or data of the wrong kind.
            LimitError: the heartbeat cannot be stored.
        """
        kind, data, message_id = message
        if message_id is None:
            message_id = NO_MESSAGE_ID
        if kind == messages.SEND_PULSE:
            if not isinstance(data, Pulse) or data.details is None:
                raise MalformedError(
                    "request without its pulse",
                    "SEND_PULSE must have an id and details",
                )
            self.store_pulse(data.id, data.details, account, peer_record)
            return Message(messages.SEND_PULSE_RESPONSE, None, message_id)
        if kind not in READS and kind not in _ANSWERS:
            return None
        if not isinstance(data, str):
            name = messages.name_of(kind)
            raise MalformedError("request without its path", f"{name} must have one")
        if not authenticated and self._refuses(kind):
            return Message(messages.NOT_AUTHORIZED, None, message_id)
        self._figures.requests[kind] += 1
        if self._history is not None:
            self._note_in_history(self._history, kind, data, peer_record)
        if kind == messages.GET_ALL_NODES_FOR_PATH:
            return self._list_nodes(data, message_id, account)
        reply_kind, data_for = _ANSWERS[kind]
        return Message(reply_kind, data_for(self, data), message_id)

    def _refuses(self, kind: int) -> bool:
        """Count an unauthenticated request; return whether to refuse it."""
        if kind in READS:
            self._figures.unauthorized[kind] += 1
            return True
        if kind in DELETES:
            self._figures.anonymous_deletes += 1
        return False

    def _note_in_history(
        self, history: History, kind: int, path: str, peer_record: PeerRecord
    ) -> None:
        """Note a request other than a pulse in the history."""
        if kind == messages.GET_PULSE:
            if peer_record.is_reader:
                record = history.records.get(path)
                history.note_read(record, peer_record, self._turn_time.now_s)
        elif kind == messages.GET_ALL_NODES_FOR_PATH:
            # Nimbus asks for one list in each of its rounds, and no worker does.
            peer_record.is_reader = True
        elif kind in DELETES:
            history.note_delete(path, peer_record, self._turn_time.now_s)

    def pulse_fast_path(
        self,
        key: str,
        account: Account = UNKNOWN_PEER,
        peer_record: PeerRecord = NO_PEER,
    ) -> PulseFastPath:
        """Return an object that answers the pulses to one key over one connection."""
        return PulseFastPath(
            key,
            self._store,
            self._figures,
            self._max_body_bytes,
            account,
            peer_record,
            self._history,
            self._turn_time,
        )

    def read_fast_path(self, peer_record: PeerRecord = NO_PEER) -> ReadFastPath:
        """Return an object that answers single reads over one connection."""
        return ReadFastPath(
            self._store, self._figures, peer_record, self._history, self._turn_time
        )

    def store_pulse(
        self,
        key: str,
        details: bytes,
        account: Account = UNKNOWN_PEER,
        peer_record: PeerRecord = NO_PEER,
    ) -> None:
        """Carry out one SEND_PULSE.

        Raises:
            LimitError: the heartbeat cannot be stored.
        """
        size_bytes = len(details)
        # An upper bound first: encoding the key takes time, and is hardly ever needed.
        if size_bytes + _MAX_UTF8_BYTES * len(key) > self._max_pulse_bytes:
            self._check_fits(key, size_bytes)
        self._store.put(key, details, account=account)
        self._figures.count_pulse(size_bytes)
        if self._history is not None:
            self._history.note_pulse(key, peer_record, self._turn_time.now_s, details)

    def _check_fits(self, key: str, size_bytes: int) -> None:
        size_bytes += len(key.encode())
        if size_bytes > self._max_pulse_bytes:
            raise LimitError(
                "heartbeat too large for its reply",
                f"{quoted(key)} and its details have {size_bytes} bytes, at most"
                f" {self._max_pulse_bytes} are allowed"
                " (pacemaker.thrift.message.size.max)",
            )

    def _exists(self, path: str) -> bool:
        return self._store.get(path) is not None

    def _list_nodes(
        self, path: str, message_id: int, account: Account
    ) -> Message | LargeList:
        count = self._store.count_names(path)
        # The list counts once for each step that `LargeList` takes, and at least once.
        # The rate limits steps, because other requests have to wait for each of them.
        account.uncharged_lists += max(1, -(-count // LARGE_LIST_NAMES))
        if count <= LARGE_LIST_NAMES:
            names = self._store.list_nodes(path)
            if sum(map(len, names)) <= self._max_names_characters:
                kind = messages.GET_ALL_NODES_FOR_PATH_RESPONSE
                return Message(kind, Nodes(names), message_id)
        seen: set[str] = set()
        slices = self._store.name_slices(path, seen)
        return LargeList(path, slices, count, message_id, self._max_body_bytes, seen)

    def _get_pulse(self, path: str) -> Pulse:
        details = self._store.get(path)
        self._figures.count_read(details)
        return Pulse(path, details)

    def _delete_all(self, path: str) -> None:
        self._store.delete_all(path)

    def _delete(self, path: str) -> None:
        self._store.delete(path)

    def _no_data(self, path: str) -> None:
        """Answer without data.

        CREATE_PATH stores nothing, and a GET_ALL_PULSE_FOR_PATH_RESPONSE carries no
        pulses.
        """


_Answer: TypeAlias = Callable[[Dispatcher, str], Data]

# For each request that has a path: the type of its reply, and the method that returns
# the reply's data.  Not of one dispatcher, which would then be part of a cycle: a relay
# makes one for each connection, and garbage is not collected (`process.garbage`).
_ANSWERS: Final[dict[int, tuple[int, _Answer]]] = {
    messages.CREATE_PATH: (messages.CREATE_PATH_RESPONSE, Dispatcher._no_data),
    messages.EXISTS: (messages.EXISTS_RESPONSE, Dispatcher._exists),
    messages.GET_ALL_PULSE_FOR_PATH: (
        messages.GET_ALL_PULSE_FOR_PATH_RESPONSE,
        Dispatcher._no_data,
    ),
    messages.GET_PULSE: (messages.GET_PULSE_RESPONSE, Dispatcher._get_pulse),
    messages.DELETE_PATH: (messages.DELETE_PATH_RESPONSE, Dispatcher._delete_all),
    messages.DELETE_PULSE_ID: (messages.DELETE_PULSE_ID_RESPONSE, Dispatcher._delete),
}
