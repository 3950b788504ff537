"""Storm's own daemons as children, each with a STORM_HOME of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.cluster.homes import DAEMON_MEMORY, java_options
from tests.cluster.releases import Release
from tests.real.child import Child
from tests.real.daemons import ENVIRONMENT
from tests.real.jvm import program


class StormDaemon(Child):
    """A main class of Storm's, run as its launcher runs it; its log is its output.

    Args:
        home: its STORM_HOME.
        release: the release of the jars there.
        main_class: what to run.
        prefix: a command that runs the rest, on another host say.
        classpath: what comes before Storm's jars.
        options: further options of the JVM.
        line_pause_s: how long each line of its log waits to be read.

    """

    def __init__(
        self,
        home: Path,
        release: Release,
        main_class: str,
        *,
        prefix: Sequence[str] = (),
        classpath: Sequence[Path] = (),
        options: Sequence[str] = (),
        line_pause_s: float = 0,
    ) -> None:
        folders = [home / "conf", *classpath, home / "lib" / "*"]
        argv = [
            *prefix,
            program("java"),
            *java_options(release, DAEMON_MEMORY),
            f"-Dstorm.home={home}",
            f"-Dstorm.log.dir={home / 'logs'}",
            f"-Dlog4j.configurationFile={home / 'log4j2' / 'cluster.xml'}",
            f"-Ddaemon.name={home.name}",
            *options,
            "-cp",
            ":".join(str(folder) for folder in folders),
            main_class,
        ]
        super().__init__(argv, env=ENVIRONMENT, cwd=home, line_pause_s=line_pause_s)
