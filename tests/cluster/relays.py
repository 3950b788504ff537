"""The relays of a cluster: one for each of Storm's hosts, on an address of its own."""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path

from tests.real.child import Child
from tests.real.daemons import BECOME_DAEMON, Served

RELAY = (sys.executable, "-m", "pacemaker", "relay")
FIRST_ADDRESS = "127.0.0.20"
BACKLOG = 128


class Relay:
    """The relay of one of Storm's hosts, which here are addresses of the loopback.

    Args:
        home: a STORM_HOME with the configuration of the host.
        address: where it listens.
        port: pacemaker.port.

    Attributes:
        address: host and port.
        children: the processes that have run here, the last one last.
    """

    def __init__(self, home: Path, address: str, port: int) -> None:
        self.address = (address, port)
        self.children: list[Child] = []
        self._home = home
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
            self._listener = socket.create_server(self.address, backlog=BACKLOG)

    def start(self) -> None:
        """Start it."""
        self.children.append(self._start())

    def _start(self) -> Child:
        options = ("--config", str(self._home / "conf" / "storm.yaml"))
        if self._listener is None:
            return Served([*RELAY, "--bind", self.address[0], *options])
        fd = self._listener.fileno()
        become = [sys.executable, "-c", BECOME_DAEMON, str(fd), *RELAY, *options]
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
