"""One budget for the unread and unsent bytes of all connections.

A frame may take 10 MiB, and thousands of peers may each begin one.  When all buffers
together exceed the budget, connections are evicted until the rest fits.  The choice is
by bytes *times age*:

* An unfinished frame ages from its first byte, or from when it last grew by an eighth
  (at least 16 and at most 48 KiB).  A frame in transit does so again within
  milliseconds, even while the connections of its account take turns; one that is kept
  unfinished to occupy memory grows old.  So a heartbeat of 1.3 MB that is arriving now
  is never evicted before frames of 440 KB to which nothing has been added for a second,
  even though it is larger.  Bytes that drip in keep no frame young, and one that stays
  young by such growth soon has its full size.
* A frame that grew by 16 KiB in one of its last two reads does not age for a tenth of
  a second, nor while more of it waits to be read: that may take a second each time, if
  thousands of connections of its address take turns.
* Unsent replies age from the last time the peer read some of them.  So the replies to a
  peer that reads slowly stay young, unlike those to one that has stopped reading.
* In both cases, a decrease in bytes is a sign of progress: a frame was completed, or
  replies were read.  The remaining bytes count as new.

The first to go is the heaviest connection of the account (peer address) whose buffers
together weigh the most.  So a thousand small frames from one address go before one
large frame from another, and an address that many workers share loses its oldest frame,
not the one that arrived last.

Nothing is refused before the budget is used up, not even to an account that holds more
than its equal share.  Such a rule would hit a large heartbeat that comes through NAT or
a proxy even while there is still room for it.  Waiting until there is no room harms no
honest peer, because then the frame that has been unfinished the longest is evicted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from pacemaker.core.accounts.account import Account
from pacemaker.server.io.buffers.size_age_heaps import SizeAgeHeaps, SizedItem

_Holder = TypeVar("_Holder")

# Evicted buffers leave holes in the heap between those that stay.  Once the holes reach
# this share of the budget, the pages are returned to the system.  Without that, 64 MiB
# of buffers took 115 to 195 MiB; with an eighth, 95 to 110.
_HOLES_SHARE: Final = 0.125

# A frame is as young as its last growth by this share of its size, within these bounds.
# What one turn reads is enough for any frame, even if the kernel keeps little of what
# the peer sends (`limits.SMALL_RECEIVE_BUFFER_BYTES`).
_GROWTH_SHARE: Final = 0.125
_GROWTH_BYTES: Final = 16 * 1024
_MAX_GROWTH_BYTES: Final = 48 * 1024

# A frame in transit has grown in one of this many reads: the last part of what had
# arrived is often small.
_MAX_IDLE_UPDATES: Final = 2
# How soon the next part of it has to arrive.
_IN_TRANSIT_US: Final = 100_000

# How many buffers one eviction makes younger at most, because the lock is held.
_MAX_REJUVENATED: Final = 64


class _AccountBuffers(SizedItem, Generic[_Holder]):
    """All buffers of one account.

    Its `since_us` is the mean of its buffers' times, weighted by their sizes, so its
    size times its age is the sum of theirs.  (The time since when it has held anything
    at all would be far too long for an address with many workers, of which one always
    holds something.)
    """

    __slots__ = ("account", "buffers", "moment")

    def __init__(self, account: Account) -> None:
        super().__init__()
        self.account = account
        self.buffers: SizeAgeHeaps[_Buffer[_Holder]] = SizeAgeHeaps()
        # The sum of each size times its `since_us`.  An int, so that no rounding errors
        # accumulate.
        self.moment = 0


class _Buffer(SizedItem, Generic[_Holder]):
    """The buffered bytes of one holder.

    Attributes:
        younger_at_bytes: at which size it counts as younger.
        updated_us: when its size was last noted.
        idle_updates: how often since it last grew by `_GROWTH_BYTES`.
    """

    __slots__ = (
        "_grown_at_bytes",
        "account_buffers",
        "holder",
        "idle_updates",
        "updated_us",
        "younger_at_bytes",
    )

    def __init__(
        self, holder: _Holder, account_buffers: _AccountBuffers[_Holder]
    ) -> None:
        super().__init__()
        self.holder = holder
        self.account_buffers = account_buffers
        self.younger_at_bytes = 0
        self.updated_us = 0
        self.idle_updates = _MAX_IDLE_UPDATES
        self._grown_at_bytes = _GROWTH_BYTES

    def note_size(self, size_bytes: int, now_us: int) -> int:
        """Note a size that is about to be put; return since when the buffer ages."""
        self.updated_us = now_us
        self.idle_updates += 1
        if size_bytes >= self._grown_at_bytes:
            self.idle_updates = 0
        if size_bytes < self.size_bytes or not self.idle_updates:
            self._grown_at_bytes = size_bytes + _GROWTH_BYTES
        # A buffer that shrank counts as new.  A relay may send so densely that a part
        # of some frame is always buffered; that part is often smaller than the part of
        # the frame before, so the relay stays young.
        if self.size_bytes <= size_bytes < self.younger_at_bytes:
            return self.since_us
        growth_bytes = min(int(size_bytes * _GROWTH_SHARE), _MAX_GROWTH_BYTES)
        self.younger_at_bytes = size_bytes + max(growth_bytes, _GROWTH_BYTES)
        return now_us


class BufferBudget(Generic[_Holder]):
    """The bytes that each holder holds.  Any thread may call any method.

    Each call takes time logarithmic in the number of holders.

    Args:
        budget_bytes: what all holders together may hold.
        account_limit_bytes: what the holders of one account together may hold; None for
            no limit but the budget.
        has_more: returns whether more of a holder's bytes have arrived that this
            process has not read yet.

    Attributes:
        evicted: the number of evicted holders.
    """

    def __init__(
        self,
        budget_bytes: int,
        account_limit_bytes: int | None = None,
        has_more: Callable[[_Holder], bool] = lambda _: False,
    ) -> None:
        self.budget_bytes = budget_bytes
        self._account_limit_bytes = account_limit_bytes
        self._has_more = has_more
        self.evicted = 0
        # Guards all below, and `Account.buffered_bytes`.
        self._lock = threading.Lock()
        self._buffers: dict[_Holder, _Buffer[_Holder]] = {}
        self._by_account: dict[Account, _AccountBuffers[_Holder]] = {}
        self._heaviest: SizeAgeHeaps[_AccountBuffers[_Holder]] = SizeAgeHeaps()
        self._total_bytes = 0
        self._peak_bytes = 0
        self._holes_bytes = 0

    @property
    def total_bytes(self) -> int:
        """The bytes that all holders hold together."""
        return self._total_bytes

    @property
    def is_nearly_unused(self) -> bool:
        """Whether so little is held that holes between the buffers do no harm."""
        return self._total_bytes < _HOLES_SHARE * self.budget_bytes

    def take_freed_bytes(self) -> int:
        """Return how far the total has fallen from its peak, and reset the peak."""
        with self._lock:
            freed_bytes = self._peak_bytes - self._total_bytes
            self._peak_bytes = self._total_bytes
            return freed_bytes

    def note_evicted(self, size_bytes: int) -> bool:
        """Count the bytes of an evicted holder, now that they are freed.

        Returns:
            Whether enough bytes have been freed that it is worth returning the pages
            to the system at once.
        """
        with self._lock:
            self._holes_bytes += size_bytes
            if self._holes_bytes < _HOLES_SHARE * self.budget_bytes:
                return False
            self._holes_bytes = 0
            return True

    def update(
        self, holder: _Holder, account: Account, size_bytes: int, now_s: float
    ) -> Sequence[_Holder]:
        """Record how many bytes a holder holds now.

        Args:
            holder: usually a connection.
            account: its account, the same one in every call.
            size_bytes: its unread and unsent bytes.
            now_s: the monotonic time in seconds.

        Returns:
            The holders that the caller must end, usually none.  Their bytes are no
            longer counted.  There are several if evicting the heaviest is not enough.
        """
        now_us = int(now_s * 1e6)
        with self._lock:
            buffer = self._buffers.get(holder)
            if buffer is None:
                if not size_bytes:
                    return ()
                buffer = self._add(holder, account)
            self._put(buffer, size_bytes, buffer.note_size(size_bytes, now_us))
            self._peak_bytes = max(self._peak_bytes, self._total_bytes)
            if self._total_bytes <= self.budget_bytes:
                return self._evict_of(buffer.account_buffers, now_us)
            if size_bytes > self.budget_bytes:
                # It would not fit even if everything else were evicted.
                self._put(buffer, 0, now_us)
                self.evicted += 1
                return (holder,)
            return self._evict(now_us)

    def _evict(self, now_us: int) -> Sequence[_Holder]:
        evicted = []
        while self._total_bytes > self.budget_bytes:
            buffer = self._heaviest_buffer(None, now_us)
            self._put(buffer, 0, now_us)
            evicted.append(buffer.holder)
        self.evicted += len(evicted)
        return evicted

    def _evict_of(
        self, account_buffers: _AccountBuffers[_Holder], now_us: int
    ) -> Sequence[_Holder]:
        """Evict holders of an account that exceeds the limit of one account."""
        most_bytes = self._account_limit_bytes
        if most_bytes is None or account_buffers.size_bytes <= most_bytes:
            return ()
        evicted = []
        while account_buffers.size_bytes > most_bytes:
            buffer = self._heaviest_buffer(account_buffers, now_us)
            self._put(buffer, 0, now_us)
            evicted.append(buffer.holder)
        self.evicted += len(evicted)
        return evicted

    def _heaviest_buffer(
        self, of_account: _AccountBuffers[_Holder] | None, now_us: int
    ) -> _Buffer[_Holder]:
        """Return the buffer to evict next.

        Frames in transit that weigh more become as young as if they had just grown.

        Args:
            of_account: whose buffer it has to be; None for the heaviest account's.
            now_us: the monotonic time.
        """
        for _ in range(_MAX_REJUVENATED):
            account_buffers = of_account or self._heaviest.heaviest_at(now_us)
            buffer = account_buffers.buffers.heaviest_at(now_us)
            if buffer.since_us >= now_us or not self._is_in_transit(buffer, now_us):
                break
            self._put(buffer, buffer.size_bytes, now_us)
        return buffer

    def _is_in_transit(self, buffer: _Buffer[_Holder], now_us: int) -> bool:
        if buffer.idle_updates >= _MAX_IDLE_UPDATES:
            return False
        is_recent = now_us < buffer.updated_us + _IN_TRANSIT_US
        return is_recent or self._has_more(buffer.holder)

    def _add(self, holder: _Holder, account: Account) -> _Buffer[_Holder]:
        account_buffers = self._by_account.get(account)
        if account_buffers is None:
            account_buffers = self._by_account[account] = _AccountBuffers(account)
        buffer = self._buffers[holder] = _Buffer(holder, account_buffers)
        return buffer

    def _put(self, buffer: _Buffer[_Holder], size_bytes: int, since_us: int) -> None:
        """Change a buffer and all sums that include it; remove it if it is empty."""
        account_buffers = buffer.account_buffers
        more_bytes = size_bytes - buffer.size_bytes
        account_buffers.moment += (
            size_bytes * since_us - buffer.size_bytes * buffer.since_us
        )
        account_buffers.buffers.put(buffer, size_bytes, since_us)
        if not size_bytes:
            del self._buffers[buffer.holder]
        account_bytes = account_buffers.size_bytes + more_bytes
        mean_us = account_buffers.moment // account_bytes if account_bytes else 0
        self._heaviest.put(account_buffers, account_bytes, mean_us)
        if not account_bytes:
            del self._by_account[account_buffers.account]
        account_buffers.account.buffered_bytes += more_bytes
        self._total_bytes += more_bytes
