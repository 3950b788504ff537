"""A cluster's Pacemaker, ours or the JVM's: stopped, and started in its place."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from tests.cluster.hosts import Host
from tests.cluster.place import Place
from tests.cluster.ports import is_listening
from tests.cluster.releases import Release
from tests.cluster.storm_daemon import StormDaemon
from tests.cluster.waiting import wait_until
from tests.real.child import Child
from tests.real.daemons import SERVE, HandedOver, Served

START_TIMEOUT_S = 120


class Kind(Enum):
    """Whose Pacemaker it is."""

    OURS = "storm-pacemaker-py"
    JVM = "JVM"


class Pacemaker(Place):
    """One of a cluster's Pacemakers, at one address whoever serves there.

    Args:
        home: a STORM_HOME with the cluster's configuration.
        release: the release of the JVM's Pacemaker.
        host: where it runs.
        port: where it listens.
        options: further options of ours.

    Attributes:
        kind: whose Pacemaker `start` starts.
    """

    def __init__(
        self,
        home: Path,
        release: Release,
        host: Host,
        port: int,
        options: Sequence[str] = (),
    ) -> None:
        super().__init__(host, port)
        self.kind = Kind.OURS
        self._home = home
        self._release = release
        self._options = options

    def _start(self) -> Child:
        if self.kind is Kind.JVM:
            return self._start_jvm()
        config = str(self._home / "conf" / "storm.yaml")
        options = ("--config", config, *self._options)
        if self._listener is not None:
            return HandedOver(self._listener, *options)
        bind = ("--bind", self.address[0])
        return Served([*self.host.prefix, *SERVE, *bind, *options])

    def _start_jvm(self) -> Child:
        child = StormDaemon(
            self._home, self._release, self._release.pacemaker, prefix=self.host.prefix
        )
        host, port = self.address
        try:
            wait_until(
                f"the JVM's Pacemaker at {host}:{port}",
                lambda: is_listening(port, host),
                START_TIMEOUT_S,
            )
        except BaseException:
            child.stop()
            raise
        return child
