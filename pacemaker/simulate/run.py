"""A whole run: check the server, load it, clean up, report."""

from __future__ import annotations

import contextlib
import gc
import random
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from pacemaker.client import PacemakerConnection, ServerAddress
from pacemaker.client.network import connect, reason_of
from pacemaker.client.protocol import ClientProtocol
from pacemaker.client.tcp import TcpNetwork
from pacemaker.config import Settings
from pacemaker.errors import CannotConnectError, ServerInUseError
from pacemaker.heartbeats.keys import topology_path
from pacemaker.sasl.mechanism import ClientMechanismFactory
from pacemaker.simulate import generated_heartbeats, own_keys, server_process
from pacemaker.simulate.connections import PeerConnections
from pacemaker.simulate.display import Display, Meter
from pacemaker.simulate.interrupts import Interrupts
from pacemaker.simulate.load import Load, PulseSource
from pacemaker.simulate.nimbus import NimbusProtocol
from pacemaker.simulate.prepared_heartbeats import PreparedHeartbeats, WorkerHeartbeats
from pacemaker.simulate.report import Report, ServerUse, make_report
from pacemaker.simulate.schedule import Schedule
from pacemaker.simulate.server_process import ProcessUse, ServerProcess
from pacemaker.simulate.shape import (
    ClusterShape,
    PlannedWorker,
    plan_workers,
    topology_ids,
)
from pacemaker.simulate.tally import LATE_S, Tally
from pacemaker.simulate.worker import (
    RelayedWorker,
    RelayProtocol,
    WorkerProtocol,
)
from pacemaker.texts import counted
from pacemaker.wire.fast_codec import PULSE_OVERHEAD_BYTES

# How long to wait for the last answers; Storm's client gives up after 11 s.
DRAIN_S: Final = 10.0
# Shorter after a signal, because a user is waiting.
DRAIN_INTERRUPTED_S: Final = 2.0


@dataclass(frozen=True)
class SimulatedCluster:
    """A simulated cluster, generated before the run.

    Attributes:
        shape: its size.
        topology_ids: its topologies.
        workers: its planned workers.
        pools: the heartbeats of each topology's workers.
        beats: the heartbeats of each worker.
    """

    shape: ClusterShape
    topology_ids: tuple[str, ...]
    workers: Sequence[PlannedWorker]
    pools: Sequence[PreparedHeartbeats]
    beats: Sequence[WorkerHeartbeats]

    @property
    def value_bytes(self) -> int:
        """The size of a heartbeat, on average."""
        sizes = [size for pool in self.pools for size in pool.sizes_bytes]
        return sum(sizes) // len(sizes)

    @property
    def most_message_bytes(self) -> int:
        """The size of the largest message with a heartbeat."""
        key_bytes = max(len(worker.key) for worker in self.workers)
        most_bytes = max(size for pool in self.pools for size in pool.sizes_bytes)
        return key_bytes + most_bytes + PULSE_OVERHEAD_BYTES


def make_cluster(shape: ClusterShape, rng: random.Random) -> SimulatedCluster:
    """Generate a cluster whose topologies start now."""
    now_s = time.time()
    ids = topology_ids(shape, int(now_s))
    pools = generated_heartbeats.make_pools(
        shape, ids, int(now_s), rng, now_s - time.monotonic()
    )
    found = plan_workers(shape, ids, rng)
    beats = generated_heartbeats.heartbeats_of(shape, pools, found, rng)
    return SimulatedCluster(shape, ids, found, pools, beats)


class Simulation:
    """One run against one server.

    Args:
        cluster: the cluster to simulate.
        duration_s: how long to send pulses.
        address: the server's address.
        settings: Storm's configuration, for the maximum message size.
        mechanism_factory: authenticates Nimbus; None if that is not needed.  Workers
            never authenticate: Storm's own force NONE for themselves.
        timeout_s: the limit for each request before and after the run.
        rng: chooses phases and pauses.
        network: opens sockets.

    Attributes:
        signal_number: the signal that ended the run early, if any.
        problem: why the run's keys could not be removed; empty if they were.
    """

    def __init__(
        self,
        cluster: SimulatedCluster,
        duration_s: float,
        address: ServerAddress,
        settings: Settings,
        mechanism_factory: ClientMechanismFactory | None,
        timeout_s: float,
        rng: random.Random,
        network: TcpNetwork | None = None,
    ) -> None:
        self._cluster = cluster
        self._duration_s = duration_s
        self._address = address
        self._settings = settings
        self._mechanism_factory = mechanism_factory
        self._timeout_s = timeout_s
        self._rng = rng
        self._network = network or TcpNetwork()
        self._tally = Tally()
        self.signal_number: int | None = None
        self.problem = ""

    @property
    def left(self) -> str:
        """The directories of its topologies, as text for the user."""
        paths = [topology_path(each) for each in self._cluster.topology_ids]
        more = f" and {len(paths) - 1} more like it" if len(paths) > 1 else ""
        return paths[0] + more

    def refuse_others(self) -> None:
        """Check that the server holds no heartbeats.

        Raises:
            ServerInUseError: it holds some.
            ClientError: the server does not answer, or refuses.
        """
        with self._connection() as connection:
            paths = own_keys.paths_of_others(connection)
        if paths:
            raise ServerInUseError(str(self._address), tuple(paths))

    def run(self, display: Display) -> Report:
        """Load the server, remove the stored keys, and report.

        Raises:
            ClientError: the connections cannot be opened.
        """
        workers = self._workers()
        nimbus = self._nimbus()
        connections = PeerConnections(
            self._network, self._endpoint(), self._tally, self._rng
        )
        load = Load(str(self._address), connections, workers, nimbus, self._tally)
        try:
            display.show(f"connecting {counted(len(workers), 'worker', ',')}")
            load.connect()
            with Interrupts() as interrupts:
                try:
                    report = self._load(load, connections, nimbus, display, interrupts)
                finally:
                    self.signal_number = interrupts.signal_number
                    # Before the removal, so that no pulse arrives after it.
                    connections.close()
                    self._remove_own(display)
        finally:
            gc.unfreeze()
            connections.close()
            display.end()
        return report

    def _remove_own(self, display: Display) -> None:
        display.show("removing what was stored")
        with self._connection() as connection:
            self.problem = own_keys.remove(connection, self._cluster.topology_ids)

    def _load(
        self,
        load: Load,
        connections: PeerConnections,
        nimbus: NimbusProtocol,
        display: Display,
        interrupts: Interrupts,
    ) -> Report:
        shape = self._cluster.shape
        process = self._server_process(connections)
        display.show(f"sending for {self._duration_s:g} s")
        # Thousands of objects live until the end: exclude them from garbage collection.
        gc.freeze()
        before = process and process.cost()
        cpu_before_s = time.process_time()
        began_s = time.monotonic()
        schedule = Schedule(shape.workers_in_all, shape.interval_s, self._rng, began_s)
        # By then every worker's first pulse is stored, or late.
        nimbus.start(began_s + shape.interval_s + LATE_S)
        meter = Meter(self._tally, began_s, self._duration_s)

        load.run(
            schedule,
            end_s=began_s + self._duration_s,
            on_tick=lambda now_s: display.show(meter.line(now_s)),
            tick_s=display.every_s,
            is_stopped=lambda: interrupts.came,
        )
        sent_s = time.monotonic() - began_s
        cpu_s = time.process_time() - cpu_before_s
        use = _use(process, before, sent_s)
        round_s = 0.0 if nimbus.began_s is None else began_s + sent_s - nimbus.began_s
        display.show("waiting for the last answers")
        _drain(load, interrupts)
        return make_report(
            str(self._address),
            shape,
            self._tally,
            value_bytes=self._cluster.value_bytes,
            duration_s=sent_s,
            is_interrupted=interrupts.came,
            lost_reads=nimbus.unanswered,
            unfinished_round_s=round_s,
            generator_cpu_s=cpu_s,
            server_use=use,
        )

    def _workers(self) -> Sequence[PulseSource]:
        shape = self._cluster.shape
        pairs = zip(self._cluster.workers, self._cluster.beats, strict=True)
        if shape.has_relays:
            relays = [RelayProtocol(self._tally) for _ in range(shape.supervisors)]
            return [
                RelayedWorker(worker.key, beats, relays[number // shape.workers])
                for number, (worker, beats) in enumerate(pairs)
            ]
        return [
            WorkerProtocol(worker.key, beats, self._tally) for worker, beats in pairs
        ]

    def _nimbus(self) -> NimbusProtocol:
        factory = self._mechanism_factory

        def new_protocol() -> ClientProtocol:
            mechanism = factory(self._address.host) if factory else None
            return ClientProtocol(self._settings.message_size_max_bytes, mechanism)

        return NimbusProtocol(
            new_protocol,
            self._cluster.topology_ids,
            [worker.key for worker in self._cluster.workers],
            self._cluster.beats,
            self._tally,
        )

    def _connection(self) -> PacemakerConnection:
        return PacemakerConnection(
            self._address,
            timeout_s=self._timeout_s,
            max_body_bytes=self._settings.message_size_max_bytes,
            mechanism_factory=self._mechanism_factory,
            network=self._network,
        )

    def _endpoint(self) -> Any:
        """Choose the host's address that all connections use."""
        network = self._network
        with contextlib.closing(network.new_waiter()) as waiter:
            try:
                found = connect(network, self._address, waiter, self._timeout_s)
            except OSError as exc:
                raise CannotConnectError(str(self._address), reason_of(exc)) from exc
        with cast("socket.socket", found) as sock:
            return sock.family, sock.type, sock.proto, "", sock.getpeername()

    def _server_process(self, connections: PeerConnections) -> ServerProcess | None:
        ends = connections.ends
        is_local = ends is not None and ends[0] == ends[1]
        return server_process.find(self._address.port) if is_local else None


def _drain(load: Load, interrupts: Interrupts) -> None:
    """Wait for the last answers; an interrupt leaves only a short time for them."""
    if not interrupts.came:
        load.drain(time.monotonic() + DRAIN_S, lambda: interrupts.came)
    if interrupts.came:
        load.drain(time.monotonic() + DRAIN_INTERRUPTED_S, lambda: False)


def _use(
    process: ServerProcess | None, before: ProcessUse | None, span_s: float
) -> ServerUse | None:
    after = process and process.cost()
    if process is None or before is None or after is None:
        return None
    cpu_share = (after.cpu_s - before.cpu_s) / span_s
    return ServerUse(process.pid, cpu_share, after.resident_bytes)
