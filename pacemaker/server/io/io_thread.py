"""An I/O thread: one epoll loop over many connections, which never change threads.

A connection needs no lock, because only its own thread touches it.  Other threads use
`call` instead, which queues a function and wakes the loop.

`pacemaker.server.io.fair_turns` decides who is served first in a turn, and who has to
wait.
"""

from __future__ import annotations

import logging
import math
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from pacemaker.core.accounts.account import Account
from pacemaker.core.accounts.admission import OVER_SHARE
from pacemaker.core.figures import Figures
from pacemaker.core.history.record import TurnTime
from pacemaker.core.protocol.miss_holder import MissHolder
from pacemaker.errors import LimitError
from pacemaker.server.io import limits
from pacemaker.server.io.connection import Connection
from pacemaker.server.io.endings import ENDINGS, Ending, count_end
from pacemaker.server.io.expendable_connections import ExpendableConnections
from pacemaker.server.io.fair_turns import MAX_EVENTS, FairTurns
from pacemaker.server.io.fairness.turn_lengths import TURN_S
from pacemaker.server.io.handoff import AcceptedSocket, HandoffQueue, Replaced
from pacemaker.server.io.idle_search import IdleSearch
from pacemaker.server.io.io_thread_parts import Clocks, ProtocolFactory, SharedParts
from pacemaker.server.io.page_returns import PageReturns
from pacemaker.server.io.queued_calls import QueuedCalls
from pacemaker.server.io.stop import Stop
from pacemaker.server.io.timers import Timers
from pacemaker.server.io.watchlist import Watchlist
from pacemaker.server.upgrade_state import ConnectionState, PeerAddress

_logger: Final = logging.getLogger(__name__)

_SYSTEM_CLOCKS: Final = Clocks()


class IoThread(threading.Thread):
    """One of the threads that read, answer and write.

    Args:
        number: for the thread's name.
        make_protocol: makes the protocol objects of this thread's connections.
        figures: the counters of this thread.
        shared: what it shares with the other threads.
        clocks: tell it the time.
        turn_time: set to the time of each turn; None to create one.
        is_timed: whether to count how long turns take.

    Attributes:
        figures: the counters.
        connections: its connections, by descriptor.
        backlog: those that have more to do, and wait while others are served.
        watched: those that hold bytes or have a deadline.
        evicted: those that another thread wants evicted.
    """

    def __init__(
        self,
        number: int,
        make_protocol: ProtocolFactory,
        figures: Figures,
        shared: SharedParts,
        clocks: Clocks = _SYSTEM_CLOCKS,
        turn_time: TurnTime | None = None,
        is_timed: bool = False,
    ) -> None:
        super().__init__(name=f"pacemaker-io-{number}", daemon=True)
        self.figures = figures
        self.now = clocks.monotonic_s
        self.cpu_now = clocks.thread_cpu_s
        self._boot_now = clocks.boot_s
        self._turn_time = TurnTime() if turn_time is None else turn_time
        # When to time the next turn.
        self._next_timed_s = 0.0 if is_timed else math.inf
        self._make_protocol = make_protocol
        self._budget = shared.budget
        self._steps = shared.steps
        self._accounts = shared.accounts
        self._address_limits = shared.address_limits
        # What other threads ask for.  Whoever adds to `_handoff` also wakes the thread,
        # and whoever adds to `evicted` queues a call that handles it.
        self._calls = QueuedCalls(self.name)
        self._handoff = HandoffQueue()
        self.evicted: deque[Connection] = deque()
        self._epoll = select.epoll()
        self._epoll.register(self._calls.fd, select.EPOLLIN)
        # The connections, and some that need attention.
        self.connections: dict[int, Connection] = {}
        self.watched: Watchlist[Connection] = Watchlist()
        self._expendable: ExpendableConnections[Connection] = ExpendableConnections()
        self._idle_search = IdleSearch(self.connections, self._expendable.add)
        # Descriptors that are no connection's, and what to call while one is readable.
        self._attended: dict[int, Callable[[float], None]] = {}
        self._wake_fds = {self._calls.fd}
        self._turns = FairTurns(self, self._wake_fds)
        self.backlog = self._turns.backlog
        # Two counters and not one, so that each is written by a single thread: the
        # acceptor hands over, this thread forgets.  One counter would need a lock.
        self._handed_over = 0
        self._forgotten = 0
        self._timers = Timers()
        self._page_returns = PageReturns(self._budget, self.now)
        self._stopping = Stop(
            self.connections, figures, self.now, self.reset_after_fault
        )

    # What any thread may call.

    def call(self, function: Callable[[], None]) -> None:
        """Queue a call on this thread.  Once the thread has ended, it is dropped."""
        self._calls.put(function)

    @property
    def is_opening(self) -> bool:
        """Whether connections that were handed over are not opened yet."""
        return bool(self._handoff)

    @property
    def load(self) -> int:
        """The number of its connections, including those not yet opened."""
        return self._handed_over - self._forgotten

    def request_eviction(self, connection: Connection) -> None:
        """Queue the eviction of one of this thread's connections."""
        self.evicted.append(connection)
        self.call(self.evict_pending)

    def add_connection(
        self,
        sock: socket.socket,
        peer: PeerAddress,
        account: Account,
        replaces: Replaced | None = None,
    ) -> None:
        """Give a new connection to this thread.  Only the acceptor calls this.

        The account has already counted the connection; this thread counts its end.

        Args:
            sock: its socket.
            peer: the peer's address.
            account: the account of the peer's address.
            replaces: which other connection has to go.  If there is none any more,
                because all of them have sent something by now, the new one goes.
        """
        if replaces is Replaced.EXPENDABLE_OF_ADDRESS:
            self._expendable.promise_replacement(account)
        self._handed_over += 1
        arrival = AcceptedSocket(sock, peer, account, self._handed_over, replaces)
        self._handoff.add(arrival)
        self._calls.wake()

    def make_room(self, account: Account | None = None) -> None:
        """Close an old expendable connection, of one account or of all, if one is left.

        Only the acceptor calls this.
        """
        self._expendable.promise(account)
        self.call(lambda: self._make_room(account))

    def look_for_idle(self) -> None:
        """Let some connections become expendable if they have been idle for long.

        Only the acceptor calls this, because no connection is expendable.
        """
        self.call(lambda: self._idle_search.look(self.now()))

    @property
    def expendable_count(self) -> int:
        """The number of connections that may still be closed to make room."""
        return self._expendable.unpromised_count

    @property
    def costly_count(self) -> int:
        """The number of connections that may be closed because they are costly."""
        return self.backlog.costly

    def can_make_room(self, account: Account) -> bool:
        """Return whether an account has a connection that may be closed for another."""
        return self._expendable.has_unpromised(account)

    def hold_misses(self, miss_holder: MissHolder, until_s: float) -> None:
        """Hold the misses of all future connections until a time of the boot clock."""
        miss_holder.begin(self.call)
        self.call(lambda: self._check_hold(miss_holder, until_s))

    def restore(self, peers: Sequence[tuple[socket.socket, ConnectionState]]) -> None:
        """Give this thread connections that existed before an upgrade."""
        self._handed_over += len(peers)
        self.call(lambda: self._restore(peers))

    def stop(self, timeout_s: float) -> None:
        """Answer what has arrived, wait for its delivery, reset all, and end.

        After the timeout the remaining connections are reset anyway.  A later call may
        shorten the timeout.
        """
        self.call(lambda: self._stopping.begin(timeout_s))

    def close(self) -> None:
        """Give back the descriptors, once the thread has ended."""
        # The acceptor's host may have ended later than this thread.
        self._stopping.begin(0.0)
        self._open_until(math.inf)
        self._epoll.close()
        self._calls.close()

    # What the main thread may call while this thread is parked.

    def carried_states(self) -> list[ConnectionState]:
        """Return the states of all connections that an upgrade can carry over."""
        # Those that were handed over since it was parked, too.
        self._open_until(math.inf)
        states = (
            connection.carried_state() for connection in self.connections.values()
        )
        return [state for state in states if state is not None]

    # What its own connections, and functions given to `call`, may call.

    def call_later(self, delay_s: float, function: Callable[[], None]) -> None:
        """Call a function after a delay."""
        self._timers.add(self.now() + delay_s, function)

    def attend(self, fd: int, function: Callable[[float], None]) -> None:
        """Call a function between two turns while a descriptor is readable.

        It may also be called when nothing is to be read.

        Args:
            fd: the descriptor.
            function: called with the time that it may take, in seconds.

        Raises:
            OSError: the kernel has no room for it in epoll.
        """
        self._epoll.register(fd, select.EPOLLIN)
        self._attended[fd] = function
        self._wake_fds.add(fd)

    def ignore(self, fd: int) -> None:
        """Undo `attend`."""
        self._epoll.unregister(fd)
        del self._attended[fd]
        self._wake_fds.discard(fd)

    def set_interest(self, fd: int, interest: int) -> None:
        """Change the epoll events that a connection's descriptor waits for."""
        self._epoll.modify(fd, interest)

    @property
    def is_memory_plentiful(self) -> bool:
        """Whether all buffers together hold little of what they may."""
        return self._budget.is_nearly_unused

    def run_sasl_step(self, connection: Connection) -> None:
        """Run the connection's pending SASL step."""
        self._steps.run_step(connection)

    def note_buffered_bytes(
        self, connection: Connection, buffered_bytes: int, has_deadline: bool
    ) -> bool:
        """Record how many unread and unsent bytes a connection holds.

        While it holds any, or has a deadline, it is among those that `_sweep` checks.

        If all buffers together exceed the budget, the connections that `BufferBudget`
        names are evicted.  Those of this thread end at once: until then every read
        would add to the excess.

        Returns:
            Whether this connection itself has to end.
        """
        if buffered_bytes or has_deadline:
            self.watched.add(connection, self.now())
        elif not self.watched.discard(connection):
            return False
        evicted = self._budget.update(
            connection, connection.account, buffered_bytes, self.now()
        )
        for other in evicted:
            if other.owner is not self:
                other.owner.request_eviction(other)
            elif other is not connection:
                self._calls.run(other.evict)
        return connection in evicted

    def yield_turn(self, connection: Connection, has_charged: bool) -> None:
        """Let a connection continue after others have been served.

        Args:
            connection: the connection.
            has_charged: whether it has created many keys or asked for many lists.  If
                its account did so too fast, and the connection has taken part in that,
                it continues only once the account has credit again.
        """
        wait_s = self._charge(connection) if has_charged else 0.0
        if wait_s:
            self.figures.delays += 1
            self._turns.withdraw(connection)
            self.call_later(wait_s, lambda: self._put_back(connection))
        else:
            self.backlog.put(connection)

    def _charge(self, connection: Connection) -> float:
        """Charge a connection's account; return how long the connection has to wait."""
        now_s, account = self.now(), connection.account
        since_s = now_s - connection.charged_s
        connection.charged_s = now_s
        wait_s = account.charge_work(now_s, self._address_limits)
        # Nimbus lists at the address of an attacker that lists a thousand times as
        # often.  Only those that do more than their share wait for that.
        return 0.0 if since_s >= account.share_s(self._address_limits) else wait_s

    def note_first_bytes(self, connection: Connection) -> None:
        """Record that a connection has sent something, now or before an upgrade."""
        self._expendable.discard(connection)

    def note_lingering(self, connection: Connection) -> None:
        """Record that a connection only waits for its peer's end."""
        self._expendable.add(connection)

    def note_evicted(self, size_bytes: int) -> None:
        """Record how many bytes an evicted connection held."""
        self._page_returns.note_evicted(size_bytes)

    def forget(self, connection: Connection) -> None:
        """Remove a connection that is about to be closed."""
        del self.connections[connection.fd]
        self._epoll.unregister(connection.fd)
        self._forgotten += 1
        self._count_end(connection)
        self._accounts.remove_connection(connection.account)
        self._turns.forget(connection)
        self._expendable.discard(connection)
        if self.watched.discard(connection):
            self._budget.update(connection, connection.account, 0, self.now())

    def _count_end(self, connection: Connection) -> None:
        ending = connection.ending
        if ending is None:
            # `Connection.end` should have set it.
            ending = Ending.FAULT
            peer = connection.protocol.peer
            _logger.error("%s: closed: internal error: no ending was set", peer)
        end = count_end(self.figures, ending, self._stopping.has_begun)
        if end is not None:
            peer_record = connection.protocol.peer_record
            peer_record.end, peer_record.ended_s = end, self._turn_time.now_s

    def evict_pending(self) -> None:
        """End the connections that another thread wants evicted."""
        while self.evicted:
            self._calls.run(self.evicted.popleft().evict)

    def reset_after_fault(self, connection: Connection) -> None:
        """Reset a connection on which our own code raised; its peer is told nothing."""
        connection.end(Ending.FAULT)

    # The loop.

    def run(self) -> None:
        """Serve until `stop` is done.  An error in one turn does not end the loop."""
        while self.connections or not self._stopping.has_begun:
            try:
                self.turn()
            except Exception:
                _logger.exception("%s: a turn failed", self.name)
                # A turn that fails at once, over and over, must not keep a core busy.
                time.sleep(limits.FAILED_TURN_PAUSE_S)

    def turn(self) -> None:
        """Wait for the next events and handle them."""
        turns = self._turns
        due_s = min(self._timers.next_s, self.watched.next_s)
        is_shared = turns.is_shared
        max_events = turns.max_events if is_shared else MAX_EVENTS
        ready = self._epoll.poll(self._timeout_s(due_s), max_events)
        self._turn_time.now_s = now_s = self.now()
        is_woken = turns.serve_shared(ready) if is_shared else turns.serve(ready)
        if now_s >= self._next_timed_s:
            self._time_turn(len(ready))
        # If more may be ready than was fetched, the wake-up may be among the rest.
        if is_woken or len(ready) == max_events:
            self._end_turn(self._accept_s(self.now() - now_s))
        if now_s >= due_s:
            self._run_due(self.now())
        if self._stopping.has_begun:
            self._stopping.end_delivered()

    def _accept_s(self, served_s: float) -> float:
        """Return how long connections may be accepted after a turn.

        As long as the turn has served its events, within limits.  But each new
        connection makes the next turn longer: if many are new, and longer turns
        accepted more, soon everybody would wait.
        """
        if self._turns.has_many_new:
            return limits.ACCEPT_S
        return min(max(limits.ACCEPT_S, served_s), limits.MAX_ACCEPT_S)

    def _end_turn(self, accept_s: float) -> None:
        """Do what is not a connection's own work.

        Not earlier in the turn: a new connection may get the descriptor of one that was
        closed in this turn, and would then receive its events.

        Args:
            accept_s: how long accepting may take; opening may take half as long.
        """
        for function in tuple(self._attended.values()):
            function(accept_s)
        self._calls.run_pending(self.now, TURN_S / 2)
        self._open_until(self.now() + accept_s / 2)

    def _time_turn(self, events: int) -> None:
        """Count how long a turn has taken so far.

        Not every turn is timed: reading the clock and counting takes a twentieth of the
        time of a pulse.
        """
        now_s = self.now()
        self._next_timed_s = now_s + limits.TIMED_EVERY_S
        self.figures.count_turn(now_s - self._turn_time.now_s, events)

    def _put_back(self, connection: Connection) -> None:
        if not connection.is_closed:
            self.backlog.put(connection)

    def _make_room(self, account: Account | None) -> None:
        self._expendable.close_promised(account)

    def _timeout_s(self, due_s: float) -> float | None:
        if self.backlog.size:
            return 0.0
        if self._stopping.has_begun:
            return limits.STOP_POLL_S
        return None if due_s == math.inf else max(0.0, due_s - self.now())

    def _run_due(self, now_s: float) -> None:
        end_s = now_s + TURN_S / 2
        while self.now() < end_s and (function := self._timers.pop_due(now_s)):
            self._calls.run(function)
        self._sweep(now_s, end_s)

    def _sweep(self, now_s: float, end_s: float) -> None:
        """End connections whose time is up, until `end_s`; the next turn does the rest.

        A late sweep means that this process did not run for a while (SIGSTOP, a paused
        virtual machine, no CPU time) and could not read what the peers sent.  That time
        does not count against them.
        """
        while (connection := self.watched.next(now_s)) is not None:
            if not connection.is_closed:
                self._end_if_overdue(connection, now_s)
            if self.now() > end_s:
                break

    def _end_if_overdue(self, connection: Connection, now_s: float) -> None:
        """End a connection if its time is up."""
        try:
            if self.watched.late_s > limits.SWEEP_S:
                connection.postpone(self.watched.late_s)
            reason = connection.overdue(now_s)
            if reason is not None:
                connection.end(Ending.OVERDUE, LimitError("out of time", reason))
        except Exception:
            self.reset_after_fault(connection)

    def _restore(self, peers: Sequence[tuple[socket.socket, ConnectionState]]) -> None:
        for sock, state in peers:
            account = self._accounts.add_connection(*state.address)
            connection = self._open(sock, state.address, account)
            if connection is not None:
                self._turns.add_established(connection)
                try:
                    connection.restore(state)
                except Exception:
                    self.reset_after_fault(connection)

    def _open_until(self, end_s: float) -> None:
        """Open what was handed over; a later turn does the rest.

        A queue of its own, not calls: a stop does not wait until thousands of new
        connections are opened.
        """
        while self._handoff:
            self._calls.run(self._open_next)
            if self.now() > end_s:
                self._calls.wake()
                break

    def _open_next(self) -> None:
        sock, peer, account, number, replaces = self._handoff.take()
        connection = self._open(sock, peer, account)
        if connection is not None:
            self._turns.add_new(connection, number)
            # Not before: a socket that does not become a connection is not counted as
            # ended either.
            self.figures.accepted += 1
        if replaces is Replaced.COSTLY:
            if connection is not None:
                self._replace_costly(connection)
        elif replaces is Replaced.EXPENDABLE_OF_ADDRESS:
            if connection is None:
                self._expendable.withdraw_replacement(account)
            elif not self._expendable.replace_promised(connection):
                connection.close_to_make_room(OVER_SHARE)

    def _replace_costly(self, connection: Connection) -> None:
        costly = self.backlog.costliest()
        if costly is not None:
            costly.close_to_make_room("no room for costly connections")
        else:
            connection.close_to_make_room("no room for another connection")

    def _open(
        self, sock: socket.socket, peer: PeerAddress, account: Account
    ) -> Connection | None:
        if self._stopping.has_begun:
            self._close_unopened(Ending.TOO_LATE, sock, peer, account)
            return None
        try:
            protocol = self._make_protocol(peer.name, account)
            connection = Connection(sock, protocol, self, account, peer)
            self._epoll.register(connection.fd, select.EPOLLIN)
        except Exception:
            # The kernel has no room for it in epoll, or SASL cannot begin.
            self._close_unopened(Ending.NOT_OPENED, sock, peer, account)
            return None
        self._expendable.add(connection)
        self.connections[connection.fd] = connection
        self.figures.connections += 1
        return connection

    def _close_unopened(
        self, ending: Ending, sock: socket.socket, peer: PeerAddress, account: Account
    ) -> None:
        """Close a socket that does not become a connection."""
        ENDINGS[ending].log(_logger, peer.name, exc_info=True)
        self._forgotten += 1
        self._accounts.remove_connection(account)
        sock.close()

    def _check_hold(self, miss_holder: MissHolder, until_s: float) -> None:
        if self._stopping.has_begun:
            # The stop resets the connections of the held reads, and their clients ask
            # the next server.  Ending the hold now would answer them with misses.
            return
        left_s = until_s - self._boot_now()
        if left_s > 0:
            # The timers do not advance while the machine is suspended, so check the
            # boot clock at least once per sweep interval.
            delay_s = min(left_s, limits.SWEEP_S)
            self.call_later(delay_s, lambda: self._check_hold(miss_holder, until_s))
        else:
            miss_holder.end()
