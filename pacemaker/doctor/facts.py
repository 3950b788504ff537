"""What is known of a cluster: plain values, gathered once and then checked."""

from __future__ import annotations

from dataclasses import dataclass, field

from pacemaker.doctor.storm_yaml import StormYaml
from pacemaker.observe.views.cluster_view import ClusterView
from pacemaker.observe.zookeeper.storm_nodes import ClusterNodes


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """One Pacemaker of pacemaker.servers.

    Attributes:
        name: its name there.
        addresses: what the name resolves to; empty if it does not resolve.
        problem: why it does not answer; None if it answers or was not asked.
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
        descriptors: the soft limit of open files; None if it is unlimited.
        somaxconn: net.core.somaxconn; None if it cannot be read.
        listens: whether something listens on pacemaker.port here.
        keeps_port: whether another process, such as systemd, holds that socket too;
            None if that is unknown.
        relay: whether a relay listens here; then localhost is the right server.
    """

    descriptors: int | None = None
    somaxconn: int | None = None
    listens: bool = False
    keeps_port: bool | None = None
    relay: bool = False


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """Everything that is checked.

    Attributes:
        files: at least one storm.yaml; the first says where the cluster is.
        servers: the Pacemakers of the first file.
        host: this machine.
        view: what the Pacemakers hold; None if they could not be read.
        nodes: what ZooKeeper holds; None if it was not read.
        zookeeper_problem: why ZooKeeper does not answer.
        sasl_problem: why authentication cannot be used; None if it can.
        sasl_notes: what the reader of the JAAS file warned of.
        principal: the server's Kerberos principal in the JAAS file, if it has one.
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
        """The versions of Storm's daemons in ZooKeeper."""
        if self.nodes is None:
            return set()
        found = {each.version for each in self.nodes.supervisors.values()}
        found |= {each.version for each in self.nodes.nimbuses}
        return {each for each in found if each and each[0].isdigit()}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        check: the name of the check, for programs.
        is_failure: True if something does not work, or will fail; False for a warning.
        key: the key of storm.yaml, or the part of the cluster.
        file: the storm.yaml, or the other place where it was found.
        value: the value that is wrong.
        because: the consequence.
        remedy: what to do.
    """

    check: str
    is_failure: bool
    key: str
    file: str
    value: str
    because: str
    remedy: str
