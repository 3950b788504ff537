"""Storm's own clients as children of the tests."""

from __future__ import annotations

from pathlib import Path

from tests.real.jvm import JAVA_SOURCES, JavaProgram, compile_java, storm_classpath


def classpath(release: str) -> list[str | Path]:
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
        super().__init__("StormClient", classpath(release), str(port), *hosts, *pairs)
