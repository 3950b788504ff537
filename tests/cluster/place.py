"""An address in a cluster at which one process after another listens."""

from __future__ import annotations

import signal
import socket
import time
from abc import ABC, abstractmethod

from tests.cluster.hosts import Host
from tests.real.child import Child

UPGRADE_TIMEOUT_S = 120


class Place(ABC):
    """An address, whichever process listens there.

    Args:
        host: where it is.
        port: where a process listens.

    Attributes:
        host: where it is.
        address: host and port.
        children: the processes that have run here, the last one last.

    """

    def __init__(self, host: Host, port: int) -> None:
        self.host = host
        self.address = (host.address, port)
        self.children: list[Child] = []
        self._listener: socket.socket | None = None

    @abstractmethod
    def _start(self) -> Child:
        """Start a process, and wait until it serves."""

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

    def keep_port(self, keep: bool = True) -> None:
        """Listen for the process, as a systemd socket unit does; none runs now."""
        assert not self.running
        if self._listener is not None:
            self._listener.close()
        self._listener = self.host.listen(self.address[1]) if keep else None

    def start(self) -> None:
        """Start a process."""
        if self.children:
            # The last one may have ended with its host, and nobody has waited for it.
            self.child.close()
        self.children.append(self._start())

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
        self.child.logged(r"upgraded to \S+: ", UPGRADE_TIMEOUT_S)

    def repair(self) -> None:
        """Start a process, if none runs."""
        if not self.running:
            self.start()

    def stop(self) -> None:
        """Take it down, whatever state it is in."""
        if self.children:
            self.child.signal(signal.SIGCONT)
            self.child.stop()
        if self._listener is not None:
            self._listener.close()
