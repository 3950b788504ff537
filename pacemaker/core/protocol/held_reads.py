"""The held reads of one connection, each of which waits for an absent key.

`core.protocol.miss_holder` says why reads are held, shows the states that a read goes
through, and releases reads.

A released read is *answered* by its connection as soon as the connection has room for a
reply.  Until then it can still be dropped, because the connection has ended, or because
another request with the same message id has arrived.  If that request is the same read,
sent again, the client expects one reply for both.  If it is a new request, the client
has abandoned the older read, and would mistake the reply to it for the reply to the new
request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from pacemaker.call_soon import CallSoon
from pacemaker.core.accounts.account import UNKNOWN_PEER, Account
from pacemaker.core.store.trie import characters_bytes
from pacemaker.wire import messages
from pacemaker.wire.messages import NO_MESSAGE_ID, Message

# What a read takes in addition to the characters of its key: its objects, and its
# entries in the dicts of its connection, of the thread and of the store.  Measured: up
# to 864 on Python 3.10, and 840 on 3.11; up to 50 of them depend on how full the dicts
# are.
_READ_BYTES: Final = 880


class ReadHolder(Protocol):
    """Holds the reads of all connections of one I/O thread: `MissHolder`.

    Attributes:
        is_on: whether misses are held.
        call_soon: asks the I/O thread to call a function in its next turn.
    """

    is_on: bool
    call_soon: CallSoon

    def hold(self, read: HeldRead) -> bool:
        """Hold a read; return False if its key exists or there is no room for it."""

    def forget(self, read: HeldRead) -> None:
        """Release the memory of a read that was answered or dropped."""


@dataclass(eq=False, slots=True)
class HeldRead:
    """One GET_PULSE that waits.

    Attributes:
        reads: the `HeldReads` of its connection.
        key: the key that it asks for.
        message_id: the id that its reply will have.
        is_given_up: whether it no longer waits for its key, only for its connection
            to answer it.
    """

    reads: HeldReads
    key: str
    message_id: int
    is_given_up: bool = False

    @property
    def size_bytes(self) -> int:
        """The memory that the read takes."""
        return _READ_BYTES + characters_bytes(self.key)

    @property
    def request(self) -> Message:
        """The request."""
        return Message(messages.GET_PULSE, self.key, self.message_id)


class HeldReads:
    """The reads of one connection while misses are held.

    It also remembers the reads of the current *batch* that are answered already.  A
    batch is what was read from the socket at once.  If a client sent a read again
    while the server was away, the copies have queued up and arrive in one batch.

    Args:
        holder: holds the reads of all connections of the I/O thread.
        account: the peer's account.

    Attributes:
        account: the peer's account.
        on_release: called when reads were released; `next_released` returns them.
    """

    __slots__ = (
        "_answered",
        "_held",
        "_holder",
        "_released",
        "account",
        "on_release",
    )

    def __init__(self, holder: ReadHolder, account: Account = UNKNOWN_PEER) -> None:
        self._holder = holder
        self.account = account
        self._held: dict[int, HeldRead] = {}
        self._released: list[HeldRead] = []
        # By message id: the indices of the outgoing chunks that form the reply.
        self._answered: dict[int, range] = {}
        self.on_release: Callable[[], None] = _nothing

    def __repr__(self) -> str:
        return f"<HeldReads held={len(self._held)} released={len(self._released)}>"

    @property
    def is_over(self) -> bool:
        """Whether no read is held and none will be."""
        return not self._held and not self._holder.is_on

    @property
    def request_frames(self) -> bytes:
        """The held reads as frames, for a process that carries the connection on."""
        return b"".join(messages.encode(read.request) for read in self._held.values())

    @property
    def ack_frames(self) -> bytes:
        """Nothing: every held read is carried out again."""
        return b""

    @property
    def answers_bytes(self) -> int:
        """Nothing: an answer is looked up in the store when there is room for it."""
        return 0

    def begin_batch(self) -> None:
        """Forget the reads that the last batch answered."""
        self._answered.clear()

    def note_answered(self, message_id: int, chunks: range) -> None:
        """Record that a read of this batch was answered, and with which chunks."""
        self._answered[message_id] = chunks

    def supersede(self, message: Message) -> range:
        """Drop an earlier read with the message id of a new request.

        Returns:
            The indices of the outgoing chunks that must not be sent: the reply to the
            earlier read, if this batch has answered it already.
        """
        message_id = message.message_id
        if message_id is None or not (self._held or self._answered):
            return range(0)
        read = self._held.pop(message_id, None)
        if read is not None:
            self._holder.forget(read)
        return self._answered.pop(message_id, range(0))

    def answer_later(self, message: Message, authenticated: bool = True) -> bool:
        """Hold a read of an absent key; return False to answer the message now.

        A read without an id is never held: the client could not tell which request a
        later reply belongs to.
        """
        kind, key, message_id = message
        if (
            kind != messages.GET_PULSE
            or not authenticated
            or not isinstance(key, str)
            or message_id is None
            or message_id == NO_MESSAGE_ID
        ):
            return False
        read = HeldRead(self, key, message_id)
        is_held = self._holder.hold(read)
        if is_held:
            self._held[message_id] = read
        return is_held

    def awaiting_key(self) -> Iterator[HeldRead]:
        """Yield the reads that await their keys, not those given up, oldest first."""
        return (read for read in self._held.values() if not read.is_given_up)

    def release(self, read: HeldRead) -> None:
        """Queue a read to be answered, unless it is dropped before."""
        # Not called at once: `release` can come from the middle of another
        # connection's `answer_later`, which must not run this connection's protocol.
        if not self._released:
            self._holder.call_soon(self._tell)
        self._released.append(read)

    def next_released(self) -> Message | None:
        """Remove and return a read that has to be answered now, or None."""
        while self._released:
            # The order does not matter: each reply carries its message id.
            read = self._released.pop()
            # `supersede` may have dropped it after its release.  By identity, since
            # another read may be held under the same id.
            if self._held.get(read.message_id) is read:
                del self._held[read.message_id]
                self._holder.forget(read)
                return read.request
        return None

    def drop_all(self) -> None:
        """Drop all held reads, because the connection has ended."""
        for read in self._held.values():
            self._holder.forget(read)
        self._held.clear()
        self._released.clear()
        self.on_release = _nothing

    def _tell(self) -> None:
        self.on_release()


def _nothing() -> None:
    """Ignore a release: the connection has ended, or nobody has asked to be called."""
