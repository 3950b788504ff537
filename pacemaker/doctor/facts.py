"""What is known of a cluster: plain values, gathered once and then judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pacemaker.config.settings import Settings
from pacemaker.observe.nodes import ClusterNodes
from pacemaker.observe.view import ClusterView

# Storm's defaults of the keys that are judged (defaults.yaml of 2.8.3).
DEFAULTS: Final[Mapping[str, Any]] = {
    "storm.cluster.state.store": None,
    "pacemaker.servers": [],
    "pacemaker.host": None,
    "pacemaker.port": 6699,
    "pacemaker.auth.method": "NONE",
    "pacemaker.thrift.message.size.max": 10485760,
    "storm.zookeeper.root": "/storm",
    "storm.zookeeper.servers": ["localhost"],
    "storm.zookeeper.port": 2181,
    "nimbus.task.timeout.secs": 30,
    "nimbus.task.launch.secs": 120,
    "nimbus.monitor.freq.secs": 10,
    "nimbus.supervisor.timeout.secs": 60,
    "nimbus.daemon.user": None,
    "supervisor.heartbeat.frequency.secs": 5,
    "supervisor.worker.timeout.secs": 30,
    "supervisor.worker.start.timeout.secs": 120,
    "supervisor.worker.heartbeats.max.timeout.secs": 600,
    "worker.heartbeat.frequency.secs": 1,
    "task.heartbeat.frequency.secs": 3,
    "blacklist.scheduler.tolerance.count": 3,
    "blacklist.scheduler.resume.time.secs": 1800,
}


@dataclass(frozen=True, slots=True)
class StormYaml:
    """One storm.yaml.

    Attributes:
        source: its path.
        values: what it says; empty if it cannot be read.
        error: why the daemon would not start with it; None if it would.
        warnings: what its reader has warned of.
        settings: the checked values; None with an error.
        is_missing: whether there is no file; the daemon starts with Storm's defaults.
    """

    source: str
    values: Mapping[str, Any]
    error: str | None = None
    warnings: tuple[str, ...] = ()
    settings: Settings | None = None
    is_missing: bool = False

    def get(self, key: str) -> Any:
        """Return the value of a key, or Storm's default."""
        return self.values.get(key, DEFAULTS.get(key))

    def number(self, key: str) -> float | None:
        """Return a value that is a number; None if it is none."""
        value = self.get(key)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return float(value) if is_number else None

    @property
    def servers(self) -> list[str]:
        """The Pacemakers that it names."""
        found = self.get("pacemaker.servers")
        if isinstance(found, list) and found:
            return [str(each) for each in found]
        host = self.get("pacemaker.host")
        return [str(host)] if host else []


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """One Pacemaker that is named.

    Attributes:
        name: as it is named.
        addresses: what the name resolves to; empty if it does not.
        problem: why it does not answer; None if it does.
        is_tried: whether it was asked.
    """

    name: str
    addresses: tuple[str, ...] = ()
    problem: str | None = None
    is_tried: bool = True


@dataclass(frozen=True, slots=True)
class HostFacts:
    """This machine.

    Attributes:
        descriptors: the soft limit of open files; None if there is none.
        somaxconn: net.core.somaxconn; None if it cannot be read.
        listens: whether something listens on pacemaker.port here.
        keeps_port: whether another process, such as systemd, holds that socket, too;
            None if that cannot be told.
        relay: whether the listener here is a relay; localhost is right then.
    """

    descriptors: int | None = None
    somaxconn: int | None = None
    listens: bool = False
    keeps_port: bool | None = None
    relay: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is judged.

    Attributes:
        files: at least one storm.yaml; the first is that of this host.
        servers: the Pacemakers that the first file names.
        host: this machine.
        view: what the Pacemakers hold; None if none could be read.
        nodes: what ZooKeeper holds; None if it was not read.
        zookeeper_problem: why ZooKeeper does not answer.
        sasl_problem: why authentication cannot be used.
        sasl_notes: what its reader has warned of.
        principal: the server's Kerberos principal in the JAAS file, if there is one.
    """

    files: tuple[StormYaml, ...]
    servers: tuple[ServerFacts, ...] = ()
    host: HostFacts = field(default_factory=HostFacts)
    view: ClusterView | None = None
    nodes: ClusterNodes | None = None
    zookeeper_problem: str | None = None
    sasl_problem: str | None = None
    sasl_notes: tuple[str, ...] = ()
    principal: str | None = None

    @property
    def versions(self) -> set[str]:
        """The versions of Storm that run, as far as ZooKeeper says."""
        if self.nodes is None:
            return set()
        found = {each.version for each in self.nodes.supervisors.values()}
        found |= {each.version for each in self.nodes.nimbuses}
        return {each for each in found if each and each[0].isdigit()}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        check: a word for programs.
        is_failure: whether something does not work, or will not; else it is a warning.
        key: the key, or the part of the cluster.
        file: the storm.yaml, or where else it was found.
        value: what is there.
        because: what happens because of it.
        remedy: what to do.
    """

    check: str
    is_failure: bool
    key: str
    file: str
    value: str
    because: str
    remedy: str
