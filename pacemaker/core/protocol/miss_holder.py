"""Held misses: after a start, a read of an absent key waits for the key.

The store is empty after a start, but that does not mean that the workers are dead.
Nimbus treats a missing heartbeat like one that has not changed, so without help it
would declare them dead.  Therefore, for some seconds, a GET_PULSE whose key is absent
is *held*: it is answered when the key is stored, or as a miss when the time is over.

Three modules share the work.  `MissHolder` knows the held reads of all connections of
one I/O thread by their keys, and releases them a few at a time.  `HeldReads` has those
of one connection, and answers them.  `HeldReadBudget` counts their memory, which the
connections share, and makes room.

               ┌ key stored or time up (MissHolder) ───┐
    awaits key ┤                                       ├▶ released ─▶ answered
               └ room needed: given up (HeldReadBudget)┘      (HeldReads)

A read is *held* and takes memory until it is answered or dropped; a connection drops it
at any point (`HeldReads.supersede`, `HeldReads.drop_all`).

Only the I/O thread that owns the connections calls these modules.  The one exception is
the store, which reports a key on the thread that stores it.  The report is passed to
the I/O thread, which looks the key up again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Final

from pacemaker.call_soon import CallSoon
from pacemaker.core.accounts.account import UNKNOWN_PEER, Account
from pacemaker.core.protocol.held_read_budget import HeldReadBudget
from pacemaker.core.protocol.held_reads import HeldRead, HeldReads
from pacemaker.core.store.store import Store

# How many reads are released in one turn of the loop: a millisecond or two of writing.
# Other connections are served between the turns.
RELEASED_PER_TURN: Final = 100


class MissHolder:
    """The held reads of the connections of one I/O thread.

    Holding is off until `begin` is called.  `end` turns it off for good.

    Args:
        store: the store that the reads wait for.
        account_limit_bytes: the most memory that the reads of one account may take;
            None for no such limit: then only the equal share applies, under pressure.

    Attributes:
        is_on: whether misses are held.
        call_soon: asks the I/O thread to call a function in its next turn.
    """

    def __init__(self, store: Store, account_limit_bytes: int | None = None) -> None:
        self._store = store
        self._budget = HeldReadBudget(self._stop_awaiting, account_limit_bytes)
        self.call_soon: CallSoon = _no_thread
        self._by_key: dict[str, dict[HeldRead, None]] = {}
        # Reads that will be released, `RELEASED_PER_TURN` at a time.
        self._to_release: OrderedDict[HeldRead, None] = OrderedDict()
        self._is_releasing = False
        self.is_on = False

    @property
    def held_read_bytes(self) -> int:
        """The memory of the reads that are not answered yet, given up ones included."""
        return self._budget.held_bytes

    @property
    def refused(self) -> int:
        """How many reads were not held, or were given up, for lack of room."""
        return self._budget.refused

    def __repr__(self) -> str:
        return f"<MissHolder on={self.is_on} held_read_bytes={self.held_read_bytes}>"

    def begin(self, call_soon: CallSoon) -> None:
        """Hold misses from now on.  Call this before there are connections."""
        self.call_soon = call_soon
        self.is_on = True

    def end(self) -> None:
        """Stop holding misses, and release all held reads."""
        self.is_on = False
        # This also forgets the keys that the other threads await.  Their deadline has
        # passed as well, and each thread answers its own reads with what is stored by
        # then.
        self._store.stop_awaiting_all()
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
        # key is given up for it, `_stop_awaiting` would find no reads left and tell the
        # store to stop awaiting the key.
        self._by_key.setdefault(read.key, {})[read] = None
        has_room = self._budget.add(read)
        if not has_room:
            self._stop_awaiting(read)
        return has_room

    def forget(self, read: HeldRead) -> None:
        """Release the memory of a read that was answered or dropped."""
        self._budget.remove(read)
        if not read.is_given_up:
            self._stop_awaiting(read)

    def _stop_awaiting(self, read: HeldRead) -> None:
        """Stop awaiting the key of a read, unless other reads await it too."""
        self._to_release.pop(read, None)
        reads = self._by_key.get(read.key)
        if reads is not None and read in reads:
            del reads[read]
            if not reads:
                del self._by_key[read.key]
                self._store.stop_awaiting(read.key, self._on_key)

    def _on_key(self, key: str) -> None:
        # On the thread that stored the key, which must not touch this object.
        self.call_soon(partial(self._look_again, key))

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
            self.call_soon(self._release_some)

    def _release_some(self) -> None:
        for _ in range(min(len(self._to_release), RELEASED_PER_TURN)):
            read, _ = self._to_release.popitem(last=False)
            read.reads.release(read)
        self._is_releasing = bool(self._to_release)
        if self._is_releasing:
            self.call_soon(self._release_some)


def _no_thread(function: Callable[[], None]) -> None:
    raise AssertionError("nothing is held before `begin`")
