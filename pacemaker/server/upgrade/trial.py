"""The trial: a child does the whole new start, but for the serving.

It reads the configuration from the disk, makes what authenticates, and imports
what the new daemon would.  It is given neither the port nor any connection, and
does not reach systemd.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from typing import Final

from pacemaker.errors import UpgradeError
from pacemaker.server.upgrade.command import Command
from pacemaker.server.upgrade.state import FORMAT, READABLE_FORMATS

# A start takes 0.2 s, on a machine that is busy with others some seconds.
TRIAL_TIMEOUT_S: Final = 30.0

_REASON_BYTES: Final = 4096
_PREFIX: Final = "Error: "
_NOT_FOR_IT: Final = (
    *("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"),
    *("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"),
)


TRIAL_OPTION: Final = "--try-upgrade"


def trial_arguments(port: int | None) -> tuple[str, str]:
    """Return what tells a child that it is a trial, and what it has to do with.

    Args:
        port: the configured port; None where it has no effect.
    """
    return TRIAL_OPTION, f"{FORMAT}:{'' if port is None else port}"


def check_upgrade(wanted: str, port: int) -> None:
    """See, in the child, whether the daemon that asks can become this one.

    Args:
        wanted: the value of `trial_arguments`, of that daemon's version.
        port: the port that is configured now.

    Raises:
        UpgradeError: it cannot.
    """
    format_, _, old_port = wanted.partition(":")
    if format_ not in map(str, READABLE_FORMATS):
        raise UpgradeError(
            f"the new version does not read the state's format {format_}:"
            " this needs a restart"
        )
    if old_port and old_port != str(port):
        raise UpgradeError(
            f"pacemaker.port is {port} now, and was {old_port}: another port needs"
            " a restart"
        )


class Trial:
    """A child under way.  Only the main thread calls it.

    Args:
        command: tries the start and exits; 0 says that it would serve.
        environ: the daemon's own environment.
        timeout_s: how long it may take.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(
        self,
        command: Command,
        environ: Mapping[str, str] = os.environ,
        timeout_s: float = TRIAL_TIMEOUT_S,
    ) -> None:
        self._timeout_s = timeout_s
        self._deadline_s = time.monotonic() + timeout_s
        # Not a pipe, which would have to be read lest the child stand still.
        self._output_fd = os.memfd_create("storm-pacemaker-trial", os.MFD_CLOEXEC)
        try:
            self._process = subprocess.Popen(  # noqa: S603  (as we were started)
                command.argv,
                executable=command.path,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._output_fd,
                env={k: v for k, v in environ.items() if k not in _NOT_FOR_IT},
            )
        except BaseException:
            os.close(self._output_fd)
            raise

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def outcome(self) -> str | None:
        """Return why the new daemon would not start, "" where it would.

        None while that is not known; after that the trial is over, and the
        child reaped.
        """
        code = self._process.poll()
        if code is None:
            if time.monotonic() < self._deadline_s:
                return None
            self.end()
            return f"the trial of the new one took longer than {self._timeout_s:g} s"
        try:
            return "" if code == 0 else self._reason(code)
        finally:
            os.close(self._output_fd)

    def end(self) -> None:
        """Kill the child and reap it."""
        self._process.kill()
        self._process.wait()
        os.close(self._output_fd)

    def _reason(self, code: int) -> str:
        """Find the words for an exit code in what the child has written."""
        size = os.lseek(self._output_fd, 0, os.SEEK_END)
        start = max(0, size - _REASON_BYTES)
        text = os.pread(self._output_fd, _REASON_BYTES, start).decode(
            "utf-8", "replace"
        )
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith(_PREFIX)]
        if errors:
            return errors[-1].removeprefix(_PREFIX)
        how = f"exit code {code}" if code > 0 else signal.Signals(-code).name
        said = f": {lines[-1]}" if lines else ""
        return f"the trial of the new one ended with {how}{said}"
