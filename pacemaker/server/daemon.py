"""The daemon: its parts put together, and their life from start to stop."""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
import os
import resource
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from pacemaker.config import Settings
from pacemaker.core import limits
from pacemaker.core.accounts import Account
from pacemaker.core.addresses import Accounts
from pacemaker.core.admission import Admission, capacity
from pacemaker.core.carried_over import ConnectionState, State
from pacemaker.core.dispatch import Dispatcher
from pacemaker.core.figures import Figures, add_up
from pacemaker.core.pending_reads import Holding
from pacemaker.core.protocol import ServerProtocol
from pacemaker.core.store import Store
from pacemaker.errors import StartError, UpgradeError
from pacemaker.sasl.mechanism import MechanismFactory
from pacemaker.server.io.acceptor import Acceptor
from pacemaker.server.io.budget import BufferBudget
from pacemaker.server.io.connection import Connection
from pacemaker.server.io.io_thread import IoThread
from pacemaker.server.io.listening import (
    describe,
    describe_all,
    describe_scope,
    is_handed_over,
    open_listeners,
    ports_of,
)
from pacemaker.server.io.sasl_steps import StepRunner
from pacemaker.server.options import ServerOptions
from pacemaker.server.process import memory
from pacemaker.server.process.barrier import Barrier
from pacemaker.server.process.clocks import boot_time_s
from pacemaker.server.process.threads import CallSoon, join_thread, start_thread
from pacemaker.server.process.watchdog import Watchdog
from pacemaker.wire.canonical import PULSE_OVERHEAD_BYTES

_logger: Final = logging.getLogger(__name__)


class Daemon:
    """A Pacemaker that serves from `start` to the end of `stop`.

    Args:
        settings: Storm's configuration.
        options: what else was said.
        mechanism_factory: makes the SASL mechanism of a connection; None where
            nobody has to authenticate.
        listeners: what to listen on; None for what was handed over or, if nothing
            was, for the address of `settings` and `options`.

    Attributes:
        address: ``HOST:PORT`` that it listens on, or several with commas between.
        store: the heartbeats.
        hold_until_s: until when misses are held, by CLOCK_BOOTTIME.

    Raises:
        ListenError: it cannot listen on its address.
    """

    def __init__(
        self,
        settings: Settings,
        options: ServerOptions,
        mechanism_factory: MechanismFactory | None = None,
        listeners: Sequence[socket.socket] | None = None,
    ) -> None:
        available_bytes = memory.available_bytes()
        self.store = Store(
            options.store_budget_bytes
            or int(available_bytes * limits.STORE_BUDGET_SHARE),
            options.address_limits.stored_bytes,
        )
        self._budget: BufferBudget[Connection] = BufferBudget(
            options.buffer_budget_bytes
            or int(available_bytes * limits.BUFFER_BUDGET_SHARE),
            options.address_limits.buffered_bytes,
        )
        # What `tidy` has seen: freed by deletes in all, and by anything since it
        # last gave memory back.
        self._deleted_bytes = 0
        self._freed_bytes = 0
        self._settings = settings
        self._mechanism_factory = mechanism_factory
        self._limits = options.address_limits
        self._steps = StepRunner(guesses_per_s=self._limits.guesses_per_s)
        self._accounts = Accounts(options.shared_addresses)
        hold_s = options.hold.after(is_handed_over(), boot_time_s())
        # First of all that stays open, and so at the lowest descriptors: an upgrade
        # hands them over at these.
        self._listeners = (
            open_listeners(options.bind, settings.port)
            if listeners is None
            else listeners
        )
        self.hold_until_s = boot_time_s() + hold_s
        self.address = describe_all(self._listeners)
        self._holdings: list[Holding] = []
        self._threads = [
            self._io_thread(number) for number in range(io_threads(settings, options))
        ]
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        room = capacity(descriptors, len(self._threads))
        self._acceptor = Acceptor(
            *(self._listeners, self._threads, self._accounts),
            Admission(self._accounts, room, self._limits),
        )

    def _io_thread(self, number: int) -> IoThread:
        figures = Figures()
        max_body_bytes = self._settings.message_size_max_bytes
        dispatcher = Dispatcher(self.store, figures, max_body_bytes)
        self._holdings.append(Holding(self.store, self._limits.held_read_bytes))
        make_protocol = partial(self._make_protocol, dispatcher, self._holdings[-1])
        return IoThread(
            *(number, make_protocol, figures, self._budget, self._steps),
            *(self._accounts, self._limits),
        )

    def _make_protocol(
        self, dispatcher: Dispatcher, holding: Holding, peer: str, account: Account
    ) -> ServerProtocol:
        make = self._mechanism_factory
        return ServerProtocol(
            dispatcher,
            self._settings.message_size_max_bytes,
            None if make is None else make(),
            peer,
            holding,
            account,
        )

    def start(self) -> None:
        """Start to serve.

        Raises:
            StartError: there is no room for a thread; nothing is left of the daemon.
        """
        hold_s = self.hold_until_s - boot_time_s()
        if hold_s > 0:
            for thread, holding in zip(self._threads, self._holdings, strict=True):
                thread.hold_misses(holding, self.hold_until_s)
        try:
            for thread in self._threads:
                start_thread(thread)
            start_thread(self._acceptor)
        except StartError:
            self.begin_stop(0.0)
            self.close()
            raise
        for listener in self._listeners:
            scope = describe_scope(listener)
            _logger.info("listening on %s%s", describe(listener), scope)
        _logger.info(
            "%d I/O thread(s), %d MiB for heartbeats, %d MiB for buffers",
            len(self._threads),
            self.store.budget_bytes // 2**20,
            self._budget.budget_bytes // 2**20,
        )
        memory.log_allocator()
        if hold_s > 0:
            _logger.info("holding misses for %d s", math.ceil(hold_s))

    def figures(self) -> Figures:
        """Add up what has been counted since the start."""
        figures = add_up(thread.figures for thread in self._threads)
        figures.addresses = self._accounts.connected
        figures.most_connections = self._accounts.most_connections()
        figures.refused_connections = self._acceptor.refused
        figures.refused_heartbeats = self.store.refused
        figures.refused_holds = sum(holding.refused for holding in self._holdings)
        figures.evictions = self._budget.evicted
        figures.failed_logins = self._steps.failed
        figures.delayed_logins = self._steps.delayed
        return figures

    def take_largest(self) -> int:
        """Return the size of the largest heartbeat since this was last asked."""
        largest = 0
        for thread in self._threads:
            largest = max(largest, thread.figures.largest_pulse_bytes)
            thread.figures.largest_pulse_bytes = 0
        return largest

    def tidy(self) -> None:
        """Free what was deleted, and give memory back where much has been freed."""
        self._threads[0].call(self._reclaim)
        deleted_bytes = self.store.deleted_bytes
        self._freed_bytes += deleted_bytes - self._deleted_bytes
        self._freed_bytes += self._budget.take_ebb_bytes()
        self._deleted_bytes = deleted_bytes
        if self._freed_bytes >= limits.TIDY_BYTES:
            self._freed_bytes = 0
            memory.return_free_pages()

    def _reclaim(self) -> None:
        """Free a slice of what was deleted; the next is freed in the next turn.

        On an I/O thread: another one would keep the interpreter from it for 5 ms at
        each of its system calls.
        """
        if self.store.reclaim():
            self._threads[0].call(self._reclaim)

    def watchdog(self, feed: Callable[[], None]) -> Watchdog:
        """Make what calls `feed` when the acceptor and every I/O thread get on."""
        return Watchdog([self._acceptor.call, *self._thread_calls()], feed)

    def _thread_calls(self) -> list[CallSoon]:
        return [thread.call for thread in self._threads]

    # For an upgrade in place.

    @property
    def listener_fds(self) -> list[int]:
        """The descriptors of the listening sockets."""
        return [listener.fileno() for listener in self._listeners]

    @property
    def ports(self) -> set[int]:
        """The ports that it listens on."""
        return ports_of(self._listeners)

    def sample(self) -> list[tuple[str, bytes]]:
        """Return a few heartbeats, of those that are not large."""
        small = (
            (key, value)
            for key, value in self.store.items()
            if len(value) <= limits.SAMPLED_BYTES
        )
        # Threads may store meanwhile, which ends an iteration.
        with contextlib.suppress(RuntimeError):
            return list(itertools.islice(small, limits.SAMPLED_HEARTBEATS))
        return []

    @property
    def held_bytes(self) -> int:
        """About what a second copy of all that is held would take."""
        connections_bytes = self.figures().connections * limits.CONNECTION_BYTES
        reads_bytes = sum(holding.held_bytes for holding in self._holdings)
        buffers_bytes = self._budget.total_bytes + connections_bytes + reads_bytes
        return self.store.used_bytes + buffers_bytes

    def park(self, barrier: Barrier, deadline_s: float) -> None:
        """Have every thread that serves stand still, until the barrier is released.

        The acceptor first: what it has handed over is then with the I/O threads.

        Raises:
            UpgradeError: they do not in time.
        """
        is_parked = barrier.gather([self._acceptor.call], deadline_s)
        if not is_parked or not self.gather(barrier, deadline_s):
            raise UpgradeError("the threads do not come to rest in time")

    def gather(self, barrier: Barrier, deadline_s: float) -> bool:
        """Have the I/O threads alone stand still; False where they do not in time."""
        return barrier.gather(self._thread_calls(), deadline_s)

    def connection_states(self, ahead_s: float) -> tuple[list[ConnectionState], int]:
        """Write out the connections; the threads stand still.

        Args:
            ahead_s: by how much the clock of the state is ahead of ours.

        Returns:
            The connections, and how many there are that can only be reset.
        """
        states = [
            state.shifted(ahead_s)
            for thread in self._threads
            for state in thread.states()
        ]
        return states, sum(thread.load for thread in self._threads) - len(states)

    def restore(self, state: State, ahead_s: float) -> None:
        """Go on, before `start`, from where the process was before an upgrade.

        The heartbeats are kept also past a budget that is smaller now: as with
        a known key, nobody is to be taken for dead.  Left out is only what a
        lower `pacemaker.thrift.message.size.max` allows no reply for.
        """
        budget_bytes, self.store.budget_bytes = self.store.budget_bytes, sys.maxsize
        most_bytes = self._settings.message_size_max_bytes - PULSE_OVERHEAD_BYTES
        for key, value in state.heartbeats:
            if len(value) + len(key.encode()) <= most_bytes:
                self.store.put(key, value)
            else:
                _logger.warning("%s: too large for its reply now: left out", key)
        self.store.budget_bytes = budget_bytes
        self.hold_until_s = state.hold_until_s
        peers = [
            (self._restored_socket(connection.fd), connection.shifted(-ahead_s))
            for connection in state.connections
        ]
        for number, thread in enumerate(self._threads):
            thread.restore(peers[number :: len(self._threads)])

    def _restored_socket(self, fd: int) -> socket.socket:
        # That it does not block is the kernel's to know, and goes over.  The family
        # is only for reading addresses, which nobody does: to look it up would take
        # three system calls for each connection.
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fd)
        sock.set_inheritable(False)
        return sock

    def begin_stop(self, timeout_s: float = limits.STOP_TIMEOUT_S) -> None:
        """Accept nothing more, answer what has come, reset every connection.

        May be called again, with a shorter time.
        """
        self._acceptor.stop()
        join_thread(self._acceptor)
        for thread in self._threads:
            thread.stop(timeout_s)

    @property
    def is_serving(self) -> bool:
        """Whether a connection may still be open."""
        return any(thread.is_alive() for thread in self._threads)

    def close(self) -> None:
        """Wait for the end of `begin_stop`, then give back every descriptor."""
        for thread in self._threads:
            join_thread(thread)
            thread.close()
        self._steps.close()
        self._acceptor.close()
        for listener in self._listeners:
            listener.close()


def io_threads(settings: Settings, options: ServerOptions) -> int:
    """Decide how many I/O threads to start.

    With the GIL a second one mostly waits for the first: 13 us of CPU time a
    pulse on one, 18 on two, 23 on four, and no more pulses a second
    (docs/performance.md).  Without it, one for each core.
    """
    if options.io_threads is not None:
        wanted = options.io_threads
    elif getattr(sys, "_is_gil_enabled", lambda: True)():
        wanted = 1
    else:
        wanted = len(os.sched_getaffinity(0))
    return max(1, min(wanted, settings.max_threads))
