"""An I/O thread: one epoll loop over many connections, each its own for life.

What a connection holds needs no lock, since only its thread touches it.
Others speak to the thread through `call`: a queue and a descriptor that wakes
the loop.  They never touch a connection themselves.
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
from typing import Final, TypeAlias

from pacemaker.accounts import Account
from pacemaker.figures import Figures
from pacemaker.holding import Holding
from pacemaker.protocol import ServerProtocol
from pacemaker.server import limits, memory
from pacemaker.server.budget import BufferBudget
from pacemaker.server.connection import Connection
from pacemaker.server.steps import StepRunner
from pacemaker.server.upgrade.state import ConnectionState

_logger: Final = logging.getLogger(__name__)

# The account of a connection that has none of its own.
NOBODY: Final = Account("nobody")

# Makes the protocol object of a new connection: of its peer's name.
ProtocolFactory: TypeAlias = Callable[[str], ServerProtocol]


def boot_time_s() -> float:
    """Return the seconds since the machine was started, those suspended included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _account(connection: Connection) -> Account:
    account: Account = getattr(connection, "account", NOBODY)
    return account


class IoThread(threading.Thread):
    """One of the threads that read, answer and write.

    Args:
        number: for the thread's name.
        make_protocol: makes the protocol objects of this thread's connections.
        figures: where this thread counts.
        budget: what all connections of all threads may hold.
        steps: takes the SASL steps.
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
        clock: Callable[[], float] = time.monotonic,
        boot_clock: Callable[[], float] = boot_time_s,
    ) -> None:
        super().__init__(name=f"pacemaker-io-{number}", daemon=True)
        self.figures = figures
        self.now = clock
        self._boot_now = boot_clock
        # Those that hold bytes or are due to end; looked over once a second.
        self.watched: set[Connection] = set()
        self._make_protocol = make_protocol
        self._budget = budget
        self._steps = steps
        self.connections: dict[int, Connection] = {}
        # Two counters, as each is written by one thread alone.
        self._adopted = 0
        self._forgotten = 0
        self._calls: deque[Callable[[], None]] = deque()
        # Those that another thread wants ended, for what they hold.
        self._evicted: deque[Connection] = deque()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._timer_numbers = itertools.count()
        self._next_sweep_s = 0.0
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

    def adopt(self, sock: socket.socket, peer: str) -> None:
        """Give a new connection to this thread; only the acceptor does."""
        self._adopted += 1
        self.call(lambda: self._adopt(sock, peer))

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
            self.watched.add(connection)
        elif connection not in self.watched:
            return False
        else:
            self.watched.discard(connection)
        evicted = self._budget.hold(
            connection, _account(connection), held_bytes, self.now()
        )
        for other in evicted:
            if other.owner is not self:
                other.owner.evict(other)
            elif other is not connection:
                self._run(other.evict)
        return connection in evicted

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
        if connection in self.watched:
            self.watched.discard(connection)
            self._budget.hold(connection, _account(connection), 0, self.now())

    # The loop.

    def run(self) -> None:
        """Serve until `stop` is done; no error of one turn ends the next."""
        while self._stop_until_s is None or self.connections:
            try:
                self.turn()
            except Exception:
                _logger.exception("%s: a turn failed", self.name)

    def turn(self) -> None:
        """Wait for what happens next, and do what it asks for."""
        connections = self.connections
        is_woken = False
        for fd, events in self._epoll.poll(self._timeout_s()):
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
        if is_woken:
            # Only now: a connection that is adopted may have the descriptor of
            # one that was closed in this turn, and would get that one's events.
            self._run_calls()
        if self._timers or self.watched or self._stop_until_s is not None:
            self._run_due(self.now())

    def _evict(self) -> None:
        while self._evicted:
            self._run(self._evicted.popleft().evict)

    def _timeout_s(self) -> float | None:
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
        # No more than there are: what these queue is for the next turn.
        for _ in range(len(self._calls)):
            self._run(self._calls.popleft())

    def _run_due(self, now_s: float) -> None:
        while self._timers and self._timers[0][0] <= now_s:
            self._run(heapq.heappop(self._timers)[2])
        if now_s >= self._next_sweep_s:
            self._next_sweep_s = now_s + limits.SWEEP_S
            self._sweep(now_s)
        if self._stop_until_s is not None:
            self._stop_turn(now_s >= self._stop_until_s)

    def _sweep(self, now_s: float) -> None:
        for connection in tuple(self.watched):
            try:
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
            self._adopt(sock, state.peer)
            connection = self.connections.get(sock.fileno())
            if connection is not None:
                try:
                    connection.restore(state)
                except Exception:
                    self._abandon(connection)

    def _adopt(self, sock: socket.socket, peer: str) -> None:
        if self._stop_until_s is not None:
            sock.close()
            return
        try:
            connection = Connection(sock, self._make_protocol(peer), self)
            self._epoll.register(connection.fd, select.EPOLLIN)
        except Exception:
            # The kernel has no room to watch it, or SASL cannot begin.
            _logger.exception("%s: closed: it cannot be served", peer)
            self._forgotten += 1
            sock.close()
            return
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

    def _stop_turn(self, is_over: bool) -> None:
        for connection in tuple(self.connections.values()):
            try:
                if is_over or connection.is_quiet():
                    connection.abort()
            except Exception:
                self._abandon(connection)

    def _abandon(self, connection: Connection) -> None:
        """End a connection on which our own code failed; its peer learns nothing."""
        _logger.exception("%s: closed: an error of ours", connection.protocol.peer)
        connection.abort()
