"""The differences between Storm's releases that matter for starting a cluster."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import NamedTuple

import pytest

from benchmarks.jars import MAIN_CLASSES
from tests.real.jvm import NEWEST_RELEASE

OLDEST_RELEASE = "1.2.4"
RELEASES = (NEWEST_RELEASE, OLDEST_RELEASE)
# For scenarios that do not depend on Storm's release in a way that would be seen each
# day: the oldest one with ALL=1.
NEWEST_ALONE = RELEASES if os.environ.get("ALL") == "1" else RELEASES[:1]
# For scenarios of which one of their kind is run each day.
only_with_all = pytest.mark.skipif(
    os.environ.get("ALL") != "1", reason="one of its kind is run; all with ALL=1"
)


class Release(NamedTuple):
    """One release of Storm.

    Attributes:
        name: its version.
        nimbus: the main class.
        supervisor: the main class.
        pacemaker: the main class of its own Pacemaker.
        state_store: what makes its daemons use Pacemaker.
        java_options: further options of its JVMs.
    """

    name: str
    nimbus: str
    supervisor: str
    pacemaker: str
    state_store: str
    java_options: tuple[str, ...]

    @property
    def is_1x(self) -> bool:
        """Whether its clients are those of 1.x."""
        return self.name.startswith("1.")


def release(name: str, folder: Path, address: str = "127.0.0.1") -> Release:
    """Return the facts on a release.

    Args:
        name: its version.
        folder: for a file that it may need.
        address: of ZooKeeper.

    """
    supervisor = "org.apache.storm.daemon.supervisor.Supervisor"
    pacemaker = MAIN_CLASSES[name[0]]
    if not name.startswith("1."):
        return Release(
            name,
            "org.apache.storm.daemon.nimbus.Nimbus",
            supervisor,
            pacemaker,
            "org.apache.storm.cluster.PaceMakerStateStorageFactory",
            (),
        )
    return Release(
        name,
        "org.apache.storm.daemon.nimbus",
        supervisor,
        pacemaker,
        "org.apache.storm.pacemaker.pacemaker_state_factory",
        (
            "-Dzookeeper.sasl.client=false",
            f"-Djdk.net.hosts.file={_hosts_file(folder, address)}",
        ),
    )


def _hosts_file(folder: Path, address: str) -> Path:
    """Write the hosts that the ZooKeeper client of 1.x looks up.

    On JDK 14 and later it takes an address's text, "localhost/<unresolved>",
    for a name.
    """
    path = folder / "hosts"
    path.write_text(
        f"127.0.0.1 localhost localhost/<unresolved> {socket.gethostname()}\n"
        f"{address} {address}/<unresolved>\n"
    )
    return path
