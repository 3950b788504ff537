"""A cluster's Pacemaker, ours or the JVM's: stopped, and started in its place."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from tests.cluster.hosts import Host
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


class Pacemaker:
    """One of a cluster's Pacemakers, at one address whoever serves there.

    Args:
        home: a STORM_HOME with the cluster's configuration.
        release: the release of the JVM's Pacemaker.
        host: where it runs.
        port: where it listens.
        options: further options of ours.

    Attributes:
        address: host and port.
        kind: whose Pacemaker runs, or ran.
        children: the processes that have run here, the last one last.
    """

    def __init__(
        self,
        home: Path,
        release: Release,
        host: Host,
        port: int,
        options: Sequence[str] = (),
    ) -> None:
        self.host = host
        self.address = (host.address, port)
        self.kind = Kind.OURS
        self.children: list[Child] = []
        self._home = home
        self._release = release
        self._options = options
        self._listener: socket.socket | None = None

    @property
    def child(self) -> Child:
        """The process that runs, or ran, here."""
        return self.children[-1]

    @property
    def running(self) -> bool:
        """Whether a process runs here."""
        return bool(self.children) and self.child.running()

    @property
    def keeps_port(self) -> bool:
        """Whether the port goes on listening without a process that serves there."""
        return self._listener is not None

    def keep_port(self, keep: bool) -> None:
        """Listen for the Pacemaker, as a systemd socket unit does; none runs now."""
        assert not self.running
        if self._listener is not None:
            self._listener.close()
        self._listener = self.host.listen(self.address[1]) if keep else None

    def start(self, kind: Kind | None = None) -> None:
        """Start a Pacemaker, the same as before where none is named."""
        self.kind = kind or self.kind
        if self.children:
            # It may have ended with its host, and nobody has waited for it.
            self.child.close()
        self.children.append(self._start())

    def _start(self) -> Child:
        if self.kind is Kind.JVM:
            return self._start_jvm()
        config = str(self._home / "conf" / "storm.yaml")
        options = ("--config", config, *self._options)
        if self._listener is not None:
            return HandedOver(self._listener, *options)
        bind = ("--bind", self.address[0])
        return Served([*self.host.prefix, *SERVE, *bind, *options])

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the process by a signal, and wait until it is gone."""
        self.child.signal(how)
        self.child.wait()
        self.child.close()

    def go_away(self, how: signal.Signals, outage_s: float) -> None:
        """End by a signal, and start again when so much time is over."""
        self.end(how)
        time.sleep(outage_s)
        self.start()

    def upgrade(self) -> None:
        """Have the process upgrade itself in place, and wait until it has."""
        self.child.signal(signal.SIGUSR2)
        self.child.logged(r"upgraded to \S+: ", START_TIMEOUT_S)

    def stop(self) -> None:
        """Take it down, whatever state it is in."""
        if self.children:
            self.child.signal(signal.SIGCONT)
            self.child.stop()
        if self._listener is not None:
            self._listener.close()

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
