"""Our daemon in this process, for tests of the client."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pacemaker.client.address import ServerAddress, parse_server
from pacemaker.config import Settings
from pacemaker.core.protocol.hold_times import HoldTimes
from pacemaker.sasl.mechanism import MechanismFactory
from pacemaker.server import Daemon, ServerOptions


@contextmanager
def daemon(
    mechanism_factory: MechanismFactory | None = None,
    port: int = 0,
    hold_s: float = 0.0,
) -> Iterator[ServerAddress]:
    """Run a daemon on 127.0.0.1 and give its address."""
    options = ServerOptions(
        bind="127.0.0.1", hold=HoldTimes(hold_s, hold_s, "a test's")
    )
    started = Daemon(Settings(port=port), options, mechanism_factory)
    started.start()
    try:
        yield parse_server(started.address, 0)
    finally:
        started.begin_stop()
        started.close()


def descriptors() -> set[str]:
    """Return the descriptors that this process has."""
    return set(os.listdir("/proc/self/fd"))  # noqa: PTH208  (Path opens one more)
