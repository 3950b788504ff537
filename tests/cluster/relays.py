"""The relays of a cluster: one for each of Storm's hosts, on an address of its own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tests.cluster.hosts import Host
from tests.cluster.place import Place
from tests.real.child import Child
from tests.real.daemons import BECOME_DAEMON, Served

RELAY = (sys.executable, "-m", "pacemaker", "relay")
FIRST_ADDRESS = "127.0.0.20"


class Relay(Place):
    """The relay of one of Storm's hosts, which here are addresses of the loopback.

    Args:
        home: a STORM_HOME with the configuration of the host.
        host: where it runs.
        port: pacemaker.port.
        options: further options.
    """

    def __init__(
        self, home: Path, host: Host, port: int, options: Sequence[str] = ()
    ) -> None:
        super().__init__(host, port)
        self._home = home
        self._options = options

    def _start(self) -> Child:
        config = str(self._home / "conf" / "storm.yaml")
        command = [*RELAY, "--config", config, *self._options]
        if self._listener is None:
            return Served([*self.host.prefix, *command, "--bind", self.address[0]])
        fd = self._listener.fileno()
        become = [sys.executable, "-c", BECOME_DAEMON, str(fd), *command]
        become = [*self.host.prefix, *become]
        return Served(become, env={"LISTEN_FDS": "1"}, pass_fds=[fd])
