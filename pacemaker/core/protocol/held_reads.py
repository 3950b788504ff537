"""Held misses: after a start, a read of an absent key waits for the key.

The store is empty after a start, but that does not mean that the workers are dead.
Nimbus treats a missing heartbeat like one that has not changed, so without help it
would declare them dead.  Therefore, for some seconds, a GET_PULSE whose key is absent
is *held*: it is answered when the key is stored, or as a miss when the time is over.

`Holding` keeps the held reads of one I/O thread, and `HeldReads` those of one of its
connections.  A read goes through two steps:

    held ──its key is stored, or the time is over──▶ released ──▶ answered

Reads are *released* a few at a time.  A released read is *answered* by its connection
as soon as the connection has room for a reply.  Until then it can still be dropped,
because the connection has ended, or because another request with the same message id
has arrived.  If that request is the same read, sent again, the client expects one reply
for both.  If it is a new request, the client has abandoned the older read, and would
mistake the reply to it for the reply to the new request.

The connections share the memory for held reads.  Once three quarters of it are used, a
read is not held if its account has more than an equal share, or if its connection has
more than an equal share within the account.  If the memory is used up nevertheless, the
largest connection of the largest account *gives up* its oldest reads to make room for a
smaller one: they are answered at once, as misses.  So a client that reads thousands of
keys that do not exist gets misses, but Nimbus, which waits for only a few reads at a
time, does not.

Only the I/O thread that owns the connections calls this module.  The one exception is
the store, which reports a key on the thread that stores it.  The report is passed to
the I/O thread, which looks the key up again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from pacemaker.core.accounts.account import UNKNOWN_PEER, Account, exceeds_share
from pacemaker.core.store.store import Store
from pacemaker.core.store.trie import characters_bytes
from pacemaker.wire import messages
from pacemaker.wire.messages import NO_MESSAGE_ID, Message

# The memory for the held reads of one I/O thread: some 17,000 of Storm's reads.  A read
# that finds no room is answered at once, as if misses were not held.
MAX_HELD_BYTES: Final = 16 * 1024 * 1024
# How much a connection gives up at once: about 300 reads, which take a millisecond to
# answer.  With one read at a time, the largest connection would have to be searched
# for again with each new read.
_GIVEN_UP_AT_ONCE_BYTES: Final = MAX_HELD_BYTES // 64
# The most that may be given up but not answered yet.  A connection whose peer takes no
# replies cannot answer, so what it gives up stays in memory.
_MAX_GIVEN_UP_BYTES: Final = MAX_HELD_BYTES // 2
# What a read takes in addition to the characters of its key: its objects, and its
# entries in the dicts of its connection, of the thread and of the store.  Measured: up
# to 864 on Python 3.10, and 840 on 3.11; up to 50 of them depend on how full the dicts
# are.
_READ_BYTES: Final = 880

# How many reads are released in one turn of the loop: a millisecond or two of writing.
# Other connections are served between the turns.
RELEASED_PER_TURN: Final = 100

# Asks the I/O thread to call a function in its next turn.  Any thread may use it.
CallSoon: TypeAlias = Callable[[Callable[[], None]], None]


class _Holder:
    """The bytes that one account holds, in all and by connection."""

    __slots__ = ("by_connection", "held_bytes")

    def __init__(self) -> None:
        self.held_bytes = 0
        self.by_connection: dict[HeldReads, int] = {}

    @property
    def largest(self) -> HeldReads:
        """The connection that holds the most."""
        return max(self.by_connection, key=self.by_connection.__getitem__)

    def add(self, reads: HeldReads, size_bytes: int) -> None:
        """Add to what a connection holds."""
        self.held_bytes += size_bytes
        held_bytes = self.by_connection.get(reads, 0) + size_bytes
        if held_bytes:
            self.by_connection[reads] = held_bytes
        else:
            del self.by_connection[reads]


class Holding:
    """The held reads of the connections of one I/O thread.

    Holding is off until `begin` is called.  `end` turns it off for good.

    Args:
        store: the store that the reads wait for.
        most_of_one_bytes: the most memory that the reads of one account may take; None
            for no such limit: then only the equal share applies, under pressure.

    Attributes:
        is_on: whether misses are held.
        refused: how many reads were not held, or were given up, for lack of room.
    """

    def __init__(self, store: Store, most_of_one_bytes: int | None = None) -> None:
        self._store = store
        self._most_of_one_bytes = most_of_one_bytes
        self._call: CallSoon = _no_thread
        self._by_key: dict[str, dict[HeldRead, None]] = {}
        # Reads that will be released, `RELEASED_PER_TURN` at a time.
        self._to_release: OrderedDict[HeldRead, None] = OrderedDict()
        self._is_releasing = False
        self.is_on = False
        self.refused = 0
        self._holders: dict[Account, _Holder] = {}
        self._waiting_bytes = 0
        self._given_up_bytes = 0

    @property
    def held_bytes(self) -> int:
        """The memory of the reads that are not answered yet, given up ones included."""
        return self._waiting_bytes + self._given_up_bytes

    def __repr__(self) -> str:
        return f"<Holding on={self.is_on} held_bytes={self.held_bytes}>"

    def begin(self, call: CallSoon) -> None:
        """Hold misses from now on.  Call this before there are connections."""
        self._call = call
        self.is_on = True

    def end(self) -> None:
        """Stop holding misses, and release all held reads."""
        self.is_on = False
        # This also forgets the keys that the other threads await.  Their deadline has
        # passed as well, and each thread answers its own reads with what is stored by
        # then.
        self._store.await_nothing()
        by_key, self._by_key = self._by_key, {}
        for reads in by_key.values():
            self._release_soon(reads)

    def new_reads(self, account: Account = UNKNOWN_PEER) -> HeldReads | None:
        """Return the `HeldReads` of a new connection, or None if holding is off."""
        return HeldReads(self, account) if self.is_on else None

    def hold(self, read: HeldRead) -> bool:
        """Hold a read; return False if its key exists or there is no room for it."""
        # The store checks for the key and registers the waiter under one lock.  With a
        # look-up first, the key could be stored just after it, and the read would wait
        # until the time is over.
        if not self.is_on or not self._store.await_key(read.key, self._on_key):
            return False
        # List the read before making room.  Otherwise, if the last other read of this
        # key is given up for it, `_unlist` would find no reads left and tell the store
        # to stop awaiting the key.
        self._by_key.setdefault(read.key, {})[read] = None
        if not self._make_room(read):
            self.refused += 1
            self._unlist(read)
            return False
        self._count(read, read.size_bytes)
        return True

    def forget(self, read: HeldRead) -> None:
        """Release the memory of a read that was answered or dropped."""
        if read.is_given_up:
            self._given_up_bytes -= read.size_bytes
        else:
            self._count(read, -read.size_bytes)
            self._unlist(read)

    def _count(self, read: HeldRead, size_bytes: int) -> None:
        """Add to the totals of a read's account and connection."""
        account = read.reads.account
        holder = self._holders.setdefault(account, _Holder())
        holder.add(read.reads, size_bytes)
        if not holder.held_bytes:
            del self._holders[account]
        account.held_read_bytes += size_bytes
        self._waiting_bytes += size_bytes

    def _make_room(self, read: HeldRead) -> bool:
        """Give up other reads if needed; return whether this one may be held."""
        reads, size_bytes = read.reads, read.size_bytes
        # Each pass gives up reads of one connection.  The totals and the holders have
        # changed after it, so the shares are computed again.
        while True:
            holder = self._holders.get(reads.account) or _Holder()
            accounts = len(self._holders) + (not holder.held_bytes)
            connections = len(holder.by_connection)
            connections += reads not in holder.by_connection
            total_bytes = self._waiting_bytes + size_bytes
            own_bytes = holder.held_bytes + size_bytes
            if self._is_too_much(own_bytes):
                return False
            reads_bytes = holder.by_connection.get(reads, 0) + size_bytes
            if exceeds_share(
                reads_bytes, total_bytes, MAX_HELD_BYTES, accounts * connections
            ):
                return False
            if exceeds_share(own_bytes, total_bytes, MAX_HELD_BYTES, accounts):
                # The account is above its share, so other accounts give up nothing
                # for it.  But another connection of the same account may hold more,
                # and has to make room: Nimbus may share an attacker's address.
                largest = holder
            elif total_bytes <= MAX_HELD_BYTES:
                return True
            else:
                # Another account: this one is within its share, so the room could not
                # be full if no other held more.
                largest = max(self._holders.values(), key=_held_bytes_of)
            # Within the account, only a connection that holds more than this one
            # gives up reads, so no connection gives up its own.
            least_bytes = reads_bytes if largest is holder else 0
            if not self._give_up(largest, least_bytes):
                return False

    def _is_too_much(self, own_bytes: int) -> bool:
        most_bytes = self._most_of_one_bytes
        return most_bytes is not None and own_bytes > most_bytes

    def _give_up(self, holder: _Holder, least_bytes: int) -> bool:
        """Make the largest connection of an account give up its oldest reads.

        Args:
            holder: the account's holder, which holds some.
            least_bytes: stop when the connection holds no more than this.

        Returns:
            Whether it has given up any.
        """
        reads = holder.largest
        given_up = 0
        most_bytes = min(
            _GIVEN_UP_AT_ONCE_BYTES, _MAX_GIVEN_UP_BYTES - self._given_up_bytes
        )
        for read in reads.oldest():
            if most_bytes <= 0 or holder.by_connection.get(reads, 0) <= least_bytes:
                break
            most_bytes -= read.size_bytes
            # The read no longer counts as waiting, so the new one fits.  It is in
            # memory until its connection answers it, and is counted as given up.
            self._count(read, -read.size_bytes)
            self._unlist(read)
            self._given_up_bytes += read.size_bytes
            read.is_given_up = True
            reads.release(read)
            given_up += 1
        self.refused += given_up
        return given_up > 0

    def _unlist(self, read: HeldRead) -> None:
        """Stop awaiting the key of a read, unless other reads await it too."""
        self._to_release.pop(read, None)
        reads = self._by_key.get(read.key)
        if reads is not None and read in reads:
            del reads[read]
            if not reads:
                del self._by_key[read.key]
                self._store.stop_awaiting(read.key, self._on_key)

    def wake(self, function: Callable[[], None]) -> None:
        """Call a function in the I/O thread's next turn."""
        self._call(function)

    def _on_key(self, key: str) -> None:
        # On the thread that stored the key, which must not touch this object.
        self._call(partial(self._look_again, key))

    def _look_again(self, key: str) -> None:
        """Release the reads of a key, unless it was deleted again meanwhile."""
        # `_on_key` was called once, and is not registered any more.  If the key is gone
        # again, this registers it again and the reads go on waiting: a release would
        # answer them with a miss.
        if key in self._by_key and not self._store.await_key(key, self._on_key):
            self._release_soon(self._by_key.pop(key))

    def _release_soon(self, reads: dict[HeldRead, None]) -> None:
        self._to_release.update(reads)
        if not self._is_releasing:
            self._is_releasing = True
            self._call(self._release_some)

    def _release_some(self) -> None:
        for _ in range(min(len(self._to_release), RELEASED_PER_TURN)):
            read, _ = self._to_release.popitem(last=False)
            read.reads.release(read)
        self._is_releasing = bool(self._to_release)
        if self._is_releasing:
            self._call(self._release_some)


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
        holding: the holding of the I/O thread.
        account: the peer's account.

    Attributes:
        account: the peer's account.
        on_release: called when reads were released; `next_released` returns them.
    """

    __slots__ = (
        "_answered",
        "_held",
        "_holding",
        "_released",
        "account",
        "on_release",
    )

    def __init__(self, holding: Holding, account: Account = UNKNOWN_PEER) -> None:
        self._holding = holding
        self.account = account
        self._held: dict[int, HeldRead] = {}
        self._released: list[HeldRead] = []
        # By message id: the indices of the pending chunks that form the reply.
        self._answered: dict[int, range] = {}
        self.on_release: Callable[[], None] = _nothing

    def __repr__(self) -> str:
        return f"<HeldReads held={len(self._held)} released={len(self._released)}>"

    @property
    def is_over(self) -> bool:
        """Whether no read is held and none will be."""
        return not self._held and not self._holding.is_on

    @property
    def frames(self) -> bytes:
        """The held reads as frames, for a process that carries the connection on."""
        return b"".join(messages.encode(read.request) for read in self._held.values())

    @property
    def acks(self) -> bytes:
        """Nothing: every held read is carried out again."""
        return b""

    def begin_batch(self) -> None:
        """Forget the reads that the last batch answered."""
        self._answered.clear()

    def note_answered(self, message_id: int, chunks: range) -> None:
        """Record that a read of this batch was answered, and with which chunks."""
        self._answered[message_id] = chunks

    def supersede(self, message: Message) -> range:
        """Drop an earlier read with the message id of a new request.

        Returns:
            The indices of the pending chunks that must not be sent: the reply to the
            earlier read, if this batch has answered it already.
        """
        message_id = message.message_id
        if message_id is None or not (self._held or self._answered):
            return range(0)
        read = self._held.pop(message_id, None)
        if read is not None:
            self._holding.forget(read)
        return self._answered.pop(message_id, range(0))

    def hold(self, message: Message, authenticated: bool = True) -> bool:
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
        is_held = self._holding.hold(read)
        if is_held:
            self._held[message_id] = read
        return is_held

    def oldest(self) -> Iterator[HeldRead]:
        """Yield the reads that are held and not given up, oldest first."""
        return (read for read in self._held.values() if not read.is_given_up)

    def release(self, read: HeldRead) -> None:
        """Queue a read to be answered, unless it is dropped before."""
        # Not called at once: `release` can come from the middle of another
        # connection's `hold`, which must not run this connection's protocol.
        if not self._released:
            self._holding.wake(self._tell)
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
                self._holding.forget(read)
                return read.request
        return None

    def drop_all(self) -> None:
        """Drop all held reads, because the connection has ended."""
        for read in self._held.values():
            self._holding.forget(read)
        self._held.clear()
        self._released.clear()
        self.on_release = _nothing

    def _tell(self) -> None:
        self.on_release()


def _held_bytes_of(holder: _Holder) -> int:
    return holder.held_bytes


def _no_thread(function: Callable[[], None]) -> None:
    raise AssertionError("nothing is held before `begin`")


def _nothing() -> None:
    """Ignore a release: the connection has ended, or nobody has asked to be called."""
