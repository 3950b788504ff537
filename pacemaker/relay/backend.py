"""What stands in for held reads and the store on a connection to the relay.

Other Pacemakers answer the requests of Storm's clients.  So a `RelayBackend` stands
between the connection's protocol and the relay's core.  To the protocol it is the
`PendingRequests` of the connection, and to its dispatcher it is the store.

    request ─▶ `answer_later` ─▶ inbox ─▶ (the links' thread: core, Pacemakers)
    reply ◀─ dispatcher ◀─ `next_released` ◀─ call on the I/O thread ◀──┘

A pulse is acknowledged at once.  A later answer would be worth nothing to its sender,
which sends the pulse again after 1 s and finally reconnects, at a cost of 13 s.  A
delete is carried out at once too, and acknowledged when the Pacemakers have answered.

Answers come in any order: Storm's clients match them by the message id.  A request
without an id waits in the order of its connection (`Wait.ANSWER`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from pacemaker.call_soon import CallSoon
from pacemaker.core.accounts.account import UNKNOWN_PEER, Account, exceeds_share
from pacemaker.core.protocol.large_list import NAMES_PER_STEP
from pacemaker.core.store.store import KeyHandle, LeafHandle
from pacemaker.core.store.trie import characters_bytes
from pacemaker.errors import LimitError, OutOfPlaceError
from pacemaker.relay.core.question import Answer, Question, QuestionKind
from pacemaker.relay.inbox import Inbox
from pacemaker.wire import messages
from pacemaker.wire.messages import NO_MESSAGE_ID, Message

# The memory for the pending requests of one I/O thread: as much as `serve` allows for
# held reads.
MAX_PENDING_BYTES: Final = 16 * 1024 * 1024
# What a request takes in addition to the characters of its path.
_REQUEST_BYTES: Final = 1500

_KINDS: Final = {
    messages.GET_PULSE: QuestionKind.PULSE,
    messages.EXISTS: QuestionKind.EXISTS,
    messages.GET_ALL_NODES_FOR_PATH: QuestionKind.NODES,
    messages.DELETE_PATH: QuestionKind.DELETE,
    messages.DELETE_PULSE_ID: QuestionKind.DELETE_ONE,
}
_ACKS: Final = {
    messages.DELETE_PATH: messages.DELETE_PATH_RESPONSE,
    messages.DELETE_PULSE_ID: messages.DELETE_PULSE_ID_RESPONSE,
}

# A relay announces itself with a CREATE_PATH of this directory and its own id.
ANNOUNCEMENT: Final = "/storm-pacemaker-relay/"


class ThreadRequests:
    """The pending requests of one I/O thread: their memory, and where they go.

    Args:
        inbox: takes the requests.
        relay_id: the relay's id, by which it recognizes itself.
        account_limit_bytes: the most memory that the requests of one account may take;
            None for no such limit, only an equal share once there is little room.

    Attributes:
        refused: how many requests were refused for lack of room.
    """

    def __init__(
        self, inbox: Inbox, relay_id: str, account_limit_bytes: int | None = None
    ) -> None:
        self.inbox = inbox
        self.relay_id = relay_id
        self.call: CallSoon = _not_started
        self.refused = 0
        self._account_limit_bytes = account_limit_bytes
        self._total_bytes = 0
        self._accounts: dict[Account, int] = {}

    def __repr__(self) -> str:
        return (
            f"<ThreadRequests held_read_bytes={self._total_bytes}"
            f" refused={self.refused}>"
        )

    @property
    def held_read_bytes(self) -> int:
        """The memory of all pending requests."""
        return self._total_bytes

    def add(self, account: Account, size_bytes: int) -> None:
        """Count a request.

        Raises:
            LimitError: there is no room for it.  An answer cannot be made up: a miss
                would say that a worker is dead.
        """
        own_bytes = self._accounts.get(account, 0) + size_bytes
        total_bytes = self._total_bytes + size_bytes
        accounts = len(self._accounts) + (account not in self._accounts)
        most_bytes = self._account_limit_bytes
        if (
            (most_bytes is not None and own_bytes > most_bytes)
            or exceeds_share(own_bytes, total_bytes, MAX_PENDING_BYTES, accounts)
            or total_bytes > MAX_PENDING_BYTES
        ):
            self.refused += 1
            raise LimitError("too many requests wait for the Pacemakers", account.name)
        self._count(account, size_bytes)

    def remove(self, account: Account, size_bytes: int) -> None:
        """Count the end of a request."""
        self._count(account, -size_bytes)

    def _count(self, account: Account, size_bytes: int) -> None:
        own_bytes = self._accounts.get(account, 0) + size_bytes
        if own_bytes:
            self._accounts[account] = own_bytes
        else:
            del self._accounts[account]
        account.pending_bytes += size_bytes
        self._total_bytes += size_bytes


class PendingRequest:
    """One request that waits for its answer.

    Attributes:
        message: the request as it was received.
        size_bytes: the memory that it takes.
        question: what is asked of the Pacemakers; deleted once nobody waits for it.
        answer: their answer, once it has come.
        answer_bytes: about how much memory the answer takes.
    """

    __slots__ = ("answer", "answer_bytes", "message", "question", "size_bytes")

    question: Question

    def __init__(self, message: Message, size_bytes: int) -> None:
        self.message = message
        self.size_bytes = size_bytes
        self.answer: Answer = None
        self.answer_bytes = 0


class RelayBackend:
    """What one connection stores and asks, of all Pacemakers instead of one store.

    Only the connection's I/O thread calls it, with one exception: the links' thread
    delivers each answer by `_deliver`, which only passes it to the I/O thread.

    Args:
        requests: what waits on that thread.
        account: the account of the connection's address.
        name: the connection's name in the log.

    Attributes:
        name: the connection's name in the log.
        on_release: called when answers have come.
    """

    __slots__ = (
        "_account",
        "_answer",
        "_answers_bytes",
        "_has_ended",
        "_released",
        "_requests_by_id",
        "_thread_requests",
        "_without_id",
        "name",
        "on_release",
    )

    def __init__(self, requests: ThreadRequests, account: Account, name: str) -> None:
        self.name = name
        self.on_release: Callable[[], None] = _ignore_release
        self._thread_requests = requests
        self._account = account
        self._has_ended = False
        # By message id, and the one without an id.
        self._requests_by_id: dict[int, PendingRequest] = {}
        self._without_id: PendingRequest | None = None
        self._released: list[PendingRequest] = []
        # The memory of their answers.
        self._answers_bytes = 0
        # The answer to the request that the dispatcher is about to reply to.
        self._answer: Answer = None

    def __repr__(self) -> str:
        return f"<RelayBackend {self.name} pending={len(self._requests_by_id)}>"

    # The interface `core.protocol.pending_requests.PendingRequests`.

    @property
    def is_over(self) -> bool:
        """Whether no request is answered later any more: never."""
        return False

    @property
    def request_frames(self) -> bytes:
        """The reads as frames, for a process that carries the connection on."""
        requests = [pending.message for pending in self._pending()]
        return b"".join(
            messages.encode(request)
            for request in requests
            if request.type not in _ACKS
        )

    @property
    def ack_frames(self) -> bytes:
        """The replies to the deletes, for a process that carries the connection on.

        The deletes themselves must not be carried out again: they would remove what was
        written after them.
        """
        requests = [pending.message for pending in self._pending()]
        return b"".join(
            messages.encode(
                Message(
                    _ACKS[request.type],
                    None,
                    NO_MESSAGE_ID if request.message_id is None else request.message_id,
                )
            )
            for request in requests
            if request.type in _ACKS
        )

    @property
    def answers_bytes(self) -> int:
        """The memory of the answers that wait for room on the connection."""
        return self._answers_bytes

    def begin_batch(self) -> None:
        """Do nothing: no read is answered at once."""

    def note_answered(self, message_id: int, chunks: range) -> None:
        """Do nothing: no read is answered at once."""

    def supersede(self, message: Message) -> range:
        """Drop an earlier request with the id of a new one, unless it is the same.

        The same one, sent again, stays where it is.
        """
        message_id = message.message_id
        if message_id is not None:
            pending = self._requests_by_id.get(message_id)
            if pending is not None and pending.message != message:
                del self._requests_by_id[message_id]
                self._drop(pending)
        return range(0)

    def answer_later(self, message: Message, authenticated: bool) -> bool:
        """Ask the Pacemakers, if this is a request that they have to answer.

        Raises:
            LimitError: there is no room for it.
            OutOfPlaceError: the peer is a relay.
        """
        kind, path, message_id = message
        if kind == messages.CREATE_PATH and str(path).startswith(ANNOUNCEMENT):
            self._refuse_relay(str(path).removeprefix(ANNOUNCEMENT))
        asked = _KINDS.get(kind)
        if asked is None or not isinstance(path, str):
            return False
        if not authenticated and kind not in _ACKS:
            return False
        has_id = message_id is not None and message_id != NO_MESSAGE_ID
        if has_id and message_id in self._requests_by_id:
            # The same request, sent again: `supersede` has dropped any other.
            return True
        pending = self._new_pending(message, asked, path)
        if has_id and message_id is not None:
            self._requests_by_id[message_id] = pending
        else:
            self._without_id = pending
        self._thread_requests.inbox.ask(pending.question)
        return True

    def _new_pending(
        self, message: Message, kind: QuestionKind, path: str
    ) -> PendingRequest:
        """Make the question of a request, and count its memory."""
        if kind is QuestionKind.NODES:
            # The account pays for a list now, and for its names when they are known.
            self._account.uncharged_lists += 1
        size_bytes = _REQUEST_BYTES + characters_bytes(path)
        self._thread_requests.add(self._account, size_bytes)
        pending = PendingRequest(message, size_bytes)
        pending.question = Question(kind, path, partial(self._deliver, pending))
        return pending

    def next_released(self) -> Message | None:
        """Remove and return a request that is answered now, or None."""
        while self._released:
            pending = self._released.pop()
            self._answers_bytes -= pending.answer_bytes
            message_id = pending.message.message_id
            if pending is self._without_id:
                self._without_id = None
            elif (
                message_id is not None
                and self._requests_by_id.get(message_id) is pending
            ):
                del self._requests_by_id[message_id]
            else:
                continue
            self._forget(pending)
            self._answer = pending.answer
            return pending.message
        return None

    def drop_all(self) -> None:
        """Drop all requests, because the connection has ended."""
        if self._has_ended:
            return
        self._has_ended = True
        for pending in self._pending():
            self._drop(pending)
        self._requests_by_id.clear()
        self._without_id = None
        self._released.clear()
        self._answers_bytes = 0
        self._answer = None
        self.on_release = _ignore_release
        self._thread_requests.inbox.writer_left(self)

    def _refuse_relay(self, relay_id: str) -> None:
        if relay_id == self._thread_requests.relay_id:
            raise OutOfPlaceError(
                "this relay is connected to itself: pacemaker.relay.servers and --to"
                " may only name Pacemakers, not relays"
            )
        raise OutOfPlaceError(
            "the peer is a relay like this one, and relays do not chain: its"
            " pacemaker.relay.servers and --to may only name Pacemakers",
            f"relay {relay_id[:40]!a}",
        )

    def _pending(self) -> list[PendingRequest]:
        without_id = [] if self._without_id is None else [self._without_id]
        return [*self._requests_by_id.values(), *without_id]

    def _drop(self, pending: PendingRequest) -> None:
        self._thread_requests.inbox.drop(pending.question)
        self._forget(pending)

    def _forget(self, pending: PendingRequest) -> None:
        """Forget a request that was answered or dropped."""
        self._thread_requests.remove(self._account, pending.size_bytes)
        # The question refers to the request, in order to deliver the answer.  Such a
        # cycle would never be freed, since garbage is not collected
        # (`process.garbage`), and an answer may have 10 MB.
        del pending.question

    def _deliver(self, pending: PendingRequest, answer: Answer) -> None:
        # On the links' thread.  It may set the answer: the I/O thread reads it only
        # after `_release`, which is queued behind it.
        pending.answer = answer
        pending.answer_bytes = _size_of(answer)
        self._thread_requests.call(partial(self._release, pending))

    def _release(self, pending: PendingRequest) -> None:
        if not self._has_ended:
            self._released.append(pending)
            self._answers_bytes += pending.answer_bytes
            self.on_release()

    # The interface `core.protocol.dispatch.HeartbeatStore`.

    def put(
        self,
        key: str,
        value: bytes,
        handle: KeyHandle | None = None,
        account: Account = UNKNOWN_PEER,
    ) -> None:
        """Store a pulse, and have it passed on."""
        self._thread_requests.inbox.put(key, value, handle, account, self)

    def put_at(self, handle: KeyHandle, value: bytes) -> None:
        """Store a pulse of a known key, and have it passed on."""
        self._thread_requests.inbox.put_at(handle, value, self)

    def get(self, key: str) -> bytes | None:
        """Return the answer to a GET_PULSE, or whether an EXISTS found the key."""
        answer, self._answer = self._answer, None
        if isinstance(answer, bool):
            return b"" if answer else None
        return answer if isinstance(answer, bytes) else None

    def get_at(self, key: str, handle: LeafHandle) -> bytes | None:
        """Do what `get` does: the answer came from a Pacemaker, so no leaf has it."""
        return self.get(key)

    def count_names(self, path: str) -> int:
        """Return how many names the answer to a list has."""
        return len(self._names)

    def list_nodes(self, path: str) -> list[str]:
        """Return the answer to a list."""
        names, self._answer = self._names, None
        return names

    def name_slices(self, path: str, seen: set[str]) -> Iterator[list[str]]:
        """Yield the answer to a list, which has each name once, in batches."""
        names, self._answer = self._names, None
        return (
            names[at : at + NAMES_PER_STEP]
            for at in range(0, len(names), NAMES_PER_STEP)
        )

    def delete(self, key: str) -> None:
        """Do nothing: the delete was carried out when it arrived."""

    def delete_all(self, path: str) -> None:
        """Do nothing: the delete was carried out when it arrived."""

    @property
    def _names(self) -> list[str]:
        return self._answer if isinstance(self._answer, list) else []


def _size_of(answer: Answer) -> int:
    """Return about how much memory an answer takes."""
    if isinstance(answer, bytes):
        return len(answer)
    return sum(map(characters_bytes, answer)) if isinstance(answer, list) else 0


def _not_started(function: Callable[[], None]) -> None:
    raise AssertionError("nothing is asked before the I/O thread is known")


def _ignore_release() -> None:
    """Ignore an answer: nobody has asked to be called."""
