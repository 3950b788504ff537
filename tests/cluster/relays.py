"""The relays of a cluster: one for each of Storm's hosts, on an address of its own."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.cluster.hosts import Host
from tests.real.child import Child
from tests.real.daemons import BECOME_DAEMON, Served

RELAY = (sys.executable, "-m", "pacemaker", "relay")
FIRST_ADDRESS = "127.0.0.20"


class Relay:
    """The relay of one of Storm's hosts, which here are addresses of the loopback.

    Args:
        home: a STORM_HOME with the configuration of the host.
        host: where it runs.
        port: pacemaker.port.
        options: further options.

    Attributes:
        address: host and port.
        children: the processes that have run here, the last one last.
    """

    def __init__(
        self, home: Path, host: Host, port: int, options: Sequence[str] = ()
    ) -> None:
        self.address = (host.address, port)
        self.children: list[Child] = []
        self._home = home
        self._host = host
        self._options = options
        self._listener: socket.socket | None = None

    @property
    def child(self) -> Child:
        """The process that runs, or ran, here."""
        return self.children[-1]

    @property
    def keeps_port(self) -> bool:
        """Whether the port goes on listening without a process that serves there."""
        return self._listener is not None

    def keep_port(self, keep: bool = True) -> None:
        """Listen for the relay, as a systemd socket unit does; none runs now."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if keep:
            self._listener = self._host.listen(self.address[1])

    def start(self) -> None:
        """Start it."""
        if self.children:
            # It may have ended with its host, and nobody has waited for it.
            self.child.close()
        self.children.append(self._start())

    def _start(self) -> Child:
        config = str(self._home / "conf" / "storm.yaml")
        command = [*RELAY, "--config", config, *self._options]
        if self._listener is None:
            return Served([*self._host.prefix, *command, "--bind", self.address[0]])
        fd = self._listener.fileno()
        become = [sys.executable, "-c", BECOME_DAEMON, str(fd), *command]
        become = [*self._host.prefix, *become]
        return Served(become, env={"LISTEN_FDS": "1"}, pass_fds=[fd])

    def end(self, how: signal.Signals) -> None:
        """End the process by a signal, and wait until it is gone."""
        self.child.signal(how)
        self.child.wait()
        self.child.close()

    def upgrade(self) -> None:
        """Have the process upgrade itself in place, and wait until it has."""
        self.child.signal(signal.SIGUSR2)
        self.child.logged(r"upgraded to \S+: ", 120)

    def repair(self) -> None:
        """Start it, if it does not run."""
        if not self.child.running():
            self.start()

    def stop(self) -> None:
        """Take it down, whatever state it is in."""
        if self.children:
            self.child.signal(signal.SIGCONT)
            self.child.stop()
        if self._listener is not None:
            self._listener.close()
