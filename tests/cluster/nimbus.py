"""Nimbus as an administrator sees it, by Storm's own client."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

from tests.cluster.releases import Release
from tests.cluster.storm_daemon import StormDaemon
from tests.real.child import Child
from tests.real.jvm import compile_java, storm_classpath

SOURCES = sorted((Path(__file__).parent / "java").glob("*.java"))

ANSWER_TIMEOUT_S = 240
"""A Nimbus of 2.x that waits for a dead Pacemaker answers late."""


class OperatorError(AssertionError):
    """Nimbus, or ZooKeeper, refused what it was asked."""


class Slot(NamedTuple):
    """Where an executor is to run, and since when (seconds since the epoch)."""

    supervisor: str
    port: int
    started_s: int

    @property
    def worker(self) -> str:
        """The name of the worker there, as its heartbeats have it."""
        return f"{self.supervisor}-{self.port}"


class Operator:
    """Storm's client as a child process; see Operator.java.

    Args:
        home: a STORM_HOME with the cluster's configuration.
        release: the release of Storm.
        options: further options of its JVM.

    """

    def __init__(self, home: Path, release: Release, options: tuple[str, ...]) -> None:
        jar = home / "topology.jar"
        classes = compile_java(SOURCES, storm_classpath(release.name))
        # The workers need our own classes; those of "words" are Storm's.
        with zipfile.ZipFile(jar, "w") as content:
            for pattern in ("Busy*.class", "Throwing*.class"):
                for file in classes.glob(pattern):
                    content.write(file, file.name)
        self.child: Child = StormDaemon(
            home,
            release,
            "Operator",
            classpath=[classes],
            options=[f"-Dstorm.jar={jar}", *options],
        )

    def submit(self, name: str, workers: int) -> None:
        """Submit a topology of a spout and a counter for each worker."""
        self._ask(f"submit {name} {workers}")

    def submit_busy(self, name: str, workers: int) -> None:
        """Submit the topology of Busy.java."""
        self._ask(f"busy {name} {workers}")

    def submit_throwing(self, name: str, file: Path) -> None:
        """Submit the topology of Throwing.java, with one worker."""
        self._ask(f"throwing {name} {file}")

    def rebalance(self, name: str, workers: int) -> None:
        """Have a topology run in that many workers, now."""
        self._ask(f"rebalance {name} {workers}")

    def page(self, topology_id: str, window: str) -> dict[str, Any]:
        """Return the figures of Storm's page of a topology, without system streams."""
        return self._ask(f"page {topology_id} {window}")

    def kill(self, name: str) -> None:
        """Kill a topology, now."""
        self._ask(f"kill {name}")

    def topology_ids(self) -> dict[str, str]:
        """Return the ids of all topologies by their names."""
        ids: dict[str, str] = self._ask("cluster")["topologies"]
        return ids

    def supervisors(self) -> dict[str, int]:
        """Return the supervisors that Nimbus knows, with their used slots."""
        used: dict[str, int] = self._ask("cluster")["supervisors"]
        return used

    def uptimes_s(self, topology_id: str) -> dict[str, int]:
        """Return the uptime of each executor that Nimbus has heartbeats of."""
        executors: dict[str, Any] = self._ask(f"topology {topology_id}")
        return {
            name: executor["uptime_s"]
            for name, executor in executors.items()
            if executor["has_stats"]
        }

    def assignment(self, topology_id: str) -> dict[str, Slot]:
        """Return where each executor is to run."""
        executors = self._ask(f"assignment {topology_id}")
        return {name: Slot(**executor) for name, executor in executors.items()}

    def _ask(self, command: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.child.ask(command, ANSWER_TIMEOUT_S))
        if "error" in answer:
            raise OperatorError(f"{command}: {answer['error']}")
        return answer
