"""An I/O thread: one epoll loop over many connections, each its own for life.

What a connection holds needs no lock, since only its thread touches it.
Others speak to the thread through `call`: a queue and a descriptor that wakes
the loop.  They never touch a connection themselves.

**Fair turns.** A connection that has sent more than a slice of requests goes to the
*backlog*, and is not read meanwhile.  If a turn has much to do, its time is shared.
For half of `limits.TURN_S` it serves connections whose requests take little time;
whoever is not reached goes to the backlog.  For the other half it serves the backlog,
in which the account that has had the least of the thread's time lately comes first.
Then the turn ends, and calls of other threads (a stop, an upgrade, the watchdog) run.
So a worker, which takes some microseconds every three seconds, is always among the
first, however much others send: the first rule keeps it apart from costly requests of
its own address, the second from an address that sends cheap requests without end.  A
turn with little to do, which nearly every turn is, does none of this.
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
from pacemaker.server.io.connection import Connection
from pacemaker.server.io.sasl_steps import StepRunner
from pacemaker.server.process import memory
from pacemaker.server.process.clocks import boot_time_s

_logger: Final = logging.getLogger(__name__)

# How many events are served between two looks at the clock.
_CHUNK: Final = 8
# What a few events are charged at most.
_MOST_SAMPLED_S: Final = 0.01
# How many connections are sorted in one turn: some three milliseconds.
_MOST_SHARED: Final = 4096
# Up to this class (see `Connection.note_cost`) an event takes less than 0.4 ms.
_CHEAPEST_CLASSES: Final = 2
# A turn whose events take no more than this is that of many workers.
_CHEAP_EVENT_S: Final = 0.000025

# Makes the protocol object of a new connection: of its peer's name and account.
ProtocolFactory: TypeAlias = Callable[[str, Account], ServerProtocol]

# A new connection, its name and its account.
_Arrival: TypeAlias = tuple[socket.socket, str, Account]

# What epoll reports whatever is asked for: an error, the end of both directions.
_ALWAYS: Final = select.EPOLLERR | select.EPOLLHUP

# A descriptor and what happened on it.
_Event: TypeAlias = tuple[int, int]


_cost_class: Final = attrgetter("cost_class")


class IoThread(threading.Thread):
    """One of the threads that read, answer and write.

    Args:
        number: for the thread's name.
        make_protocol: makes the protocol objects of this thread's connections.
        figures: where this thread counts.
        budget: what all connections of all threads may hold.
        steps: takes the SASL steps.
        accounts: knows the accounts of the peers.
        address_limits: what an account may use.
        clock: seconds that only grow.
        boot_clock: the same, but those go on while the machine is suspended, and
            mean the same to the process that this one becomes.
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
        # Of this thread: it is read while connections are served, on the thread.
        self._cpu_now: Callable[[], float] = time.thread_time
        self._boot_now = boot_clock
        # Those that hold bytes or are due to end; looked over once a second.
        self.watched: set[Connection] = set()
        self._make_protocol = make_protocol
        self._budget = budget
        self._steps = steps
        self._accounts = accounts
        self._address_limits = address_limits
        # Those that have requests left, in the order in which they were put off.
        self._backlog: Backlog[Connection] = Backlog()
        # Those that have never sent a byte, the oldest first.
        self._silent: dict[Connection, None] = {}
        # The accounts whose `spent_s` is to fade, and when.
        self._spenders: set[Account] = set()
        self._next_fade_s = 0.0
        # Whether one account has lately had so much time that turns are shared from
        # their beginning.
        self._is_crowded = False
        self.connections: dict[int, Connection] = {}
        # Two counters, as each is written by one thread alone.
        self._adopted = 0
        self._forgotten = 0
        self._calls: deque[Callable[[], None]] = deque()
        # New connections: as the acceptor gives them, and by account.  There is a call
        # for each.
        self._arrivals: deque[_Arrival] = deque()
        self._newcomers: dict[Account, deque[_Arrival]] = {}
        # Those that another thread wants ended, for what they hold.
        self._evicted: deque[Connection] = deque()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._timer_numbers = itertools.count()
        self._next_sweep_s = 0.0
        # What this sweep has yet to look at, and by how much it came late.
        self._to_sweep: list[Connection] = []
        self._late_s = 0.0
        self._next_return_s = 0.0
        self._stop_until_s: float | None = None
        self._epoll = select.epoll()
        # Guards the two below: a descriptor that is closed is soon another's.
        self._wake_lock = threading.Lock()
        self._is_closed = False
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._wake_fd, select.EPOLLIN)

    # What any thread may call.

    def call(self, function: Callable[[], None]) -> None:
        """Have this thread call a function, soon; not at all once it has ended."""
        self._calls.append(function)
        with self._wake_lock:
            if not self._is_closed:
                os.eventfd_write(self._wake_fd, 1)

    @property
    def load(self) -> int:
        """How many connections it has, those included that wait to be adopted."""
        return self._adopted - self._forgotten

    def evict(self, connection: Connection) -> None:
        """Have a connection of this thread ended, for what it holds."""
        self._evicted.append(connection)
        self.call(self._evict)

    def adopt(self, sock: socket.socket, peer: str, account: Account) -> None:
        """Give a new connection to this thread; only the acceptor does.

        The account has counted it already; the thread counts its end.
        """
        self._arrivals.append((sock, peer, account))
        self._adopted += 1
        self.call(self._adopt_next)

    def end_silent(self) -> None:
        """Have the connection ended that has been without a word for longest."""
        self.call(self._end_silent)

    @property
    def silent(self) -> int:
        """How many connections have never sent a byte."""
        return len(self._silent)

    def hold_misses(self, holding: Holding, until_s: float) -> None:
        """Hold the misses of all connections to come, until a time of boot_clock."""
        holding.begin(self.call)
        self.call(lambda: self._look_at_hold(holding, until_s))

    def restore(self, peers: Sequence[tuple[socket.socket, ConnectionState]]) -> None:
        """Give this thread connections of the process before an upgrade."""
        self._adopted += len(peers)
        self.call(lambda: self._restore(peers))

    def stop(self, timeout_s: float) -> None:
        """Answer what has come, see it delivered, reset every connection, end.

        What is not done after the timeout is reset anyway; a later call may
        shorten it.
        """
        self.call(lambda: self._begin_stop(timeout_s))

    def close(self) -> None:
        """Give back the descriptors, once the thread has ended."""
        self._epoll.close()
        with self._wake_lock:
            self._is_closed = True
            os.close(self._wake_fd)

    # What the main thread may call while this thread stands still.

    def states(self) -> list[ConnectionState]:
        """Write out its connections, but for those that can only be reset."""
        states = (connection.state() for connection in self.connections.values())
        return [state for state in states if state is not None]

    # What its own connections, and functions given to `call`, may call.

    def call_later(self, delay_s: float, function: Callable[[], None]) -> None:
        """Call a function after a delay."""
        due_s = self.now() + delay_s
        heapq.heappush(self._timers, (due_s, next(self._timer_numbers), function))

    def wait_for(self, fd: int, interest: int) -> None:
        """Change what is awaited on a connection's descriptor."""
        self._epoll.modify(fd, interest)

    def take_step(self, connection: Connection) -> None:
        """Have the SASL step taken that is due on a connection."""
        self._steps.take(connection)

    def watch(self, connection: Connection, held_bytes: int, is_due: bool) -> bool:
        """Look after a connection that holds bytes, or that time may end.

        When all buffers pass the budget, the connections that `BufferBudget` names
        are ended: at once if they are this thread's, as what is read meanwhile would
        come on top.

        Returns:
            Whether it is this connection that has to end.
        """
        if held_bytes or is_due:
            if not self.watched:
                # The next sweep was last set when there was something to sweep.
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

    def put_off(self, connection: Connection) -> None:
        """Have a connection go on after others were served.

        If its account has made too many keys for the time, it goes on later.
        """
        wait_s = 0.0
        if connection.account.is_charged:
            wait_s = connection.account.settle(self.now(), self._address_limits)
        if wait_s:
            self.figures.delays += 1
            self.call_later(wait_s, lambda: self._put_back(connection))
        else:
            self._backlog.put(connection)

    def greeted(self, connection: Connection) -> None:
        """Take note that a connection has sent something, now or before an upgrade."""
        self._silent.pop(connection, None)

    def note_evicted(self, size_bytes: int) -> None:
        """Take note of what a connection held that was evicted."""
        began_s = self.now()
        if self._budget.note_evicted(size_bytes) and began_s >= self._next_return_s:
            memory.return_free_pages()
            # It takes long where much is stored: most of the time is for the peers.
            ended_s = self.now()
            self._next_return_s = ended_s + limits.SERVED_TIMES * (ended_s - began_s)

    def forget(self, connection: Connection) -> None:
        """Let go of a connection that is about to be closed."""
        del self.connections[connection.fd]
        self._epoll.unregister(connection.fd)
        self._forgotten += 1
        self.figures.connections -= 1
        self._accounts.close(connection.account)
        self._backlog.discard(connection)
        self._silent.pop(connection, None)
        if connection in self.watched:
            self.watched.discard(connection)
            self._budget.hold(connection, connection.account, 0, self.now())

    # The loop.

    def run(self) -> None:
        """Serve until `stop` is done; no error of one turn ends the next."""
        while self._stop_until_s is None or self.connections:
            try:
                self.turn()
            except Exception:
                _logger.exception("%s: a turn failed", self.name)
                # What fails at once, over and over, must not keep a core busy.
                time.sleep(limits.FAILED_TURN_PAUSE_S)

    def turn(self) -> None:
        """Wait for what happens next, and do what it asks for."""
        if self._is_crowded or self._backlog.size:
            # All that is ready, so that whoever has waited for longest is among it;
            # of very many a part, as to sort them takes time as well.
            most = min(len(self.connections) + 1, _MOST_SHARED)
            is_woken = self._share(self._epoll.poll(self._timeout_s(), most))
        else:
            is_woken = self._serve(self._epoll.poll(self._timeout_s()))
        if is_woken:
            # Only now: a connection that is adopted may have the descriptor of
            # one that was closed in this turn, and would get that one's events.
            self._run_calls()
        if (
            self._timers
            or self.watched
            or self._to_sweep
            or self._stop_until_s is not None
        ):
            self._run_due(self.now())

    def _serve(self, ready: Sequence[_Event]) -> bool:
        """Serve what is ready, in any order; the usual way, and the quickest.

        Returns:
            Whether others have called.
        """
        connections = self.connections
        connection: Connection | None = None
        is_woken = False
        began_s = now_s = self.now() if len(ready) > _CHUNK else 0.0
        for at in range(0, len(ready), _CHUNK):
            if at:
                now_s = self._sample(connection, now_s)
                if self._is_too_long(now_s - began_s, at):
                    return self._share(ready[at:]) or is_woken
            for fd, events in ready[at : at + _CHUNK]:
                connection = connections.get(fd)
                if connection is None:
                    # Or else the connection was closed earlier in this turn.
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
                    # At once: what the rest of this turn reads would come on top.
                    self._evict()
        return is_woken

    def _sample(self, connection: Connection | None, before_s: float) -> float:
        """Charge the time since the last look at the clock to one account.

        It is the account that was served last, one of at most `_CHUNK`.  In the long
        run each account is charged what it took.
        """
        now_s = self.now()
        if connection is not None:
            account = connection.account
            # More than that was an interruption, and not the account's doing.
            account.spent_s += min(now_s - before_s, _MOST_SAMPLED_S)
            self._spenders.add(account)
            self._fade(now_s)
        return now_s

    def _is_too_long(self, elapsed_s: float, served: int) -> bool:
        """Return whether the rest of a turn has to be shared.

        Many cheap events, which is what a busy cluster sends, may take four times as
        long: sorting them would cost more than it gains.
        """
        if elapsed_s <= limits.TURN_S:
            return False
        return elapsed_s > served * _CHEAP_EVENT_S or elapsed_s > 4 * limits.TURN_S

    def _share(self, ready: Sequence[_Event]) -> bool:
        """Serve what is ready and the backlog, until the turn has taken its time.

        Cheap requests come first.  That alone would starve connections with costly
        requests while others send cheap ones without end, so it is only done for half
        of the time.  Connections that are not reached go to the backlog, which has the
        other half.

        Returns:
            Whether others have called.
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
                # It is deferred, and this is its end, which epoll always reports.
                connection.ready |= events
        fresh.sort(key=_cost_class)
        now_s = self.now()
        end_s = now_s + limits.TURN_S / 2
        for connection in fresh:
            if now_s < end_s and connection.cost_class <= _CHEAPEST_CLASSES:
                now_s = self._serve_measured(connection)
            else:
                self._defer(connection)
        end_s = now_s + limits.TURN_S / 2
        while now_s < end_s and (next_one := self._backlog.pop()) is not None:
            now_s = self._serve_measured(next_one)
        self._fade(now_s)
        return is_woken

    def _defer(self, connection: Connection) -> None:
        """Have a connection wait in the backlog with what epoll has reported.

        Epoll would report it again in each turn: with thousands of them that would
        take longer than to serve some.
        """
        if not connection.is_closed:
            connection.is_deferred = True
            self._epoll.modify(connection.fd, 0)
            self._backlog.put(connection)

    def _serve_measured(self, connection: Connection) -> float:
        """Serve a connection and charge its account; return the time.

        It is charged the processor's time.  By the clock on the wall, a connection
        that this thread was interrupted in for 100 ms would be taken for one that
        sends costly requests.
        """
        began_s = self._cpu_now()
        try:
            self._serve_one(connection)
        except Exception:
            self._abandon(connection)
        if self._evicted:
            self._evict()
        connection.note_cost(self._cpu_now() - began_s)
        self._spenders.add(connection.account)
        return self.now()

    def _serve_one(self, connection: Connection) -> None:
        """Do what epoll has reported, or the next slice of what was read before."""
        events, connection.ready = connection.ready, 0
        if connection.is_closed:
            return
        if not events:
            connection.go_on()
            return
        if connection.is_deferred:
            connection.is_deferred = False
            self._epoll.modify(connection.fd, connection.interest)
        # What it waits for may have changed meanwhile: a held read was answered, say.
        events &= connection.interest | _ALWAYS
        if events:
            connection.on_event(events)

    def _fade(self, now_s: float) -> None:
        """Halve, now and then, what the accounts have spent, and forget what is left.

        Only the ratios matter, so it is of no matter how regularly that is done.
        """
        if now_s < self._next_fade_s:
            return
        self._next_fade_s = now_s + limits.FADE_S
        self._is_crowded = any(
            account.spent_s > limits.DOMINANT_S for account in self._spenders
        )
        for account in tuple(self._spenders):
            account.spent_s /= 2
            if account.spent_s < limits.FORGOTTEN_S:
                account.spent_s = 0.0
                self._spenders.discard(account)
        self._backlog.reorder()

    def _put_back(self, connection: Connection) -> None:
        if not connection.is_closed:
            self._backlog.put(connection)

    def _end_silent(self) -> None:
        for connection in self._silent:
            connection.refuse(LimitError("no room, and it never sent anything"))
            return

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
        # Cleared before the queue is emptied: what is queued after that wakes
        # the loop again, and nothing is left lying.
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wake_fd)
        # No more than there are: what these queue is for the next turn.  Nor for
        # longer than a turn: thousands of new connections may come at once.
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
        """End what has had its time; what is left at the end waits for the next turn.

        A sweep that comes late says that this process stood still (SIGSTOP, its
        virtual machine, no share of the processor), and with it what the peers have
        sent meanwhile: that time is not theirs.
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
        """Call a function; an error in it is not one of those behind it."""
        try:
            function()
        except Exception:
            _logger.exception("%s: a call failed", self.name)

    def _restore(self, peers: Sequence[tuple[socket.socket, ConnectionState]]) -> None:
        for sock, state in peers:
            host, _, port = state.peer.rpartition(":")
            account = self._accounts.open(host.strip("[]"), int(port))
            self._adopt(sock, state.peer, account)
            connection = self.connections.get(sock.fileno())
            if connection is not None:
                try:
                    connection.restore(state)
                except Exception:
                    self._abandon(connection)

    def _adopt_next(self) -> None:
        """Adopt one of the new connections, accounts in turn.

        So a worker that starts does not wait for thousands of one other address that
        came before it.
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
            # The kernel has no room to watch it, or SASL cannot begin.
            _logger.exception("%s: closed: it cannot be served", peer)
            self._forgotten += 1
            self._accounts.close(account)
            sock.close()
            return
        self._silent[connection] = None
        self.connections[connection.fd] = connection
        self.figures.connections += 1

    def _look_at_hold(self, holding: Holding, until_s: float) -> None:
        if self._stop_until_s is not None:
            # Who waits is reset with its connection, and asks the next server
            # that comes: a miss would be this one's word.
            return
        left_s = until_s - self._boot_now()
        if left_s > 0:
            # The timers stand still while the machine is suspended.
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
                # Asked each time: what one has sent must not make the stop late.
                if self.now() >= until_s or connection.is_quiet():
                    connection.abort()
            except Exception:
                self._abandon(connection)

    def _abandon(self, connection: Connection) -> None:
        """End a connection on which our own code failed; its peer learns nothing."""
        _logger.exception("%s: closed: an error of ours", connection.protocol.peer)
        connection.abort()
