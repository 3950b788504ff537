"""The daemon: it assembles its parts, and starts and stops them."""

from __future__ import annotations

import logging
import math
import resource
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, Protocol

from pacemaker.call_soon import CallSoon
from pacemaker.config import Settings
from pacemaker.core.accounts.account import Account
from pacemaker.core.accounts.admission import AdmissionControl
from pacemaker.core.accounts.registry import AccountRegistry
from pacemaker.core.figures import Figures, add_up
from pacemaker.core.history.record import PeerRecord, TurnTime
from pacemaker.core.protocol.dispatch import Dispatcher
from pacemaker.core.protocol.miss_holder import MissHolder
from pacemaker.core.protocol.pending_requests import PendingRequests
from pacemaker.core.protocol.server_protocol import ServerProtocol
from pacemaker.errors import StartError
from pacemaker.sasl.mechanism import MechanismFactory
from pacemaker.server import carry_over, limits, sizing
from pacemaker.server.history_page import write_history
from pacemaker.server.io.acceptor import Acceptor
from pacemaker.server.io.io_thread import IoThread
from pacemaker.server.io.io_thread_parts import ProtocolFactory, SharedParts
from pacemaker.server.io.limits import STOP_TIMEOUT_S
from pacemaker.server.io.listeners import (
    describe,
    describe_all,
    describe_scope,
    has_inherited_listeners,
    open_listeners,
    ports_of,
)
from pacemaker.server.io.sasl_steps import SaslStepRunner
from pacemaker.server.measurements import Measurements
from pacemaker.server.options import ServerOptions
from pacemaker.server.process import memory
from pacemaker.server.process.barrier import Barrier
from pacemaker.server.process.clocks import boot_time_s, process_start_s
from pacemaker.server.process.descriptor_table import grow_descriptor_table
from pacemaker.server.process.freed_memory import FreedMemory
from pacemaker.server.process.threads import join_thread, start_thread
from pacemaker.server.process.watchdog import Watchdog
from pacemaker.server.upgrade_state import ConnectionState, DaemonState

_logger: Final = logging.getLogger(__name__)


class HeldReadFigures(Protocol):
    """What an I/O thread counts of the requests that are answered later."""

    @property
    def refused(self) -> int:
        """How many requests were refused for lack of room."""

    @property
    def held_read_bytes(self) -> int:
        """The memory of those that wait."""


class Daemon:
    """A Pacemaker that serves from `start` to the end of `stop`.

    Args:
        settings: Storm's configuration.
        options: the other options.
        mechanism_factory: makes the SASL mechanism of a connection; None if nobody
            has to authenticate.
        listeners: the sockets to listen on; None for those that were handed over or,
            if there are none, for the address in `settings` and `options`.

    Attributes:
        address: the ``HOST:PORT`` that it listens on; several are separated by commas.
        store: the heartbeats.
        history: the history of the heartbeats; None if it is off.
        settings: Storm's configuration.
        address_limits: the limits of one address.
        threads: the I/O threads.
        hold_until_s: the CLOCK_BOOTTIME until which misses are held.
        is_relay: whether it passes heartbeats on to other Pacemakers.

    Raises:
        ListenError: it cannot listen on its address.
    """

    is_relay = False

    def __init__(
        self,
        settings: Settings,
        options: ServerOptions,
        mechanism_factory: MechanismFactory | None = None,
        listeners: Sequence[socket.socket] | None = None,
    ) -> None:
        available_bytes = memory.available_bytes()
        self.store = sizing.new_store(options, available_bytes)
        self.history = sizing.new_history(options, self.store)
        self._is_timed = options.admin is not None
        self.settings = settings
        # Computed once: if the clock is adjusted later, the result would change.
        self._started_s = round(process_start_s())
        self._mechanism_factory = mechanism_factory
        self.address_limits = options.address_limits
        self._shared = SharedParts(
            sizing.new_buffer_budget(options, available_bytes),
            SaslStepRunner(guesses_per_s=self.address_limits.guesses_per_s),
            AccountRegistry(options.shared_addresses, self.store.transfer_charges),
            self.address_limits,
        )
        hold_s = options.hold.after(has_inherited_listeners(), boot_time_s())
        # Open them before any other file that stays open, so that they get the lowest
        # descriptors, where an upgrade hands them over.
        self._listeners = (
            open_listeners(options.bind, settings.port)
            if listeners is None
            else listeners
        )
        self.hold_until_s = boot_time_s() + hold_s
        self.address = describe_all(self._listeners)
        self._miss_holders: list[MissHolder] = []
        # What the history knows of connections that are yet to be restored.
        self._carried_peers: dict[str, PeerRecord] = {}
        threads = sizing.io_threads(settings, options)
        self.threads = [self._io_thread(number) for number in range(threads)]
        self._freed_memory = FreedMemory(
            self.store, self._shared.budget, self.threads[0].call
        )
        reserved = sizing.reserved_descriptors(options)
        room = sizing.connection_capacity(threads, reserved)
        self._acceptor = Acceptor(
            listeners=self._listeners,
            threads=self.threads,
            accounts=self._shared.accounts,
            admission=AdmissionControl(
                self._shared.accounts, room, self.address_limits
            ),
            reserved=reserved,
        )

    def _io_thread(self, number: int) -> IoThread:
        figures, turn_time = Figures(), TurnTime()
        return IoThread(
            number,
            self.protocol_factory(figures, turn_time),
            figures,
            self._shared,
            turn_time=turn_time,
            is_timed=self._is_timed,
        )

    def protocol_factory(
        self, figures: Figures, turn_time: TurnTime
    ) -> ProtocolFactory:
        """Return what makes the protocol objects of one I/O thread's connections.

        `__init__` calls it, with `settings`, `store`, `history` and `address_limits`
        set.  So whatever else an override needs must be set before `super().__init__`.

        Args:
            figures: the counters of the thread.
            turn_time: the time of the thread's current turn.
        """
        max_body_bytes = self.settings.message_size_max_bytes
        dispatcher = Dispatcher(
            store=self.store,
            figures=figures,
            max_body_bytes=max_body_bytes,
            history=self.history,
            turn_time=turn_time,
        )
        miss_holder = MissHolder(self.store, self.address_limits.held_read_bytes)
        self._miss_holders.append(miss_holder)
        return partial(self._make_holding_protocol, dispatcher, miss_holder)

    def _make_holding_protocol(
        self,
        dispatcher: Dispatcher,
        miss_holder: MissHolder,
        peer: str,
        account: Account,
    ) -> ServerProtocol:
        reads = miss_holder.new_reads(account)
        return self.make_protocol(dispatcher, reads, peer, account)

    def make_protocol(
        self,
        dispatcher: Dispatcher,
        pending_requests: PendingRequests | None,
        peer: str,
        account: Account,
    ) -> ServerProtocol:
        """Return the protocol object of a new connection.

        Args:
            dispatcher: answers the requests.
            pending_requests: the requests that are answered later; None if none will
                be.
            peer: the peer's name in the log.
            account: the account of the peer's address.
        """
        make = self._mechanism_factory
        return ServerProtocol(
            dispatcher,
            self.settings.message_size_max_bytes,
            None if make is None else make(),
            peer,
            pending_requests,
            account,
            self._carried_peers.pop(peer, None),
        )

    def start(self) -> None:
        """Start serving.

        Raises:
            StartError: a thread cannot be started; everything is closed again.
        """
        hold_s = self.hold_until_s - boot_time_s()
        if hold_s > 0:
            for thread, miss_holder in zip(
                self.threads, self._miss_holders, strict=True
            ):
                thread.hold_misses(miss_holder, self.hold_until_s)
        # Before there are connections that would wait for it.
        grow_descriptor_table()
        try:
            for thread in self.threads:
                start_thread(thread)
            self._acceptor.start()
        except StartError:
            self.begin_stop(0.0)
            self.close()
            raise
        for listener in self._listeners:
            scope = describe_scope(listener)
            _logger.info("listening on %s%s", describe(listener), scope)
        _logger.info(
            "%d I/O thread(s), %d MiB for heartbeats, %d MiB for buffers",
            len(self.threads),
            self.store.budget_bytes // 2**20,
            self._shared.budget.budget_bytes // 2**20,
        )
        memory.log_allocator()
        if hold_s > 0:
            _logger.info("holding misses for %d s", math.ceil(hold_s))

    def figures(self) -> Figures:
        """Return the sums of all counters since the start."""
        figures = add_up(thread.figures for thread in self.threads)
        figures.addresses = self._shared.accounts.active_accounts
        figures.busiest_account_connections = (
            self._shared.accounts.busiest_account_connections()
        )
        figures.refused_connections = self._acceptor.refused
        figures.refused_heartbeats = self.store.refused
        figures.refused_holds = sum(held.refused for held in self.held_reads())
        figures.evictions = self._shared.budget.evicted
        figures.logins = self._shared.steps.succeeded
        figures.failed_logins = self._shared.steps.failed
        figures.delayed_logins = self._shared.steps.delayed
        return figures

    def held_reads(self) -> Sequence[HeldReadFigures]:
        """Return what each I/O thread counts of the requests that wait."""
        return self._miss_holders

    @property
    def _held_read_bytes(self) -> int:
        return sum(held.held_read_bytes for held in self.held_reads())

    def measurements(self) -> Measurements:
        """Return what the daemon counts, for the admin endpoint."""
        return Measurements(
            figures=self.figures(),
            keys=len(self.store),
            store_bytes=self.store.used_bytes,
            store_budget_bytes=self.store.budget_bytes,
            buffer_bytes=self._shared.budget.total_bytes,
            buffer_budget_bytes=self._shared.budget.budget_bytes,
            held_read_bytes=self._held_read_bytes,
            auth_method=self.settings.auth_method.value,
            io_threads=len(self.threads),
            most_descriptors=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            resident_bytes=memory.resident_bytes(),
            cpu_s=time.process_time(),
            started_s=self._started_s,
        )

    def traffic(self) -> tuple[int, int]:
        """Return how many pulses and how many reads there have been so far."""
        all_figures = [thread.figures for thread in self.threads]
        return (
            sum(figures.pulses for figures in all_figures),
            sum(figures.reads for figures in all_figures),
        )

    def extra_log_lines(self) -> list[str]:
        """Return further lines for the log of each minute."""
        return []

    def take_largest_pulse_bytes(self) -> int:
        """Return the size of the largest heartbeat since the last call."""
        largest = 0
        for thread in self.threads:
            largest = max(largest, thread.figures.largest_pulse_bytes)
            thread.figures.largest_pulse_bytes = 0
        return largest

    def tidy(self) -> None:
        """Free deleted data; return memory to the system if much has been freed."""
        self._freed_memory.tidy()

    def watchdog(self, feed: Callable[[], None]) -> Watchdog:
        """Return a watchdog that calls `feed` while all threads make progress."""
        return Watchdog([*self.thread_calls().values()], feed)

    def history_slices(self, topology: str) -> Iterator[bytes] | None:
        """Return the page of the history in slices; None if it is off.

        Args:
            topology: the id or the name of the only topology to show; "" for all.
        """
        if self.history is None:
            return None
        return write_history(
            self.history,
            self.store.get,
            time.time(),
            time.monotonic(),
            topology,
            self.is_relay,
        )

    def thread_calls(self) -> dict[str, CallSoon]:
        """Return by name the `call` of each thread that must make progress."""
        return {f"io-{n}": thread.call for n, thread in enumerate(self.threads)}

    # For an upgrade in place.

    @property
    def listener_fds(self) -> list[int]:
        """The descriptors of the listening sockets."""
        return [listener.fileno() for listener in self._listeners]

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """The addresses that the daemon listens on."""
        return [listener.getsockname()[:2] for listener in self._listeners]

    @property
    def ports(self) -> set[int]:
        """The ports that the daemon listens on."""
        return ports_of(self._listeners)

    def sample_heartbeats(self) -> list[tuple[str, bytes]]:
        """Return a few heartbeats that are not large."""
        return carry_over.sample_heartbeats(self.store)

    @property
    def second_copy_bytes(self) -> int:
        """The approximate memory that a second copy of all data would need."""
        connections_bytes = self.figures().connections * limits.CONNECTION_BYTES
        buffers_bytes = (
            self._shared.budget.total_bytes + connections_bytes + self._held_read_bytes
        )
        return self.store.used_bytes + buffers_bytes

    def park(self, barrier: Barrier, deadline_s: float) -> bool:
        """Park every serving thread; return whether all were parked in time."""
        return barrier.gather([*self.thread_calls().values()], deadline_s)

    def connection_states(self, ahead_s: float) -> tuple[list[ConnectionState], int]:
        """Return the connections' states; the threads must be parked.

        Args:
            ahead_s: by how much the clock of the state is ahead of this daemon's.

        Returns:
            The states, and the number of connections that can only be reset.
        """
        states = [
            state.shifted(ahead_s)
            for thread in self.threads
            for state in thread.carried_states()
        ]
        return states, sum(thread.load for thread in self.threads) - len(states)

    def extra_state(self) -> bytes:
        """Return the additional state of another kind of daemon; empty for this one."""
        return b""

    def history_dump(self) -> bytes:
        """Return the history as it is carried over; empty if there is none."""
        return b"" if self.history is None else b"".join(self.history.dump())

    def restore(self, state: DaemonState, ahead_s: float) -> None:
        """Restore, before `start`, the state from before an upgrade."""
        max_body_bytes = self.settings.message_size_max_bytes
        carry_over.restore_heartbeats(self.store, state.heartbeats, max_body_bytes)
        names = {connection.address.name for connection in state.connections}
        self._carried_peers = carry_over.restore_history(
            self.history, state.history, names, time.monotonic()
        )
        self.hold_until_s = state.hold_until_s
        peers = [
            (carry_over.restore_socket(connection.fd), connection.shifted(-ahead_s))
            for connection in state.connections
        ]
        for number, thread in enumerate(self.threads):
            thread.restore(peers[number :: len(self.threads)])

    def begin_stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Stop accepting, answer what has arrived, and reset every connection.

        It may be called again with a shorter timeout.
        """
        self._acceptor.stop()
        for thread in self.threads:
            thread.stop(timeout_s)

    @property
    def is_serving(self) -> bool:
        """Whether a connection may still be open."""
        return any(thread.is_alive() for thread in self.threads)

    def close(self) -> None:
        """Wait for the stop that `begin_stop` began, then close every descriptor."""
        for thread in self.threads:
            join_thread(thread)
            thread.close()
        self._shared.steps.close()
        self._acceptor.close()
        for listener in self._listeners:
            listener.close()
