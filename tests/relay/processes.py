"""Relays and Pacemakers as processes, on loopback."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from tests.real.daemons import Daemon, Served

RELAY = (sys.executable, "-m", "pacemaker", "relay")


def name_of(address: tuple[str, int]) -> str:
    """Return an address as it is written on the command line."""
    return f"{address[0]}:{address[1]}"


class RelayProcess(Served):
    """Our relay: `python -m pacemaker relay`, on a free port of 127.0.0.1.

    Args:
        servers: the Pacemakers, as in `--to`.
        options: further options of `relay`.
        port: the port to listen on; 0 is a free one.
        command: what runs the relay.
    """

    def __init__(
        self,
        servers: Sequence[str],
        *options: str,
        port: int = 0,
        command: Sequence[str] = RELAY,
    ) -> None:
        to = [part for server in servers for part in ("--to", server)]
        place = ["--bind", "127.0.0.1", "-c", f"pacemaker.port={port}"]
        super().__init__([*command, *place, *to, *options])


class KilledRelay:
    """A relay that is killed, and started again on its port.

    Args:
        servers: the Pacemakers.
        command: what runs the relay.
    """

    def __init__(self, servers: Sequence[str], command: Sequence[str] = RELAY) -> None:
        self._servers = servers
        self._command = command
        self.process = RelayProcess(servers, command=command)
        self.address = self.process.address

    def restart(self) -> None:
        """Kill it with SIGKILL and start it again, empty."""
        self.process.signal(signal.SIGKILL)
        self.process.wait()
        self.process.stop()
        port = self.address[1]
        self.process = RelayProcess(self._servers, port=port, command=self._command)

    def __enter__(self) -> KilledRelay:
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.stop()


class Upstream:
    """A Pacemaker that is killed, and started again on its port."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self.process = Daemon(*options)
        self.address = self.process.address
        self.name = name_of(self.address)

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self.process.signal(signal.SIGKILL)
        self.process.wait()
        self.process.stop()

    def start(self) -> None:
        """Start it again, empty, on its port."""
        self.process = Daemon(*self._options, port=self.address[1])

    def __enter__(self) -> Upstream:
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.stop()
