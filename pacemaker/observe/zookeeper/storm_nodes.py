"""Storm's nodes in ZooKeeper: bytes to values; pure.

Only Storm's daemons write these nodes, but if ZooKeeper is open, anyone can.  So the
checked reader reads them, like heartbeats.  A node that cannot be read counts as
missing.
"""

from __future__ import annotations

import enum
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

from pacemaker.errors import MalformedError, ValueDecodeError
from pacemaker.heartbeats.compression import decompress
from pacemaker.heartbeats.model import ExecutorInfo
from pacemaker.wire import binary, idl

_IDL: Final = idl.load("cluster.thrift")
_UNIONS: Final = idl.unions(_IDL)
_INTEGERS: Final = (8, 10)

# A topology of 10,000 executors has an assignment of 80,000 values.
MAX_VALUES: Final = 1_000_000

# How many characters of a stack trace are kept.
MAX_ERROR_CHARACTERS: Final = 2_000


class Status(enum.Enum):
    """The status of a topology, by Storm's names and numbers."""

    ACTIVE = 1
    INACTIVE = 2
    REBALANCING = 3
    KILLED = 4


class Slot(NamedTuple):
    """A place for a worker.

    Attributes:
        node: the id of the supervisor.
        port: the port on its host.
    """

    node: str
    port: int

    @property
    def worker(self) -> str:
        """The name of a worker there, as its heartbeats have it."""
        return f"{self.node}-{self.port}"


@dataclass(frozen=True, slots=True)
class StormBase:
    """What Storm stores about a topology."""

    name: str
    status: Status | None
    num_workers: int
    component_executors: Mapping[str, int]
    launch_time_secs: int
    owner: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """Where a topology's executors are to run.

    Attributes:
        hosts: the host names of supervisors, by their ids.
        executors: the slot of each executor.
        starts_secs: when each executor was assigned.
    """

    hosts: Mapping[str, str]
    executors: Mapping[ExecutorInfo, Slot]
    starts_secs: Mapping[ExecutorInfo, int]

    def slots(self) -> dict[Slot, int]:
        """Return the slots of the topology's workers, and when each was assigned."""
        slots: dict[Slot, int] = {}
        for info, slot in self.executors.items():
            start_secs = self.starts_secs.get(info, 0)
            slots[slot] = max(start_secs, slots.get(slot, 0))
        return slots


@dataclass(frozen=True, slots=True)
class Supervisor:
    """A supervisor that is running."""

    host: str
    used_ports: tuple[int, ...]
    ports: tuple[int, ...]
    uptime_secs: int
    version: str


@dataclass(frozen=True, slots=True)
class NimbusNode:
    """A Nimbus that is running."""

    host: str
    port: int
    started_secs: int
    version: str
    is_leader: bool = False


@dataclass(frozen=True, slots=True)
class LastError:
    """The last error of a component."""

    text: str
    time_secs: int
    host: str
    port: int | None

    @property
    def summary(self) -> str:
        """The first line: the exception and its message."""
        return self.text.split("\n", 1)[0]


@dataclass(frozen=True, slots=True)
class ClusterNodes:
    """Everything that was read from ZooKeeper.

    Attributes:
        read_s: when it was read, in seconds since 1970.
        bases: by the id of a topology.
        assignments: by the id of a topology.
        supervisors: by their id.
        nimbuses: every Nimbus that is running.
        errors: by the id of a topology and the name of a component.
        leftovers: topologies that have heartbeats in ZooKeeper.
    """

    read_s: float
    bases: Mapping[str, StormBase] = field(default_factory=dict)
    assignments: Mapping[str, Assignment] = field(default_factory=dict)
    supervisors: Mapping[str, Supervisor] = field(default_factory=dict)
    nimbuses: tuple[NimbusNode, ...] = ()
    errors: Mapping[tuple[str, str], LastError] = field(default_factory=dict)
    leftovers: tuple[str, ...] = ()

    def host_of(self, topology_id: str, node: str) -> str | None:
        """Return the host name of a supervisor, if it is known."""
        assignment = self.assignments.get(topology_id)
        if assignment is not None and node in assignment.hosts:
            return assignment.hosts[node]
        supervisor = self.supervisors.get(node)
        return None if supervisor is None else supervisor.host


def slot_of(worker: str) -> Slot | None:
    """Split the name of a worker: the part after the last ``-`` is the port."""
    node, dash, port = worker.rpartition("-")
    if not dash or not port.isascii() or not port.isdigit():
        return None
    return Slot(node, int(port))


def component_of(path: str) -> str:
    """Return the component that a node below ``/errors`` belongs to."""
    return urllib.parse.unquote_plus(path)


def storm_base(data: bytes) -> StormBase:
    """Read the value of ``/storms/ID``.

    Raises:
        ValueDecodeError: it is not such a value; the other readers raise it likewise.
    """
    read = _read(data, "StormBase")
    is_known = read.status in {status.value for status in Status}
    return StormBase(
        read.name or "",
        Status(read.status) if is_known else None,
        read.num_workers or 0,
        dict(read.component_executors or ()),
        read.launch_time_secs or 0,
        read.owner or "",
    )


def assignment(data: bytes) -> Assignment:
    """Read the value of ``/assignments/ID``."""
    read = _read(data, "Assignment")
    executors = {
        _executor(tasks): Slot(info.node, info.port[0])
        for tasks, info in read.executor_node_port or ()
        if len(tasks) == 2 and info.node is not None and info.port
    }
    starts = {
        _executor(tasks): start
        for tasks, start in read.executor_start_time_secs or ()
        if len(tasks) == 2
    }
    return Assignment(dict(read.node_host or ()), executors, starts)


def supervisor(data: bytes) -> Supervisor:
    """Read the value of ``/supervisors/ID``."""
    read = _read(data, "SupervisorInfo")
    return Supervisor(
        read.hostname or "",
        tuple(read.used_ports or ()),
        tuple(read.meta or ()),
        read.uptime_secs or 0,
        read.version or "",
    )


def nimbus(data: bytes, *, is_leader: bool) -> NimbusNode:
    """Read the value of ``/nimbuses/HOST``."""
    read = _read(data, "NimbusSummary")
    return NimbusNode(
        read.host or "",
        read.port or 0,
        read.uptime_secs or 0,
        read.version or "",
        is_leader,
    )


def last_error(data: bytes) -> LastError:
    """Read the value of ``/errors/ID/COMPONENT-last-error``."""
    read = _read(data, "ErrorInfo")
    text = (read.error or "")[:MAX_ERROR_CHARACTERS]
    return LastError(text, read.error_time_secs or 0, read.host or "", read.port)


def _executor(tasks: list[int]) -> ExecutorInfo:
    return ExecutorInfo(tasks[0], tasks[1])


def _read(data: bytes, name: str) -> Any:
    try:
        return binary.read_struct(decompress(data), _KINDS[name], _UNIONS, MAX_VALUES)
    except MalformedError as exc:
        raise ValueDecodeError(f"not a {name}: {exc.reason}", exc.detail) from exc


def _of_any_width(name: str) -> type:
    """Return a struct whose integers may be i32 or i64, because releases differ."""
    spec = getattr(_IDL, name).thrift_spec
    lenient = {
        number: ((binary.INTEGER, *each[1:]) if each[0] in _INTEGERS else each)
        for number, each in spec.items()
    }
    return type(name, (SimpleNamespace,), {"thrift_spec": lenient})


_KINDS: Final = {
    name: _of_any_width(name)
    for name in (
        "StormBase",
        "Assignment",
        "SupervisorInfo",
        "NimbusSummary",
        "ErrorInfo",
    )
}
