"""Run the load: scheduled pulses and Nimbus's rounds, in one thread."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from pacemaker.errors import CannotConnectError
from pacemaker.simulate.connections import (
    PeerConnection,
    PeerConnections,
    SimulatedClient,
)
from pacemaker.simulate.nimbus import NimbusProtocol
from pacemaker.simulate.schedule import Schedule
from pacemaker.simulate.tally import Tally

# The maximum number of connections being opened at a time: fewer than a server's
# backlog holds, so that none waits for a retransmitted SYN.
MAX_CONNECTING: Final = 64
CONNECT_TIMEOUT_S: Final = 60.0

# How long after the end to go on sending pulses that were scheduled before it.
CATCH_UP_S: Final = 10.0

# The longest wait of a turn; signals are checked between turns.
MAX_TURN_S: Final = 0.2

# The maximum number of pulses that one turn writes before it reads answers.
MAX_PULSES_PER_TURN: Final = 64


class PulseSource(Protocol):
    """What sends the pulses of one worker."""

    @property
    def peer(self) -> SimulatedClient:
        """The protocol of its connection, which several workers may share."""

    def pulse(self, scheduled_s: float) -> bytes:
        """Return the frame of the next pulse to send."""


class Load:
    """All workers and the Nimbus of a run.

    Args:
        server: the server's name in errors.
        connections: the connections.
        workers: the workers, in the order of the schedule's numbers.
        nimbus: reads the workers' heartbeats.
        tally: counts the events.
        clock: returns the time, like `time.monotonic`.
    """

    def __init__(
        self,
        server: str,
        connections: PeerConnections,
        workers: Sequence[PulseSource],
        nimbus: NimbusProtocol,
        tally: Tally,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = server
        self._connections = connections
        by_peer = {id(worker.peer): PeerConnection(worker.peer) for worker in workers}
        self._worker_connections = list(by_peer.values())
        self._workers = [(worker, by_peer[id(worker.peer)]) for worker in workers]
        self._nimbus = nimbus
        self._nimbus_connection = PeerConnection(nimbus)
        self._tally = tally
        self._clock = clock

    def connect(self) -> None:
        """Open all connections, and authenticate Nimbus.

        Raises:
            CannotConnectError: one of them cannot be opened.
        """
        until_s = self._clock() + CONNECT_TIMEOUT_S
        connections = self._connections
        for connection in (self._nimbus_connection, *self._worker_connections):
            connections.open(connection)
            while connections.connecting >= MAX_CONNECTING:
                self._wait_for_connections(until_s)
        while connections.connecting or not self._nimbus.is_ready:
            self._wait_for_connections(until_s)

    def _wait_for_connections(self, until_s: float) -> None:
        self._connections.poll(until_s)
        problem = next(iter(self._tally.losses), None)
        if problem is None and self._clock() >= until_s:
            problem = f"not connected within {CONNECT_TIMEOUT_S:g} s"
        if problem is not None:
            raise CannotConnectError(self._server, problem)

    def run(
        self,
        schedule: Schedule,
        end_s: float,
        on_tick: Callable[[float], None],
        tick_s: float,
        is_stopped: Callable[[], bool],
    ) -> None:
        """Send scheduled pulses and process answers until a given time.

        Args:
            schedule: the workers' pulses.
            end_s: when to end.
            on_tick: called with the time, every `tick_s`.
            is_stopped: returns whether to end at once.
        """
        nimbus = self._nimbus
        now_s = self._clock()
        next_tick_s = now_s + tick_s
        # A generator that is behind still sends the pulses scheduled before the end.
        give_up_s = end_s + CATCH_UP_S
        while not is_stopped() and (
            now_s < end_s or schedule.next_s < end_s <= now_s < give_up_s
        ):
            self._send_due(schedule, min(now_s, end_s))
            if nimbus.next_s is not None and nimbus.next_s <= now_s:
                self._connections.send(self._nimbus_connection, nimbus.begin_round())
            if next_tick_s <= now_s:
                on_tick(now_s)
                next_tick_s = now_s + tick_s
            round_s = math.inf if nimbus.next_s is None else nimbus.next_s
            next_s = min(schedule.next_s, round_s, next_tick_s, end_s)
            self._connections.poll(min(next_s, now_s + MAX_TURN_S))
            now_s = self._clock()

    def _send_due(self, schedule: Schedule, now_s: float) -> None:
        for number, scheduled_s in schedule.pop_until(now_s, MAX_PULSES_PER_TURN):
            worker, connection = self._workers[number]
            frame = worker.pulse(scheduled_s)
            # If the connection has no room, the server is slow, not the generator.
            is_free = connection.is_connected and not connection.unsent
            self._connections.send(connection, frame)
            if is_free:
                self._tally.on_written(self._clock() - scheduled_s)

    def drain(self, until_s: float, is_stopped: Callable[[], bool]) -> None:
        """Send nothing more, and wait for pending answers.

        Args:
            until_s: when to give up.
            is_stopped: returns whether to give up at once.
        """
        self._nimbus.stop()
        now_s = self._clock()
        while (self._tally.unanswered or self._nimbus.unanswered) and not (
            now_s >= until_s or is_stopped()
        ):
            self._connections.poll(min(until_s, now_s + MAX_TURN_S))
            now_s = self._clock()
