"""A throw-away ZooKeeper server, on a free port of 127.0.0.1."""

from __future__ import annotations

import itertools
import socket
import time
from pathlib import Path

from benchmarks.jars import ZOOKEEPER_CLASS
from pacemaker.config.settings import Settings
from tests.real.daemons import free_port
from tests.real.jvm import JavaProgram, zookeeper_classpath

START_TIMEOUT_S = 60


SESSION_MS = 10_000
"""Longer than any test that does not wait for the end of a session."""

SHORT_SESSION_MS = 1_500
"""For tests that do.  With a second and less, kazoo may wait no more than some
milliseconds for the answer to a ping."""

_roots = (f"/storm-{number}" for number in itertools.count())

CONFIG = """
clientPort={port}
clientPortAddress={address}
dataDir={folder}/data
admin.enableServer=false
4lw.commands.whitelist=srvr
# Sessions from 400 ms on, so that a test need not wait long for the end of one.
tickTime=200
minSessionTimeout=400
maxSessionTimeout={session_max_ms}
"""


class ZooKeeper(JavaProgram):
    """One ZooKeeper that serves.

    Args:
        folder: where its configuration and its data are; a second one that is
            started with the same folder and port has the first one's data.
        port: the port; a free one unless given.
        session_max_ms: it lets no session live longer without its client.
        address: where it listens.

    """

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        session_max_ms: int = 60_000,
        address: str = "127.0.0.1",
    ) -> None:
        self.port = port or free_port()
        self._address = address
        config = folder / "zoo.cfg"
        config.write_text(
            CONFIG.format(
                address=address,
                port=self.port,
                folder=folder,
                session_max_ms=session_max_ms,
            )
        )
        super().__init__(
            ZOOKEEPER_CLASS,
            [zookeeper_classpath()],
            str(config),
            # What it keeps need not outlive the machine.
            options=["-Dzookeeper.forceSync=no"],
        )
        self._wait_until_it_serves()

    def _wait_until_it_serves(self) -> None:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while self.running() and time.monotonic() < deadline_s:
            if b"Mode:" in self._status():
                return
            self.stdout.take(0.05)
        self.stop()
        raise self.error("does not serve")

    def _status(self) -> bytes:
        """Return its answer to `srvr`, which names a mode once it serves."""
        try:
            with socket.create_connection((self._address, self.port), 1) as connection:
                connection.sendall(b"srvr")
                return connection.makefile("rb").read()
        except OSError:
            return b""


def new_settings(port: int, session_ms: int = SESSION_MS) -> Settings:
    """Return settings with a root of their own, so that tests share no node."""
    return Settings(
        zookeeper_servers=("127.0.0.1",),
        zookeeper_port=port,
        zookeeper_root=next(_roots),
        zookeeper_session_timeout_ms=session_ms,
    )
