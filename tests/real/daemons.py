"""The two Pacemakers, started as their users start them: ours and the JVM's."""

from __future__ import annotations

import json
import socket
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.jars import MAIN_CLASSES
from tests.real import attacked
from tests.real.child import Child
from tests.real.jvm import (
    NEWEST_RELEASE,
    ROOT,
    JavaProgram,
    storm_classpath,
)

START_TIMEOUT_S = 60
SERVE = (sys.executable, "-m", "pacemaker", "serve")

BECOME_DAEMON = """
import os, sys
listener, argv = int(sys.argv[1]), sys.argv[2:]
os.dup2(listener, 3)
os.set_inheritable(listener, listener == 3)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(argv[0], argv)
"""
"""Puts the socket where LISTEN_FDS has it, at descriptor 3, and runs `argv`."""

# A user's own files must not decide what a test sees.
ENVIRONMENT: dict[str, str | None] = {
    "STORM_CONF_DIR": None,
    "STORM_HOME": None,
    "LISTEN_FDS": None,
    "LISTEN_PID": None,
    "PYTHONPATH": None,
}


class Served(Child):
    """A process that becomes our daemon and says where it listens.

    With `--attack`, it is attacked from then on until it has ended.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str | None] | None = None,
        cwd: Path = ROOT,
        pass_fds: Sequence[int] = (),
    ) -> None:
        env = {**ENVIRONMENT, **(env or {})}
        command = attacked.command(argv)
        super().__init__(command, env=env, cwd=cwd, pass_fds=pass_fds)
        self._attackers = ExitStack()
        try:
            match = self.logged(r"listening on (\S+):(\d+)", START_TIMEOUT_S)
            self.address = (match[1].strip("[]"), int(match[2]))
            self._attackers.enter_context(attacked.attackers(self.address))
        except BaseException:
            self.stop()
            raise

    def close(self) -> None:
        """Free the pipes of the daemon, which has ended, and end its attackers."""
        super().close()
        self._attackers.close()


class Daemon(Served):
    """Our daemon: `python -m pacemaker serve`, on a free port of 127.0.0.1.

    Args:
        options: options of `serve`; they come after the ones given here.
        bind: the address to listen on.
        port: the port to listen on; 0 is a free one.

    """

    def __init__(self, *options: str, bind: str = "127.0.0.1", port: int = 0) -> None:
        place = ["--bind", bind, "-c", f"pacemaker.port={port}"]
        super().__init__([*SERVE, *place, *options])


class HandedOver(Served):
    """Our daemon on a listening socket of ours, by the LISTEN_FDS protocol.

    LISTEN_PID must be the daemon's own pid, so the process that is started
    sets it and becomes the daemon.
    """

    def __init__(self, listener: socket.socket, *options: str) -> None:
        fd = listener.fileno()
        become = [sys.executable, "-c", BECOME_DAEMON, str(fd), *SERVE, *options]
        super().__init__(become, env={"LISTEN_FDS": "1"}, pass_fds=[fd])


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that was free a moment ago."""
    with socket.create_server((host, 0)) as server:
        return int(server.getsockname()[1])


class JvmDaemon(JavaProgram):
    """Storm's own Pacemaker of a release, with a storm.yaml of its own.

    It binds the wildcard address, as it always does, and takes a free port.

    Args:
        release: one of the releases that have the daemon: 1.2.4, 2.8.3.
        settings: further keys of its storm.yaml.
        options: further options of its JVM.

    """

    def __init__(
        self,
        release: str = NEWEST_RELEASE,
        settings: Mapping[str, object] | None = None,
        options: Sequence[str] = (),
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="storm-pacemaker-")
        folder = Path(self._folder.name)
        self.address = ("127.0.0.1", free_port())
        conf = {"pacemaker.port": self.address[1], **(settings or {})}
        # JSON is YAML.
        (folder / "storm.yaml").write_text(json.dumps(conf))
        super().__init__(
            MAIN_CLASSES[release[0]],
            [folder, storm_classpath(release)],
            options=[
                f"-Dstorm.home={folder}",
                f"-Dstorm.log.dir={folder}",
                *options,
            ],
        )
        self._wait_for_port()

    def _wait_for_port(self) -> None:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while self.running() and time.monotonic() < deadline_s:
            try:
                socket.create_connection(self.address, 1).close()
            except OSError:
                # It says nothing that could be waited for when it listens.
                self.stdout.take(0.05)
            else:
                return
        self.stop()
        raise self.error("does not listen")

    def close(self) -> None:
        """Free the pipes and the folder."""
        super().close()
        self._folder.cleanup()
