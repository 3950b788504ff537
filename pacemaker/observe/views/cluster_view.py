"""The view of a cluster at one moment: plain values, to be shown or written as JSON.

Names and texts in it come from heartbeats and nodes that anyone may have written.
So they must be escaped before they are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pacemaker.observe.decoding import executor_figures as fig
from pacemaker.observe.zookeeper.storm_nodes import LastError

WINDOW_NAMES: Final = {
    "600": "10 min",
    "10800": "3 h",
    "86400": "1 day",
    ":all-time": "all time",
}


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums of figures in Storm's four windows.

    Attributes:
        values: the 32 numbers of `pacemaker.observe.decoding.executor_figures`.
    """

    values: Sequence[float]

    def of(self, figure: int, window: int = 0) -> float:
        """Return one figure."""
        return self.values[window * fig.FIGURES_PER_WINDOW + figure]

    def count(self, figure: int, window: int = 0) -> int:
        """Return a figure that is a number of tuples."""
        return round(self.of(figure, window))

    def latency_ms(self, figure: int, window: int = 0) -> float | None:
        """Return a latency: a total of milliseconds by its count; None without any."""
        by = fig.ACKED if figure == fig.COMPLETE_MS else fig.EXECUTED
        count = self.of(by, window)
        return self.of(figure, window) / count if count else None

    def as_json(self) -> dict[str, Any]:
        """Return the figures of each window by name."""
        return {
            name: {
                "emitted": self.count(fig.EMITTED, window),
                "transferred": self.count(fig.TRANSFERRED, window),
                "acked": self.count(fig.ACKED, window),
                "failed": self.count(fig.FAILED, window),
                "executed": self.count(fig.EXECUTED, window),
                "execute_latency_ms": self.latency_ms(fig.EXECUTE_MS, window),
                "process_latency_ms": self.latency_ms(fig.PROCESS_MS, window),
                "complete_latency_ms": self.latency_ms(fig.COMPLETE_MS, window),
            }
            for window, name in enumerate(fig.WINDOWS)
        }


@dataclass(frozen=True, slots=True)
class Rates:
    """Tuples a second.

    Attributes:
        is_recent: whether they cover about 30 s.  Until heartbeats are 30 s apart,
            they are the average of Storm's window of 10 minutes.
    """

    emitted: float = 0.0
    transferred: float = 0.0
    acked: float = 0.0
    failed: float = 0.0
    executed: float = 0.0
    is_recent: bool = False

    @property
    def failed_percent(self) -> float | None:
        """The share of tuple trees that failed; None if none ended."""
        ended = self.acked + self.failed
        return 100 * self.failed / ended if ended else None

    def as_json(self) -> dict[str, Any]:
        """Return the rates by name."""
        return {
            "emitted_per_s": self.emitted,
            "transferred_per_s": self.transferred,
            "acked_per_s": self.acked,
            "failed_per_s": self.failed,
            "executed_per_s": self.executed,
            "over": "30 s" if self.is_recent else "10 min",
        }


@dataclass(frozen=True, slots=True)
class ExecutorView:
    """One executor.

    Attributes:
        tasks: its first and last task.
        component: its component's name.
        worker: the name of the worker that runs it.
        uptime_secs: of its worker.
        totals: its figures.
        rates: its rates.
        capacity: as Storm's pages have it, over 10 minutes; None for a spout.
        busy: the same over 30 s; None for a spout, and until it is known.
    """

    tasks: tuple[int, int]
    component: str
    worker: str
    uptime_secs: int
    totals: Totals
    rates: Rates
    capacity: float | None
    busy: float | None

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "tasks": list(self.tasks),
            "component": self.component,
            "worker": self.worker,
            "uptime_secs": self.uptime_secs,
            "capacity": self.capacity,
            "busy": self.busy,
            "rates": self.rates.as_json(),
            "windows": self.totals.as_json(),
        }


@dataclass(frozen=True, slots=True)
class ErrorView:
    """The last error of a component."""

    component: str
    error: LastError

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "component": self.component,
            "error": self.error.text,
            "time_secs": self.error.time_secs,
            "host": self.error.host,
            "port": self.error.port,
        }


@dataclass(frozen=True, slots=True)
class ComponentView:
    """One component of a topology.

    Attributes:
        name: its name.
        is_guess: whether the name was guessed from heartbeats.
        is_spout: whether it is a spout, not a bolt.
        executors: how many of its executors are in heartbeats.
        expected: how many there should be; None without ZooKeeper.
        tasks: how many tasks they run.
        totals: the sums of its executors' figures.
        ever: figures since the first heartbeat that was read: they do not fall when a
            worker is restarted.
        rates: the sums of their rates.
        capacity: the highest of its executors; None for a spout.
        steady: the same, of executors whose worker has run for 30 s: in the first
            seconds a single sample, which counts for 20, fills a bolt.
        busy: the highest of its executors, over 30 s; None if it is not known.
        busiest: the name of the worker that runs the busiest executor.
        error: its last error; None without one or without ZooKeeper.
    """

    name: str
    is_guess: bool
    is_spout: bool
    executors: int
    expected: int | None
    tasks: int
    totals: Totals
    ever: Sequence[float]
    rates: Rates
    capacity: float | None
    steady: float | None
    busy: float | None
    busiest: str | None
    error: LastError | None

    @property
    def is_system(self) -> bool:
        """Whether it is one of Storm's own."""
        return fig.is_system(self.name)

    @property
    def load(self) -> float | None:
        """The most recent capacity that is reliable."""
        return self.steady if self.busy is None else self.busy

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        error = None if self.error is None else ErrorView(self.name, self.error)
        return {
            "name": self.name,
            "name_is_guess": self.is_guess,
            "kind": "spout" if self.is_spout else "bolt",
            "is_system": self.is_system,
            "executors": self.executors,
            "executors_expected": self.expected,
            "tasks": self.tasks,
            "capacity": self.capacity,
            "busy": self.busy,
            "busiest_worker": self.busiest,
            "rates": self.rates.as_json(),
            "windows": self.totals.as_json(),
            "last_error": None if error is None else error.as_json(),
        }


@dataclass(frozen=True, slots=True)
class WorkerView:
    """One worker of a topology.

    Attributes:
        name: the last part of its key.
        host: its host's name, or an address in its name; None if neither is known.
        port: its port; None if its name has another form.
        state: a key of `pacemaker.observe.tracking.worker_states.STATES`.
        age_s: how old its heartbeat was when it was last read.
        uptime_secs: its uptime in its last heartbeat.
        executors: how many executors its last heartbeat has.
        restarts: how often it was restarted in the last 10 minutes.
        longest_gap_secs: the longest pause between two of its heartbeats.
        skew_s: how far its clock is behind ours.
        size_bytes: the size of its heartbeat.
        problem: why its heartbeat cannot be read.
    """

    name: str
    host: str | None
    port: int | None
    state: str
    age_s: float | None
    uptime_secs: int | None
    executors: int
    restarts: int
    longest_gap_secs: int
    skew_s: float | None
    size_bytes: int
    problem: str | None

    @property
    def place(self) -> str:
        """Host and port, as far as they are known."""
        if self.host is None or self.port is None:
            return self.name
        return f"{self.host}:{self.port}"

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class TopologyView:
    """One topology.

    Attributes:
        id: Storm's id of it.
        name: its name.
        status: ACTIVE and so on; None without ZooKeeper.
        owner: who submitted it; empty if that is not known.
        uptime_secs: since its submission.
        workers_expected: how many workers are assigned; None without ZooKeeper.
        executors_expected: how many executors are assigned; None without ZooKeeper.
        is_known: whether ZooKeeper has it; True without ZooKeeper.
        components: sorted by name.
        workers: sorted by host and port, including those that are missing.
        restarts: restarts of its workers in the last 10 minutes.
        moves: executors' moves to other workers in the last 10 minutes.
        totals: sums over its components as Storm has them: acked and failed, and the
            complete latency, are those of its spouts.
        rates: sums of the rates, likewise.
    """

    id: str
    name: str
    status: str | None
    owner: str
    uptime_secs: int | None
    workers_expected: int | None
    executors_expected: int | None
    is_known: bool
    components: tuple[ComponentView, ...]
    workers: tuple[WorkerView, ...]
    restarts: int
    moves: int
    totals: Totals
    rates: Rates

    @property
    def workers_present(self) -> int:
        """The number of workers that send heartbeats."""
        return sum(worker.state in ("ok", "loading") for worker in self.workers)

    @property
    def executors(self) -> int:
        """The number of executors in heartbeats."""
        return sum(each.executors for each in self.components)

    @property
    def oldest_age_s(self) -> float | None:
        """The age of the oldest heartbeat of those that should be there."""
        ages = [w.age_s for w in self.workers if w.state != "leftover"]
        return max((age for age in ages if age is not None), default=None)

    @property
    def fullest(self) -> ComponentView | None:
        """The component with the highest load; None if there is no bolt."""
        bolts = [c for c in self.components if c.load is not None and not c.is_system]
        return max(bolts, key=lambda each: each.load or 0.0, default=None)

    @property
    def complete_latency_ms(self) -> float | None:
        """The complete latency of the last 10 minutes."""
        return self.totals.latency_ms(fig.COMPLETE_MS)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        fullest = self.fullest
        return {
            "id": self.id,
            "name": self.name,
            "status": self.status,
            "owner": self.owner,
            "uptime_secs": self.uptime_secs,
            "workers_present": self.workers_present,
            "workers_expected": self.workers_expected,
            "executors": self.executors,
            "executors_expected": self.executors_expected,
            "oldest_heartbeat_s": self.oldest_age_s,
            "restarts": self.restarts,
            "moves": self.moves,
            "failed_percent": self.rates.failed_percent,
            "complete_latency_ms": self.complete_latency_ms,
            "highest_capacity": None if fullest is None else fullest.load,
            "highest_capacity_at": None if fullest is None else fullest.name,
            "rates": self.rates.as_json(),
            "windows": self.totals.as_json(),
            "components": [each.as_json() for each in self.components],
            "workers": [each.as_json() for each in self.workers],
        }


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is wrong.

    Attributes:
        is_bad: whether tuples or workers are affected now; else it is a warning.
        kind: a word for programs, such as "late".
        topology_id: the topology that is affected; None for the whole cluster.
        subject: what is affected: a worker, a component or a server.
        text: a sentence without its full stop.
    """

    is_bad: bool
    kind: str
    topology_id: str | None
    subject: str
    text: str

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class ClusterView:
    """The cluster at one moment.

    Attributes:
        time_s: the moment.
        listed_s: when the keys were last listed; None before the first time.
        servers: names of the Pacemakers.
        absent: the Pacemakers that do not answer, and why.
        has_zookeeper: whether ZooKeeper was read at least once.
        nodes_read_s: when ZooKeeper was last read.
        nodes_problem: why it does not answer.
        leader: the leading Nimbus; None if it is not known.
        supervisors: how many supervisors are running; None without ZooKeeper.
        slots: how many slots they have, and how many are free.
        topologies: sorted by name.
        troubles: what is wrong, the worst first.
    """

    time_s: float
    listed_s: float | None
    servers: tuple[str, ...]
    absent: tuple[tuple[str, str], ...]
    has_zookeeper: bool
    nodes_read_s: float | None
    nodes_problem: str | None
    leader: str | None
    supervisors: int | None
    slots: tuple[int, int] | None
    topologies: tuple[TopologyView, ...]
    troubles: tuple[Trouble, ...] = field(default=())

    @property
    def data_age_s(self) -> float | None:
        """How old the newest list of keys is; None if there is none."""
        return None if self.listed_s is None else max(0.0, self.time_s - self.listed_s)

    def topology(self, topology_id: str) -> TopologyView | None:
        """Return a topology by its id."""
        return next((t for t in self.topologies if t.id == topology_id), None)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "time_s": self.time_s,
            "data_age_s": self.data_age_s,
            "servers": list(self.servers),
            "servers_absent": dict(self.absent),
            "zookeeper": self.has_zookeeper,
            "zookeeper_problem": self.nodes_problem,
            "nimbus_leader": self.leader,
            "supervisors": self.supervisors,
            "slots": None if self.slots is None else self.slots[0],
            "slots_free": None if self.slots is None else self.slots[1],
            "troubles": [each.as_json() for each in self.troubles],
            "topologies": [each.as_json() for each in self.topologies],
        }
