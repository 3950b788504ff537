"""An I/O thread: one epoll loop over many connections, which never change threads.

A connection needs no lock, because only its own thread touches it.  Other threads
use `call`, which queues a function and wakes the loop.  They never touch a connection
themselves.

**Fair turns.** A connection that has sent more than a slice of requests goes to the
*backlog* and is not read until it has been served from there.  A turn that has much to
do is shared.  It spends half of `limits.TURN_S` on connections whose requests are
cheap; connections that it does not reach go to the backlog.  It spends the other half
on the backlog, where the host that has lately used the least of the thread's time comes
first, and the costs of a host's connections decide between them.  Then the turn ends,
and the calls of other threads run (a stop, an upgrade, the watchdog).

A worker takes some microseconds every three seconds, so it is always among the first,
however much others send.  The first rule protects it from costly requests of its own
address, the second from an address that sends cheap requests without end.  Nearly every
turn has little to do and does none of this.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Final, TypeAlias

from pacemaker.core import limits
from pacemaker.core.accounts import DEFAULT_LIMITS, Account, AddressLimits
from pacemaker.core.addresses import Accounts
from pacemaker.core.carried_over import ConnectionState
from pacemaker.core.figures import Figures
from pacemaker.core.pending_reads import Holding
from pacemaker.core.protocol import ServerProtocol
from pacemaker.errors import LimitError
from pacemaker.server.io.backlog import Backlog
from pacemaker.server.io.budget import BufferBudget
from pacemaker.server.io.connection import NEW_CLASS, Connection
from pacemaker.server.io.sasl_steps import StepRunner
from pacemaker.server.io.silent import Silent
from pacemaker.server.process import memory
from pacemaker.server.process.clocks import boot_time_s
from pacemaker.words import split_host_and_port

_logger: Final = logging.getLogger(__name__)

# How many events are served between two readings of the clock.
_CHUNK: Final = 8
# The most time that one sample, a few events, may charge to an account.
_MOST_SAMPLED_S: Final = 0.002
# How many connections one turn may sort, which takes some three milliseconds.
_MOST_SHARED: Final = 4096
# In classes up to this one (see `Connection.note_cost`) an event takes under 0.8 ms.
_CHEAPEST_CLASSES: Final = 3
# If the events of a turn take no more than this each, they come from many workers.
_CHEAP_EVENT_S: Final = 0.00004

# How many events epoll reports by default.
_MOST_REPORTED: Final = 1023
# How long cheap requests are served first while no account is a crowd: somewhat longer
# than a thousand of them take.
_CHEAP_TURN_S: Final = 0.016
# Spreads successive numbers over all bits (Fibonacci hashing).
_SPREAD: Final = 0x9E3779B1

# Makes the protocol object of a new connection from its peer's name and account.
ProtocolFactory: TypeAlias = Callable[[str, Account], ServerProtocol]

# A new connection, its peer's name and its account.
_Arrival: TypeAlias = tuple[socket.socket, str, Account]

# Epoll reports these whatever is asked for: an error, the end of both directions.
_ALWAYS: Final = select.EPOLLERR | select.EPOLLHUP

# A descriptor and what happened on it.
_Event: TypeAlias = tuple[int, int]


_cost_class: Final = attrgetter("cost_class")


class IoThread(threading.Thread):
    """One of the threads that read, answer and write.

    Args:
        number: for the thread's name.
        make_protocol: makes the protocol objects of this thread's connections.
        figures: the counters of this thread.
        budget: limits the bytes that all connections of all threads hold.
        steps: runs the SASL steps.
        accounts: the accounts of the peers.
        address_limits: the limits of one account.
        clock: returns monotonic seconds.
        boot_clock: the same, but it runs on while the machine is suspended, and the
            process after an upgrade can compare its own readings with these.
    """

    def __init__(
        self,
        number: int,
        make_protocol: ProtocolFactory,
        figures: Figures,
        budget: BufferBudget[Connection],
        steps: StepRunner,
        accounts: Accounts,
        address_limits: AddressLimits = DEFAULT_LIMITS,
        clock: Callable[[], float] = time.monotonic,
        boot_clock: Callable[[], float] = boot_time_s,
    ) -> None:
        super().__init__(name=f"pacemaker-io-{number}", daemon=True)
        self.figures = figures
        self.now = clock
        # The CPU time of this thread, because only this thread reads it.
        self._cpu_now: Callable[[], float] = time.thread_time
        self._boot_now = boot_clock
        # Connections that hold bytes or have a deadline; checked once a second.
        self.watched: set[Connection] = set()
        self._make_protocol = make_protocol
        self._budget = budget
        self._steps = steps
        self._accounts = accounts
        self._address_limits = address_limits
        # Connections that have more to do and wait while others are served.
        self._backlog: Backlog[Connection] = Backlog()
        # Connections that have never sent a byte.
        self._silent: Silent[Connection] = Silent()
        # New connections, and when each will be an old one.
        self._new: deque[tuple[float, Connection]] = deque()
        # The accounts with a `spent_s` to halve, those of addresses that many workers
        # share, and when to halve it next.
        self._spenders: set[Account] = set()
        self._shared_hosts: set[Account] = set()
        self._next_fade_s = 0.0
        self._samples = 0
        # Whether one account has lately used so much time that every turn is shared
        # from its beginning.
        self._is_crowded = False
        self.connections: dict[int, Connection] = {}
        # Two counters and not one, so that each is written by a single thread: the
        # acceptor adopts, this thread forgets.  One counter would need a lock.
        self._adopted = 0
        self._forgotten = 0
        self._calls: deque[Callable[[], None]] = deque()
        # New connections, first in the acceptor's order and then by account.  There is
        # one queued call for each of them.
        self._arrivals: deque[_Arrival] = deque()
        self._newcomers: dict[Account, deque[_Arrival]] = {}
        # Connections of this thread that another thread wants evicted.
        self._evicted: deque[Connection] = deque()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._timer_numbers = itertools.count()
        self._next_sweep_s = 0.0
        # What the current sweep has not checked yet, and how late the sweep began.
        self._to_sweep: list[Connection] = []
        self._late_s = 0.0
        self._next_return_s = 0.0
        self._stop_until_s: float | None = None
        self._epoll = select.epoll()
        # Guards the two below: the number of a closed descriptor is soon used again,
        # and a late wake-up would write into somebody else's file.
        self._wake_lock = threading.Lock()
        self._is_closed = False
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._wake_fd, select.EPOLLIN)

    # What any thread may call.

    def call(self, function: Callable[[], None]) -> None:
        """Queue a call on this thread.  Once the thread has ended, it is dropped."""
        self._calls.append(function)
        with self._wake_lock:
            if not self._is_closed:
                os.eventfd_write(self._wake_fd, 1)

    @property
    def load(self) -> int:
        """The number of its connections, including those not yet adopted."""
        return self._adopted - self._forgotten

    def evict(self, connection: Connection) -> None:
        """Have a connection of this thread evicted to free its buffers."""
        self._evicted.append(connection)
        self.call(self._evict)

    def adopt(self, sock: socket.socket, peer: str, account: Account) -> None:
        """Give a new connection to this thread.  Only the acceptor calls this.

        The account has already counted the connection; this thread counts its end.
        """
        self._arrivals.append((sock, peer, account))
        self._adopted += 1
        self.call(self._adopt_next)

    def end_silent(self, account: Account | None = None) -> None:
        """Close the oldest silent connection, of one account or of all."""
        self.call(lambda: self._end_silent(account))

    @property
    def silent(self) -> int:
        """The number of connections that have never sent a byte."""
        return len(self._silent)

    def has_silent(self, account: Account) -> bool:
        """Return whether an account has a connection that has never sent a byte."""
        return self._silent.has(account)

    def hold_misses(self, holding: Holding, until_s: float) -> None:
        """Hold the misses of all future connections until a time of `boot_clock`."""
        holding.begin(self.call)
        self.call(lambda: self._look_at_hold(holding, until_s))

    def restore(self, peers: Sequence[tuple[socket.socket, ConnectionState]]) -> None:
        """Give this thread connections that existed before an upgrade."""
        self._adopted += len(peers)
        self.call(lambda: self._restore(peers))

    def stop(self, timeout_s: float) -> None:
        """Answer what has arrived, wait for its delivery, reset all, and end.

        After the timeout the remaining connections are reset anyway.  A later call may
        shorten the timeout.
        """
        self.call(lambda: self._begin_stop(timeout_s))

    def close(self) -> None:
        """Give back the descriptors, once the thread has ended."""
        self._epoll.close()
        with self._wake_lock:
            self._is_closed = True
            os.close(self._wake_fd)

    # What the main thread may call while this thread is parked.

    def states(self) -> list[ConnectionState]:
        """Return the states of all connections that an upgrade can carry over."""
        states = (connection.state() for connection in self.connections.values())
        return [state for state in states if state is not None]

    # What its own connections, and functions given to `call`, may call.

    def call_later(self, delay_s: float, function: Callable[[], None]) -> None:
        """Call a function after a delay."""
        due_s = self.now() + delay_s
        heapq.heappush(self._timers, (due_s, next(self._timer_numbers), function))

    def wait_for(self, fd: int, interest: int) -> None:
        """Change the epoll events that a connection's descriptor waits for."""
        self._epoll.modify(fd, interest)

    def take_step(self, connection: Connection) -> None:
        """Run the connection's pending SASL step."""
        self._steps.take(connection)

    def watch(self, connection: Connection, held_bytes: int, is_due: bool) -> bool:
        """Watch a connection that holds bytes or has a deadline.

        If all buffers together exceed the budget, the connections that `BufferBudget`
        names are evicted.  Those of this thread end at once: until then every read
        would add to the excess.

        Returns:
            Whether this connection itself has to end.
        """
        if held_bytes or is_due:
            if not self.watched:
                # `_next_sweep_s` dates from when there was last something to sweep.
                self._next_sweep_s = self.now() + limits.SWEEP_S
            self.watched.add(connection)
        elif connection not in self.watched:
            return False
        else:
            self.watched.discard(connection)
        evicted = self._budget.hold(
            connection, connection.account, held_bytes, self.now()
        )
        for other in evicted:
            if other.owner is not self:
                other.owner.evict(other)
            elif other is not connection:
                self._run(other.evict)
        return connection in evicted

    def put_off(self, connection: Connection, has_charged: bool) -> None:
        """Let a connection continue after others have been served.

        Args:
            connection: the connection.
            has_charged: whether it has created many keys or asked for many lists.  If
                its account did so too fast, the connection continues only once the
                account has credit again.
        """
        wait_s = 0.0
        if has_charged:
            wait_s = connection.account.settle(self.now(), self._address_limits)
        if wait_s:
            self.figures.delays += 1
            self.call_later(wait_s, lambda: self._put_back(connection))
        else:
            self._backlog.put(connection)

    def greeted(self, connection: Connection) -> None:
        """Record that a connection has sent something, now or before an upgrade."""
        self._silent.discard(connection)

    def note_evicted(self, size_bytes: int) -> None:
        """Record how many bytes an evicted connection held."""
        began_s = self.now()
        if self._budget.note_evicted(size_bytes) and began_s >= self._next_return_s:
            memory.return_free_pages()
            # This takes long if much is stored, so pause in proportion: most of the
            # time belongs to the peers.
            ended_s = self.now()
            self._next_return_s = ended_s + limits.SERVED_TIMES * (ended_s - began_s)

    def forget(self, connection: Connection) -> None:
        """Remove a connection that is about to be closed."""
        del self.connections[connection.fd]
        self._epoll.unregister(connection.fd)
        self._forgotten += 1
        self.figures.connections -= 1
        self._accounts.close(connection.account)
        self._backlog.discard(connection)
        self._silent.discard(connection)
        if connection in self.watched:
            self.watched.discard(connection)
            self._budget.hold(connection, connection.account, 0, self.now())

    # The loop.

    def run(self) -> None:
        """Serve until `stop` is done.  An error in one turn does not end the loop."""
        while self._stop_until_s is None or self.connections:
            try:
                self.turn()
            except Exception:
                _logger.exception("%s: a turn failed", self.name)
                # A turn that fails at once, over and over, must not keep a core busy.
                time.sleep(limits.FAILED_TURN_PAUSE_S)

    def turn(self) -> None:
        """Wait for the next events and handle them."""
        if self._is_crowded or self._backlog.size:
            # Fetch all that is ready, so that the connection that has waited longest is
            # among it, but at most `_MOST_SHARED`, because sorting takes time too.
            most = min(len(self.connections) + 1, _MOST_SHARED)
            most = most if self._is_crowded else min(most, _MOST_REPORTED)
            is_woken = self._share(self._epoll.poll(self._timeout_s(), most))
        else:
            is_woken = self._serve(self._epoll.poll(self._timeout_s()))
        if is_woken:
            # Not earlier in the turn: a new connection may get the descriptor of one
            # that was closed in this turn, and would then receive its events.
            self._run_calls()
        if (
            self._timers
            or self.watched
            or self._to_sweep
            or self._stop_until_s is not None
        ):
            self._run_due(self.now())

    def _serve(self, ready: Sequence[_Event]) -> bool:
        """Serve what is ready, in any order.  This is the usual and the fastest way.

        Returns:
            Whether other threads have queued calls.
        """
        connections = self.connections
        is_woken = False
        began_s = now_s = self.now() if len(ready) > _CHUNK else 0.0
        for at in range(0, len(ready), _CHUNK):
            if at:
                now_s = self._sample(ready, at, now_s)
                # Only a turn that has taken too long is shared, and only its rest.
                # Measuring and sorting each event of each turn would cost the many
                # cheap turns more than they gain.
                if self._is_too_long(now_s - began_s, at):
                    return self._share(ready[at:]) or is_woken
            for fd, events in ready[at : at + _CHUNK]:
                connection = connections.get(fd)
                if connection is None:
                    # If it is not the wake-up, its connection was closed in this turn.
                    is_woken = is_woken or fd == self._wake_fd
                    continue
                try:
                    if events == select.EPOLLIN:
                        connection.on_readable()
                    else:
                        connection.on_event(events)
                except Exception:
                    self._abandon(connection)
                if self._evicted:
                    # At once: the rest of this turn would read even more into memory.
                    self._evict()
        return is_woken

    def _sample(self, ready: Sequence[_Event], at: int, before_s: float) -> float:
        """Charge the time since the last look at the clock to one account.

        It is that of any one of the `_CHUNK` events that were just served: epoll may
        report the same connections in the same order for long, and the same place each
        time would charge some accounts for all.  In the long run each account is
        charged what it took.
        """
        now_s = self.now()
        self._samples += 1
        fd, _ = ready[at - 1 - (self._samples * _SPREAD >> 16) % _CHUNK]
        connection = self.connections.get(fd)
        if connection is not None:
            account = connection.account
            # More than that was an interruption, and not the account's doing.
            self._charge(account, min(now_s - before_s, _MOST_SAMPLED_S))
            if account.spent_s > limits.DOMINANT_S:
                # At once: until the next fading all would wait for it.
                self._is_crowded = True
            self._fade(now_s)
        return now_s

    def _is_too_long(self, elapsed_s: float, served: int) -> bool:
        """Return whether the rest of a turn has to be shared.

        Many cheap events, which is what a busy cluster sends, may take longer: sharing
        would cost more than it gains.
        """
        return elapsed_s > limits.TURN_S and elapsed_s > served * _CHEAP_EVENT_S

    def _share(self, ready: Sequence[_Event]) -> bool:
        """Serve what is ready and then the backlog, until the turn's time is used up.

        Cheap requests come first.  With that rule alone, endless cheap requests would
        starve the connections with costly ones, so it holds for half of the time.
        Connections that are not reached go to the backlog, which has the other half.

        Returns:
            Whether other threads have queued calls.
        """
        is_woken = False
        fresh: list[Connection] = []
        for fd, events in ready:
            connection = self.connections.get(fd)
            if connection is None:
                is_woken = is_woken or fd == self._wake_fd
            elif not connection.ready:
                connection.ready = events
                fresh.append(connection)
            else:
                # It is deferred, so it waits for no events.  This is an error or the
                # end of the connection, which epoll reports all the same.
                connection.ready |= events
        fresh.sort(key=_cost_class)
        now_s = self.now()
        # While no account is a crowd, nobody has to be protected from the cheapest.
        cheapest_s = limits.TURN_S / 2 if self._is_crowded else _CHEAP_TURN_S
        began_s = now_s
        for connection in fresh:
            allowed_s = limits.TURN_S / 2 if connection.cost_class else cheapest_s
            is_cheap = connection.cost_class <= _CHEAPEST_CLASSES
            if is_cheap and now_s - began_s < allowed_s:
                now_s = self._serve_measured(connection)
            else:
                self._defer(connection)
        end_s = now_s + limits.TURN_S / 2
        while now_s < end_s and (next_one := self._backlog.pop()) is not None:
            now_s = self._serve_measured(next_one)
        self._fade(now_s)
        return is_woken

    def _defer(self, connection: Connection) -> None:
        """Put a connection into the backlog together with its reported events.

        Its descriptor waits for nothing meanwhile.  Otherwise epoll would report it in
        every turn, and with thousands of them that takes longer than serving some.
        """
        if not connection.is_closed:
            connection.is_deferred = True
            self._epoll.modify(connection.fd, 0)
            self._backlog.put(connection)

    def _serve_measured(self, connection: Connection) -> float:
        """Serve a connection, charge its account, and return the current time.

        The account is charged CPU time.  By wall-clock time, a connection during which
        this thread was interrupted for 100 ms would look like one that sends costly
        requests.
        """
        began_s = self._cpu_now()
        try:
            self._serve_one(connection)
        except Exception:
            self._abandon(connection)
        if self._evicted:
            self._evict()
        elapsed_s = self._cpu_now() - began_s
        connection.note_cost(elapsed_s)
        self._charge(connection.account, elapsed_s)
        return self.now()

    def _charge(self, account: Account, elapsed_s: float) -> None:
        """Charge time to an account, and to its host if that is shared."""
        account.spent_s += elapsed_s
        self._spenders.add(account)
        shared = account.shared_host
        if shared is not None:
            shared.spent_s += elapsed_s
            self._shared_hosts.add(shared)

    def _serve_one(self, connection: Connection) -> None:
        """Handle the reported events, or the next slice of what was read before."""
        events, connection.ready = connection.ready, 0
        if connection.is_closed:
            return
        if not events:
            connection.go_on()
            return
        if connection.is_deferred:
            connection.is_deferred = False
            self._epoll.modify(connection.fd, connection.interest)
        # The events were reported in an earlier turn.  What the connection waits for
        # may have changed since, for example because a held read was answered.
        events &= connection.interest | _ALWAYS
        if events:
            connection.on_event(events)

    def _fade(self, now_s: float) -> None:
        """Halve the time that each account has spent; forget what is negligible.

        Only the ratios between accounts matter, so the interval need not be regular.
        """
        if now_s < self._next_fade_s:
            return
        self._next_fade_s = now_s + limits.FADE_S
        self._is_crowded = any(
            account.spent_s > limits.DOMINANT_S for account in self._spenders
        )
        for accounts in (self._spenders, self._shared_hosts):
            for account in tuple(accounts):
                account.spent_s /= 2
                if account.spent_s < limits.FORGOTTEN_S:
                    account.spent_s = 0.0
                    accounts.discard(account)
        self._backlog.reorder()
        self._grow_old(now_s)

    def _grow_old(self, now_s: float) -> None:
        """Trust connections that are not new any more and have cost little.

        Costs are measured in shared turns only, and most workers have never seen one
        when an attack begins.
        """
        while self._new and self._new[0][0] <= now_s:
            _, connection = self._new.popleft()
            if connection.cost_class == NEW_CLASS:
                connection.cost_class = 0

    def _put_back(self, connection: Connection) -> None:
        if not connection.is_closed:
            self._backlog.put(connection)

    def _end_silent(self, account: Account | None) -> None:
        connection = self._silent.oldest(account)
        if connection is not None:
            connection.refuse(LimitError("no room, and it never sent anything"))
            # Its room is needed now, and there is no reply that a reset could destroy.
            connection.abort()

    def _evict(self) -> None:
        while self._evicted:
            self._run(self._evicted.popleft().evict)

    def _timeout_s(self) -> float | None:
        if self._backlog.size or self._to_sweep:
            return 0.0
        if self._stop_until_s is not None:
            return limits.STOP_TURN_S
        due_s = self._next_sweep_s if self.watched else None
        if self._timers:
            due_s = min(self._timers[0][0], due_s or self._timers[0][0])
        return None if due_s is None else max(0.0, due_s - self.now())

    def _run_calls(self) -> None:
        # Clear the wake-up before emptying the queue, so that a call queued in between
        # wakes the loop again.  In the other order, clearing could swallow the wake-up
        # of a call that came after the queue was emptied.
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wake_fd)
        # Run only the calls that are there now; those that they queue are for the next
        # turn.  Limit the time too: thousands of new connections may arrive at once.
        end_s = self.now() + limits.TURN_S / 2
        for _ in range(len(self._calls)):
            self._run(self._calls.popleft())
            if self.now() > end_s:
                break
        if self._calls:
            os.eventfd_write(self._wake_fd, 1)

    def _run_due(self, now_s: float) -> None:
        end_s = now_s + limits.TURN_S / 2
        while self._timers and self._timers[0][0] <= now_s and self.now() < end_s:
            self._run(heapq.heappop(self._timers)[2])
        if now_s >= self._next_sweep_s and not self._to_sweep:
            self._late_s = now_s - self._next_sweep_s
            self._next_sweep_s = now_s + limits.SWEEP_S
            self._to_sweep.extend(self.watched)
        if self._to_sweep:
            self._sweep(now_s, end_s)
        if self._stop_until_s is not None:
            self._stop_turn(self._stop_until_s)

    def _sweep(self, now_s: float, end_s: float) -> None:
        """End connections whose time is up, until `end_s`; the next turn does the rest.

        A late sweep means that this process did not run for a while (SIGSTOP, a paused
        virtual machine, no CPU time) and could not read what the peers sent.  That time
        does not count against them.
        """
        while self._to_sweep and self.now() <= end_s:
            connection = self._to_sweep.pop()
            if connection.is_closed:
                continue
            try:
                if self._late_s > limits.SWEEP_S:
                    connection.postpone(self._late_s)
                reason = connection.overdue(now_s)
                if reason is not None:
                    connection.expire(reason)
            except Exception:
                self._abandon(connection)

    def _run(self, function: Callable[[], None]) -> None:
        """Run one call; log an exception, so that the calls after it still run."""
        try:
            function()
        except Exception:
            _logger.exception("%s: a call failed", self.name)

    def _restore(self, peers: Sequence[tuple[socket.socket, ConnectionState]]) -> None:
        for sock, state in peers:
            account = self._accounts.open(*split_host_and_port(state.peer))
            self._adopt(sock, state.peer, account)
            connection = self.connections.get(sock.fileno())
            if connection is not None:
                try:
                    connection.restore(state)
                except Exception:
                    self._abandon(connection)

    def _adopt_next(self) -> None:
        """Adopt one of the new connections, taking the accounts in turn.

        So a worker that starts does not wait behind thousands of earlier connections
        from one other address.
        """
        while self._arrivals:
            arrival = self._arrivals.popleft()
            self._newcomers.setdefault(arrival[2], deque()).append(arrival)
        account, waiting = next(iter(self._newcomers.items()))
        del self._newcomers[account]
        sock, peer, _ = waiting.popleft()
        if waiting:
            self._newcomers[account] = waiting
        self._adopt(sock, peer, account)

    def _adopt(self, sock: socket.socket, peer: str, account: Account) -> None:
        if self._stop_until_s is not None:
            self._accounts.close(account)
            sock.close()
            return
        try:
            protocol = self._make_protocol(peer, account)
            connection = Connection(sock, protocol, self, account)
            self._epoll.register(connection.fd, select.EPOLLIN)
        except Exception:
            # The kernel has no room for it in epoll, or SASL cannot begin.
            _logger.exception("%s: closed: it cannot be served", peer)
            self._forgotten += 1
            self._accounts.close(account)
            sock.close()
            return
        self._silent.add(connection)
        now_s = self.now()
        self._grow_old(now_s)
        self._new.append((now_s + limits.NEW_S, connection))
        self.connections[connection.fd] = connection
        self.figures.connections += 1

    def _look_at_hold(self, holding: Holding, until_s: float) -> None:
        if self._stop_until_s is not None:
            # The stop resets the connections of the held reads, and their clients ask
            # the next server.  Ending the hold now would answer them with misses.
            return
        left_s = until_s - self._boot_now()
        if left_s > 0:
            # The timers do not advance while the machine is suspended, so check the
            # boot clock at least once per sweep interval.
            delay_s = min(left_s, limits.SWEEP_S)
            self.call_later(delay_s, lambda: self._look_at_hold(holding, until_s))
        else:
            holding.end()

    def _begin_stop(self, timeout_s: float) -> None:
        until_s = self.now() + timeout_s
        self._stop_until_s = min(until_s, self._stop_until_s or until_s)

    def _stop_turn(self, until_s: float) -> None:
        for connection in tuple(self.connections.values()):
            try:
                # Read the clock for each one: much work for one connection must not
                # delay the end of the stop.
                if self.now() >= until_s or connection.is_quiet():
                    connection.abort()
            except Exception:
                self._abandon(connection)

    def _abandon(self, connection: Connection) -> None:
        """Reset a connection on which our own code raised; its peer is told nothing."""
        _logger.exception("%s: closed: an error of ours", connection.protocol.peer)
        connection.abort()
