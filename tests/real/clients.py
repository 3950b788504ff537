"""Storm's own clients as children of the tests."""

from __future__ import annotations

import time
from pathlib import Path

from tests.real import attacked
from tests.real.jvm import JAVA_SOURCES, JavaProgram, compile_java, storm_classpath

RETRY_PAUSE_S = 0.2


def driver_classpath(release: str) -> list[str | Path]:
    """Return the class path of the drivers for a release."""
    jars = storm_classpath(release)
    folders = (JAVA_SOURCES / "common", JAVA_SOURCES / f"v{release[0]}")
    sources = sorted(file for folder in folders for file in folder.glob("*.java"))
    return [compile_java(sources, jars), jars]


class StormClient(JavaProgram):
    """Storm's PacemakerClient and cluster state of a release; see StormClient.java.

    Args:
        release: one of `tests.real.jvm.RELEASES`.
        port: the port of all hosts.
        hosts: the servers, in `pacemaker.servers`.
        settings: further keys of the configuration.

    """

    def __init__(
        self,
        release: str,
        port: int,
        *hosts: str,
        settings: dict[str, str] | None = None,
    ) -> None:
        pairs = [f"{key}={value}" for key, value in (settings or {}).items()]
        super().__init__(
            "StormClient", driver_classpath(release), str(port), *hosts, *pairs
        )

    def line(self, timeout_s: float = 60) -> str:
        """Return the next line of standard output, without attackers' keys."""
        return attacked.own_names(super().line(timeout_s))

    def ask_until(self, command: str, wanted: str, timeout_s: float = 60) -> None:
        """Ask until the answer is the one wanted.

        A reader of 1.x counts a server that it has just begun to connect to as
        failed, and 1.x leaves it to Nimbus to ask again.
        """
        deadline_s = time.monotonic() + timeout_s
        while (answer := self.ask(command)) != wanted:
            if time.monotonic() > deadline_s:
                raise self.error(f"{command}: {answer!r} instead of {wanted!r}")
            self.stdout.take(RETRY_PAUSE_S)
