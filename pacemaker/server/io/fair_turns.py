"""Fair turns: which connections an I/O thread serves first, and which ones wait.

A connection that has sent more than a slice of requests goes to the *backlog* and is
not read until it has been served from there.  A turn that has much to do is *shared*.
First it serves connections whose requests are cheap.  Among equally cheap ones, those
of the hosts that have used the least time come first, and of a host's new connections
the newest.  Connections that the turn does not reach go to the backlog.  Then it serves
the backlog.  There, the host that has lately used the least of the thread's time
comes first, and its connections share its time by *lanes* (`fairness.backlog`).  Then
the turn ends, and the calls that other threads have queued run (a stop, an upgrade, the
watchdog).

`fairness.turn_lengths` says how long each part may take.

A worker needs some microseconds every three seconds, so it is always among the first to
be served, however much others send.  The first half of a shared turn protects it from
costly requests from its own address, and the second half from an address that sends an
endless stream of cheap requests.  Nearly every turn has little to do and does none of
this.
"""

from __future__ import annotations

import select
from collections import deque
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from operator import attrgetter
from typing import Final, Protocol, TypeAlias

from pacemaker.server.io import limits
from pacemaker.server.io.connection import Connection
from pacemaker.server.io.fairness import turn_lengths
from pacemaker.server.io.fairness.backlog import Backlog
from pacemaker.server.io.fairness.cost_classes import GUESS_BYTES, guessed_class
from pacemaker.server.io.fairness.newcomers import Newcomers
from pacemaker.server.io.fairness.spending import Spending, is_crowd
from pacemaker.server.io.io_states import ALWAYS_REPORTED, IoState

# How many events are served between two readings of the clock.
_EVENTS_PER_SAMPLE: Final = 8
# How often an account is charged: after about thirty pulses, or a few costly events.
_SAMPLE_S: Final = 0.0005
# The most time that one sample may charge to an account.
_MAX_SAMPLED_S: Final = 0.002
# A busy time is over once no turn has left anybody waiting for this long.
_BUSY_TIME_ENDS_S: Final = 1.0
# The most events to fetch for a turn that is not shared from its beginning.  The calls
# of other threads run once these are served.
MAX_EVENTS: Final = 1024
# How many connections one turn may sort, which takes about three milliseconds.
_MAX_SHARED: Final = 4096
# After this long, the calls of other threads run, whatever is left of an unsorted turn.
_LONGEST_UNSORTED_S: Final = 0.05
# Spreads successive numbers over all bits (Fibonacci hashing).
_SPREAD: Final = 0x9E3779B1

# A descriptor and what happened on it.
_Event: TypeAlias = tuple[int, int]

# Looked up once.
_EPOLLIN: Final = select.EPOLLIN
_precedence: Final = attrgetter(
    "cost_class", "account.address_account.spent_s", "newness"
)
_newness: Final = attrgetter("newness")


class TurnOwner(Protocol):
    """What fair turns need from the I/O thread that takes the turns.

    Attributes:
        connections: all connections, by descriptor.
        evicted: those of them that another thread wants evicted.
    """

    connections: dict[int, Connection]
    evicted: deque[Connection]

    def now(self) -> float:
        """Return the monotonic time in seconds."""

    def cpu_now(self) -> float:
        """Return the CPU time of the thread in seconds."""

    def evict_pending(self) -> None:
        """End the connections in `evicted`."""

    def set_interest(self, fd: int, interest: int) -> None:
        """Change the epoll events that a descriptor waits for."""

    def reset_after_fault(self, connection: Connection) -> None:
        """Reset a connection on which our own code raised, in an `except` block."""


class FairTurns:
    """Serves the events of one I/O thread.  Only that thread may call the methods.

    Args:
        owner: the thread.
        wake_fds: the descriptors that are no connection's; the thread may change it.

    Attributes:
        backlog: the connections that have more to do and wait while others are served.
    """

    def __init__(self, owner: TurnOwner, wake_fds: AbstractSet[int]) -> None:
        self.backlog: Backlog[Connection] = Backlog()
        self._owner = owner
        self._wake_fds = wake_fds
        self._spending = Spending(owner.now())
        self._new: Newcomers[Connection] = Newcomers()
        self._samples = 0
        # The number of the present busy time, or of the last one.
        self._busy_time = 0
        self._last_busy_s = 0.0

    @property
    def is_shared(self) -> bool:
        """Whether the next turn is shared from its beginning."""
        return self._spending.is_crowded or self.backlog.size > 0

    @property
    def max_events(self) -> int:
        """The most events to fetch for a turn that is shared from its beginning."""
        if turn_lengths.is_even(self._spending):
            # No more than a turn can serve.  If a shared turn found more, it would put
            # the rest into the backlog, and take it out again.  That is twice the work,
            # so a cluster that connects at once might keep the backlog full.
            return MAX_EVENTS
        # Fetch all that is ready, so that the connection that has waited longest is
        # among it, but at most `_MAX_SHARED`, because sorting takes time too.
        all_fds = len(self._owner.connections) + len(self._wake_fds)
        return min(all_fds, _MAX_SHARED)

    @property
    def has_many_new(self) -> bool:
        """Whether many connections are new (`Newcomers.are_many`)."""
        return self._new.are_many

    def serve(self, ready: Sequence[_Event]) -> bool:
        """Serve a turn's events in any order: the usual and fastest way.

        Returns:
            Whether one of the `wake_fds` is ready.
        """
        if len(ready) > _EVENTS_PER_SAMPLE:
            return self._serve_many(ready)
        owner = self._owner
        connections = owner.connections
        is_woken = False
        for fd, events in ready:
            try:
                connection = connections[fd]
            except KeyError:
                # If it is not the wake-up, its connection was closed in this turn.
                is_woken = is_woken or fd in self._wake_fds
                continue
            try:
                if events == _EPOLLIN:
                    connection.on_readable()
                else:
                    connection.on_event(events)
            except Exception:
                # Nothing is hidden: this logs the traceback and counts the fault.
                owner.reset_after_fault(connection)
            if owner.evicted:
                # Evict at once: the rest of this turn would read even more into memory.
                owner.evict_pending()
        return is_woken

    def add_established(self, connection: Connection) -> None:
        """Take note of a connection that was there before an upgrade.

        Otherwise those of its address that an attacker opens now would come first.
        """
        connection.is_established = True
        connection.cost_class = 0
        connection.busy_time = self._busy_time

    def add_new(self, connection: Connection, number: int) -> None:
        """Take note of a new connection.

        Args:
            connection: the connection.
            number: the order in which the acceptor has accepted it; at least 1.
        """
        # At an address that many workers share, the newest does not come first: a whole
        # cluster may connect from there, and the oldest would wait longest.
        if connection.account.shared_account is None:
            # Usually it has sent something by now (TCP_DEFER_ACCEPT).
            connection.cost_class = guessed_class(connection.peek(GUESS_BYTES))
            connection.newness = -number
        now_s = self._owner.now()
        self._new.trust_aged(now_s)
        self._new.add(connection, now_s + limits.NEW_S)
        connection.busy_time = self._busy_time

    def withdraw(self, connection: Connection) -> None:
        """Take a connection out of the backlog, because it has to wait for longer.

        A stop may have read from it while it was deferred.
        """
        self.backlog.discard(connection)
        connection.is_deferred = False
        connection.ready = 0

    def forget(self, connection: Connection) -> None:
        """Forget a connection that ends."""
        self.backlog.discard(connection)
        self._new.discard(connection)

    def _serve_many(self, ready: Sequence[_Event]) -> bool:
        """Do what `serve` does, until the turn has taken too long.

        Its rest is shared then.

        Returns:
            Whether one of the `wake_fds` is ready.
        """
        owner = self._owner
        connections = owner.connections
        is_woken = False
        # One connection of each group of events since the last sample.
        candidates: list[Connection | None] = []
        open_at_first = len(connections)
        began_s = sampled_s = owner.now()
        began_cpu_s = owner.cpu_now()
        for at in range(0, len(ready), _EVENTS_PER_SAMPLE):
            if at and (now_s := owner.now()) - sampled_s > _SAMPLE_S:
                self._sample(candidates, now_s, now_s - sampled_s)
                sampled_s = now_s
                candidates.clear()
                # Only a turn that has taken too long is shared, and only its rest.
                # Measuring and sorting each event of each turn would cost the many
                # cheap turns more than they gain.
                cpu_s = owner.cpu_now() - began_cpu_s
                ended = open_at_first - len(connections)
                if self._spending.is_crowded or turn_lengths.is_too_long(
                    cpu_s, at, ended, self.has_many_new
                ):
                    return self.serve_shared(ready[at:]) or is_woken
                if now_s - began_s > _LONGEST_UNSORTED_S:
                    # Epoll reports the rest again.  The wake-up may be among it.
                    return True
            group = ready[at : at + _EVENTS_PER_SAMPLE]
            # Looked up before it is served: it may end, and costs time all the same.
            fd, _ = group[(self._samples * _SPREAD >> 16) % len(group)]
            candidates.append(connections.get(fd))
            is_woken = self.serve(group) or is_woken
        return is_woken

    def _sample(
        self, served: Sequence[Connection | None], now_s: float, elapsed_s: float
    ) -> None:
        """Charge the time since the last sample to one account.

        The account is that of a random one of the events that were served in that time.
        If it were always one of the last few, then some accounts would be charged for
        all of them, because epoll may report the same connections in the same order for
        long: of a hundred busy ones, each would look like a crowd now and then.  In the
        long run each account is charged the time that it took.

        Args:
            served: a random one of each group of connections that were served since
                the last sample; None for a descriptor that was no connection's.
            now_s: the time.
            elapsed_s: how long serving them took.
        """
        self._fade(now_s)
        self._samples += 1
        connection = served[(self._samples * _SPREAD >> 8) % len(served)]
        if connection is not None:
            account = connection.account
            # A longer time is an interruption, for which the account is not to blame.
            self._spending.charge(account, min(elapsed_s, _MAX_SAMPLED_S))

    def serve_shared(self, ready: Sequence[_Event]) -> bool:
        """Serve what is ready and then the backlog, until the turn's time is used up.

        Cheap requests come first.  With that rule alone, endless cheap requests would
        starve the connections with costly ones, so it holds for half of the time.
        Connections that are not reached go to the backlog, which has the other half.

        Returns:
            Whether one of the `wake_fds` is ready.
        """
        is_woken = False
        spending = self._spending
        now_s = self._owner.now()
        self._begin_busy_time(now_s)
        self._fade(now_s)
        fresh: list[Connection] = []
        for fd, events in ready:
            connection = self._owner.connections.get(fd)
            if connection is None:
                is_woken = is_woken or fd in self._wake_fds
            elif not connection.is_deferred:
                connection.ready = events
                self._note_busy_time(connection)
                fresh.append(connection)
            else:
                # It has waited for no events, so this is an error or the end of the
                # connection, which epoll reports all the same.  Or it waits for others
                # by now: a held read was answered, or a stop has read from it.
                connection.ready |= events
        fresh.sort(key=_precedence)
        # Serving them changes their classes.
        are_costly = bool(fresh) and fresh[0].cost_class > 0
        began_s = now_s
        served = 0
        late: list[Connection] = []
        for connection in fresh:
            served_s = now_s - began_s
            # Asked each time: somebody may have become a crowd in this turn.
            if served_s < turn_lengths.cheap_s(connection, spending, served_s, served):
                self._serve_and_charge(connection)
                served += 1
                now_s = self._owner.now()
            else:
                late.append(connection)
        # The backlog serves the newest of new connections first, which is the last one
        # put there.  The others keep their order.
        late.sort(key=_newness, reverse=True)
        for connection in late:
            self._defer(connection)
        end_s = now_s + turn_lengths.backlog_s(spending, are_costly, now_s - began_s)
        while now_s < end_s and (next_one := self.backlog.pop()) is not None:
            self.backlog.charge(self._serve_and_charge(next_one))
            now_s = self._owner.now()
        if self.backlog.size:
            self._last_busy_s = now_s
        return is_woken

    def _begin_busy_time(self, now_s: float) -> None:
        """Begin a new busy time, unless the last one is not over.

        Costs are measured in shared turns only.  What they were in an earlier busy
        time, perhaps days ago while a whole cluster connected, says nothing about now:
        Nimbus would be served last when it matters most.  New connections stay new.

        A shared turn that leaves nobody waiting is not busy.  A whole cluster behind
        one address may be a crowd now and then, so that turns are shared all day.  If
        that were a busy time, nobody would have been there before an attack.
        """
        if now_s - self._last_busy_s > _BUSY_TIME_ENDS_S:
            self._busy_time += 1
            self._new.trust_aged(now_s)
            for connection in self._new:
                connection.busy_time = self._busy_time

    def _note_busy_time(self, connection: Connection) -> None:
        """If a connection was there before this busy time, forget what it cost then."""
        if connection.busy_time != self._busy_time:
            connection.busy_time = self._busy_time
            connection.is_established = True
            connection.cost_class = 0

    def _defer(self, connection: Connection) -> None:
        """Put a connection into the backlog together with its reported events.

        Its descriptor waits for nothing meanwhile, and epoll reports an end only once.
        Otherwise it would report them in every turn, and with thousands of connections
        that takes longer than serving some.
        """
        if not connection.is_closed:
            account = connection.account
            is_large = (
                account.address_account.connections
                >= limits.SMALL_BUFFER_FROM_CONNECTIONS
            )
            if is_large and is_crowd(account):
                connection.shrink_receive_buffer()
            self.backlog.put(connection)
            self._owner.set_interest(connection.fd, select.EPOLLET)
            connection.is_deferred = True

    def _serve_and_charge(self, connection: Connection) -> float:
        """Serve a connection, charge its account, and return the CPU time it took.

        The account is charged CPU time.  By wall-clock time, a connection during which
        this thread was interrupted for 100 ms would look like one that sends costly
        requests.
        """
        # It may have come to the backlog without having been sorted.
        self._note_busy_time(connection)
        # The cost of what was served outside shared turns may still be there.
        connection.protocol.slice_cost = 0
        began_s = self._owner.cpu_now()
        try:
            self._serve_connection(connection)
        except Exception:
            self._owner.reset_after_fault(connection)
        if self._owner.evicted:
            self._owner.evict_pending()
        elapsed_s = self._owner.cpu_now() - began_s
        connection.note_cost(elapsed_s)
        self._spending.charge(connection.account, elapsed_s)
        return elapsed_s

    def _serve_connection(self, connection: Connection) -> None:
        """Handle the reported events, or the next slice of what was read before."""
        events, connection.ready = connection.ready, 0
        if connection.is_closed:
            return
        if connection.is_deferred:
            connection.is_deferred = False
            self._owner.set_interest(connection.fd, connection.interest)
        # The events may have been reported in an earlier turn.  What the connection
        # waits for may have changed since: a held read was answered, or a stop has read
        # more than a slice.
        events &= connection.interest | ALWAYS_REPORTED
        if events:
            connection.on_event(events)
        elif connection.io_state is IoState.WAITING:
            connection.go_on()

    def _fade(self, now_s: float) -> None:
        if self._spending.fade(now_s):
            self.backlog.reorder()
            self._new.trust_aged(now_s)
