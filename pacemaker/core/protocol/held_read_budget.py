"""The memory for held reads, which the connections of one I/O thread share.

Once three quarters of it are used, a read is not held if its account has more than an
equal share, or if its connection has more than an equal share within the account.  If
the memory is used up nevertheless, the largest connection of the largest account *gives
up* its oldest reads to make room for a smaller one: they are answered at once, as
misses.  So a client that reads thousands of keys that do not exist gets misses, but
Nimbus, which waits for only a few reads at a time, does not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pacemaker.core.accounts.account import Account, exceeds_share
from pacemaker.core.protocol.held_reads import HeldRead, HeldReads

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


class _AccountReads:
    """The bytes that one account's reads take, in all and by connection."""

    __slots__ = ("by_connection", "held_bytes")

    def __init__(self) -> None:
        self.held_bytes = 0
        self.by_connection: dict[HeldReads, int] = {}

    @property
    def largest(self) -> HeldReads:
        """The connection whose reads take the most."""
        return max(self.by_connection, key=self.by_connection.__getitem__)

    def add(self, reads: HeldReads, size_bytes: int) -> None:
        """Add to what the reads of a connection take."""
        self.held_bytes += size_bytes
        held_bytes = self.by_connection.get(reads, 0) + size_bytes
        if held_bytes:
            self.by_connection[reads] = held_bytes
        else:
            del self.by_connection[reads]


class HeldReadBudget:
    """Counts the held reads of one I/O thread, and makes room for new ones.

    Args:
        stop_awaiting: called with each read that is given up, before it is released.
        account_limit_bytes: the most memory that the reads of one account may take;
            None for no such limit: then only the equal share applies, under pressure.

    Attributes:
        refused: how many reads were refused or given up for lack of room.
    """

    def __init__(
        self,
        stop_awaiting: Callable[[HeldRead], None],
        account_limit_bytes: int | None = None,
    ) -> None:
        self._stop_awaiting = stop_awaiting
        self._account_limit_bytes = account_limit_bytes
        self._by_account: dict[Account, _AccountReads] = {}
        self._awaiting_bytes = 0
        self._given_up_bytes = 0
        self.refused = 0

    @property
    def held_bytes(self) -> int:
        """The memory of the reads that are not answered yet, given up ones included."""
        return self._awaiting_bytes + self._given_up_bytes

    def add(self, read: HeldRead) -> bool:
        """Count a new read, and give up others for it if needed.

        Returns:
            Whether it was counted; False if there is no room for it.
        """
        if not self._make_room(read):
            self.refused += 1
            return False
        self._count(read, read.size_bytes)
        return True

    def remove(self, read: HeldRead) -> None:
        """Count out a read that was answered or dropped."""
        if read.is_given_up:
            self._given_up_bytes -= read.size_bytes
        else:
            self._count(read, -read.size_bytes)

    def _count(self, read: HeldRead, size_bytes: int) -> None:
        """Add to the totals of a read's account and connection."""
        account = read.reads.account
        own = self._by_account.setdefault(account, _AccountReads())
        own.add(read.reads, size_bytes)
        if not own.held_bytes:
            del self._by_account[account]
        account.pending_bytes += size_bytes
        self._awaiting_bytes += size_bytes

    def _make_room(self, read: HeldRead) -> bool:
        """Give up other reads if needed; return whether this one may be held."""
        reads, size_bytes = read.reads, read.size_bytes
        # Each pass gives up reads of one connection.  The totals have changed after
        # it, so the shares are computed again.
        while True:
            own = self._by_account.get(reads.account) or _AccountReads()
            accounts = len(self._by_account) + (not own.held_bytes)
            connections = len(own.by_connection)
            connections += reads not in own.by_connection
            total_bytes = self._awaiting_bytes + size_bytes
            own_bytes = own.held_bytes + size_bytes
            if self._is_too_much(own_bytes):
                return False
            reads_bytes = own.by_connection.get(reads, 0) + size_bytes
            if exceeds_share(
                reads_bytes, total_bytes, MAX_HELD_BYTES, accounts * connections
            ):
                return False
            if exceeds_share(own_bytes, total_bytes, MAX_HELD_BYTES, accounts):
                # The account is above its share, so other accounts give up nothing
                # for it.  But another connection of the same account may hold more,
                # and has to make room: Nimbus may share an attacker's address.
                largest = own
            elif total_bytes <= MAX_HELD_BYTES:
                return True
            else:
                # Another account: this one is within its share, so the room could not
                # be full if no other held more.
                largest = max(self._by_account.values(), key=_held_bytes_of)
            # Within the account, only a connection that holds more than this one
            # gives up reads, so no connection gives up its own.
            least_bytes = reads_bytes if largest is own else 0
            if not self._give_up(largest, least_bytes):
                return False

    def _is_too_much(self, own_bytes: int) -> bool:
        most_bytes = self._account_limit_bytes
        return most_bytes is not None and own_bytes > most_bytes

    def _give_up(self, account_reads: _AccountReads, least_bytes: int) -> bool:
        """Make the largest connection of an account give up its oldest reads.

        Args:
            account_reads: the reads of the account; there are some.
            least_bytes: stop when the connection holds no more than this.

        Returns:
            Whether it has given up any.
        """
        reads = account_reads.largest
        given_up = 0
        most_bytes = min(
            _GIVEN_UP_AT_ONCE_BYTES, _MAX_GIVEN_UP_BYTES - self._given_up_bytes
        )
        for read in reads.awaiting_key():
            if (
                most_bytes <= 0
                or account_reads.by_connection.get(reads, 0) <= least_bytes
            ):
                break
            most_bytes -= read.size_bytes
            # The read no longer counts as awaiting its key, so the new one fits.  It is
            # in memory until its connection answers it, and is counted as given up.
            self._count(read, -read.size_bytes)
            self._stop_awaiting(read)
            self._given_up_bytes += read.size_bytes
            read.is_given_up = True
            reads.release(read)
            given_up += 1
        self.refused += given_up
        return given_up > 0


def _held_bytes_of(account_reads: _AccountReads) -> int:
    return account_reads.held_bytes
