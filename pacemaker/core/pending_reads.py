"""Held misses: after a start, a read of what is not there yet waits for it.

A store that has just been started is empty, and says nothing of the workers:
Nimbus, which takes a heartbeat that is missing for one that has not changed,
would count them as dead.  So for some seconds a GET_PULSE whose key is absent
is *held*: it is answered when the key comes, or as a miss when the time is over.

`Holding` knows the held reads of one I/O thread, `HeldReads` those of one of its
connections.  A read goes through two steps:

    held ──its key is stored, or the time is over──▶ released ──▶ answered

It is *released* few at a time, and *answered* by its connection as soon as that
has room for a reply.  Until it is answered it can still be dropped: its
connection has ended, or another request has come under its message id.  Either
that is the same read, sent again, and one reply is due for both; or the client has
given the older up, and would take its reply for the other's.

The room for held reads is shared.  Once three quarters of it are taken, a read is
not held for an account that has more than an equal share of it, nor, in an
account, for a connection that has.  If the room is full all the same, the largest
connection of the largest account *gives up* its oldest reads, to a smaller one:
they are answered at once.  So whoever reads odd keys by the thousand gets misses,
and Nimbus, which waits for a few reads at a time, does not.

Only the I/O thread that owns the connections calls any of this, but for the
store, which tells of a key on the thread that stores it: that is handed over to
the I/O thread, and the key looked up again there.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from pacemaker.core.accounts import NOBODY, Account, exceeds_share
from pacemaker.core.store import Store
from pacemaker.wire import messages
from pacemaker.wire.messages import Message

# What the held reads of one I/O thread may take: some 19,000 of Storm's.  A read
# that finds no room is answered at once, as if nothing were held.
MAX_HELD_BYTES: Final = 16 * 1024 * 1024
# How much a connection gives up at once, so that the largest is not looked for
# again with each read: about 300 reads, which take a millisecond to answer.
_GIVEN_UP_AT_ONCE_BYTES: Final = MAX_HELD_BYTES // 64
# How much may be given up and not yet answered, as its connection takes no replies.
_MAX_GIVEN_UP_BYTES: Final = MAX_HELD_BYTES // 2
# What one takes besides the characters of its key: the objects, and its places in
# the dicts of its connection, of the thread and of the store.
_READ_BYTES: Final = 800
# A str that is not ASCII takes at most so many bytes a character.
_WIDE_CHARACTER_BYTES: Final = 4

# How many are released in one turn of the loop, so that others are served
# between them: a millisecond or two of writing.
RELEASED_PER_TURN: Final = 100

# Has the I/O thread call a function in its next turn; any thread may ask.
Call: TypeAlias = Callable[[Callable[[], None]], None]


class _Holder:
    """What one account holds, and each of its connections."""

    __slots__ = ("by_connection", "held_bytes")

    def __init__(self) -> None:
        self.held_bytes = 0
        self.by_connection: dict[HeldReads, int] = {}

    @property
    def largest(self) -> HeldReads:
        """The connection that holds most."""
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
    """The reads that the connections of one I/O thread hold.

    It is off until `begin`, and for good after `end`.

    Args:
        store: where the keys will come.
        most_of_one_bytes: what the reads of one account may take at any time; None
            for an equal share once there is little room.

    Attributes:
        is_on: whether misses are held.
        refused: how many reads were not held, or not any longer, for want of room.
    """

    def __init__(self, store: Store, most_of_one_bytes: int | None = None) -> None:
        self._store = store
        self._most_of_one_bytes = most_of_one_bytes
        self._call: Call = _no_thread
        self._by_key: dict[str, dict[HeldRead, None]] = {}
        # To be released, in turns.
        self._due: OrderedDict[HeldRead, None] = OrderedDict()
        self._is_releasing = False
        self.is_on = False
        self.refused = 0
        self._holders: dict[Account, _Holder] = {}
        self._waiting_bytes = 0
        self._given_up_bytes = 0

    @property
    def held_bytes(self) -> int:
        """What the held reads take, until they are answered."""
        return self._waiting_bytes + self._given_up_bytes

    def __repr__(self) -> str:
        return f"<Holding on={self.is_on} held_bytes={self.held_bytes}>"

    def begin(self, call: Call) -> None:
        """Hold misses from now on; called before there are connections."""
        self._call = call
        self.is_on = True

    def end(self) -> None:
        """Hold no more misses, and release all that are held."""
        self.is_on = False
        # Those of the other threads too: their time is over as well, and each
        # answers with what is stored by then.
        self._store.await_nothing()
        by_key, self._by_key = self._by_key, {}
        for reads in by_key.values():
            self._put_due(reads)

    def new_reads(self, account: Account = NOBODY) -> HeldReads | None:
        """Return the place for the reads of a new connection, if it needs one."""
        return HeldReads(self, account) if self.is_on else None

    def hold(self, read: HeldRead) -> bool:
        """Hold a read; False where its key is there, or there is no room."""
        if not self.is_on or not self._store.await_key(read.key, self._on_key):
            return False
        # Before room is made: if the last other read of this key is given up, the
        # store would be told that nobody awaits the key any more.
        self._by_key.setdefault(read.key, {})[read] = None
        if not self._make_room(read):
            self.refused += 1
            self._unlist(read)
            return False
        self._count(read, read.size_bytes)
        return True

    def forget(self, read: HeldRead) -> None:
        """Let go of a read that was answered or dropped."""
        if read.is_given_up:
            self._given_up_bytes -= read.size_bytes
        else:
            self._count(read, -read.size_bytes)
            self._unlist(read)

    def _count(self, read: HeldRead, size_bytes: int) -> None:
        """Add to what the account and the connection of a read hold."""
        account = read.reads.account
        holder = self._holders.setdefault(account, _Holder())
        holder.add(read.reads, size_bytes)
        if not holder.held_bytes:
            del self._holders[account]
        account.held_read_bytes += size_bytes
        self._waiting_bytes += size_bytes

    def _make_room(self, read: HeldRead) -> bool:
        """Return whether a read may be held, after others were given up for it."""
        reads, size_bytes = read.reads, read.size_bytes
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
                # It gets no room of other accounts.  But another connection of its own
                # account may hold more: Nimbus may share an attacker's address.
                largest = holder
            elif total_bytes <= MAX_HELD_BYTES:
                return True
            else:
                largest = max(self._holders.values(), key=_held_bytes_of)
                if largest.held_bytes <= own_bytes:
                    largest = holder
            least_bytes = reads_bytes if largest is holder else 0
            if not self._give_up(largest, least_bytes):
                return False

    def _is_too_much(self, own_bytes: int) -> bool:
        most_bytes = self._most_of_one_bytes
        return most_bytes is not None and own_bytes > most_bytes

    def _give_up(self, holder: _Holder, least_bytes: int) -> bool:
        """Have the largest connection of an account give up its oldest reads.

        Args:
            holder: the account.
            least_bytes: what the connection must hold more than.

        Returns:
            Whether it has given up any.
        """
        if not holder.by_connection:
            return False
        reads = holder.largest
        given_up = 0
        most_bytes = min(
            _GIVEN_UP_AT_ONCE_BYTES, _MAX_GIVEN_UP_BYTES - self._given_up_bytes
        )
        for read in reads.oldest():
            if most_bytes <= 0 or holder.by_connection.get(reads, 0) <= least_bytes:
                break
            most_bytes -= read.size_bytes
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
        self._due.pop(read, None)
        reads = self._by_key.get(read.key)
        if reads is not None and read in reads:
            del reads[read]
            if not reads:
                del self._by_key[read.key]
                self._store.stop_awaiting(read.key, self._on_key)

    def wake(self, function: Callable[[], None]) -> None:
        """Call a function in the next turn."""
        self._call(function)

    def _on_key(self, key: str) -> None:
        self._call(partial(self._look_again, key))

    def _look_again(self, key: str) -> None:
        """Release the reads of a key, unless it was deleted again meanwhile."""
        if key in self._by_key and not self._store.await_key(key, self._on_key):
            self._put_due(self._by_key.pop(key))

    def _put_due(self, reads: dict[HeldRead, None]) -> None:
        self._due.update(reads)
        if not self._is_releasing:
            self._is_releasing = True
            self._call(self._release_some)

    def _release_some(self) -> None:
        for _ in range(min(len(self._due), RELEASED_PER_TURN)):
            read, _ = self._due.popitem(last=False)
            read.reads.release(read)
        self._is_releasing = bool(self._due)
        if self._is_releasing:
            self._call(self._release_some)


@dataclass(eq=False, slots=True)
class HeldRead:
    """One GET_PULSE that waits.

    Attributes:
        reads: its connection's.
        key: what it asks for.
        message_id: the id that its reply will have.
        is_given_up: whether it waits only for its connection to answer it.
    """

    reads: HeldReads
    key: str
    message_id: int
    is_given_up: bool = False

    @property
    def size_bytes(self) -> int:
        """The memory that it takes."""
        character_bytes = 1 if self.key.isascii() else _WIDE_CHARACTER_BYTES
        return _READ_BYTES + character_bytes * len(self.key)

    @property
    def frame(self) -> bytes:
        """The frame that asks for it again."""
        return messages.encode(Message(messages.GET_PULSE, self.key, self.message_id))


class HeldReads:
    """The reads of one connection while misses are held.

    It also knows the reads of one *batch* that are answered already: what was
    read from the socket at once.  Re-sends that queued up while the server was
    away lie in one.

    Args:
        holding: the I/O thread's.
        account: the peer's.

    Attributes:
        account: the same.
        on_release: called when reads were released; `next_released` gives them.
    """

    __slots__ = (
        "_answered",
        "_held",
        "_holding",
        "_released",
        "account",
        "on_release",
    )

    def __init__(self, holding: Holding, account: Account = NOBODY) -> None:
        self._holding = holding
        self.account = account
        self._held: dict[int, HeldRead] = {}
        self._released: list[HeldRead] = []
        # By message id: which of the chunks that are due are the reply.
        self._answered: dict[int, range] = {}
        self.on_release: Callable[[], None] = _nothing

    def __repr__(self) -> str:
        return f"<HeldReads held={len(self._held)} released={len(self._released)}>"

    def __len__(self) -> int:
        return len(self._held)

    @property
    def is_over(self) -> bool:
        """Whether nothing is held any more, nor will be."""
        return not self._held and not self._holding.is_on

    @property
    def frames(self) -> bytes:
        """The frames of the held reads, for who goes on with the connection."""
        return b"".join(read.frame for read in self._held.values())

    def begin_batch(self) -> None:
        """Forget what was answered."""
        self._answered.clear()

    def note_answered(self, message_id: int, chunks: range) -> None:
        """Note a read of this batch that was answered, and by which chunks."""
        self._answered[message_id] = chunks

    def supersede(self, message_id: int) -> range:
        """Drop the read that another request has the message id of.

        Returns:
            The due chunks that must not be sent.
        """
        read = self._held.pop(message_id, None)
        if read is not None:
            self._holding.forget(read)
        return self._answered.pop(message_id, range(0))

    def hold(self, key: str, message_id: int) -> bool:
        """Hold a read; False where it has to be answered now."""
        read = HeldRead(self, key, message_id)
        is_held = self._holding.hold(read)
        if is_held:
            self._held[message_id] = read
        return is_held

    def oldest(self) -> Iterator[HeldRead]:
        """Give the reads that are held, those that came first ahead."""
        return (read for read in self._held.values() if not read.is_given_up)

    def release(self, read: HeldRead) -> None:
        """Have a read answered, unless it is dropped before."""
        if not self._released:
            self._holding.wake(self._tell)
        self._released.append(read)

    def next_released(self) -> HeldRead | None:
        """Take a read that has to be answered now."""
        while self._released:
            # The order is of no matter: each reply has its id.
            read = self._released.pop()
            if self._held.get(read.message_id) is read:
                del self._held[read.message_id]
                self._holding.forget(read)
                return read
        return None

    def drop_all(self) -> None:
        """Drop what is held, as the connection has ended."""
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
    """Be told of nothing: a connection that has ended, or none."""
