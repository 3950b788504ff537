"""The trial: a child process does the whole start of the new version without sockets.

The child reads the configuration from disk, sets up authentication, imports what the
new daemon would, starts its threads, and restores a small sample of the running
daemon's state.  It gets neither the port nor any connection, and it cannot reach
systemd.

An exit code of 0 alone says little: any other program may return it, and the kernel
discards the exit code if SIGCHLD is ignored.  So the child must also print a proof: a
text computed from the sample, which only a program that reads the sample can know.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from typing import Final

from pacemaker.errors import StateError, UpgradeError
from pacemaker.server.upgrade import memfd
from pacemaker.server.upgrade.command import Command
from pacemaker.server.upgrade.memfd import read_state, write_state
from pacemaker.server.upgrade.state_format import (
    DIGEST_NAME,
    FORMAT,
    READABLE_FORMATS,
    encode,
)
from pacemaker.server.upgrade_state import DaemonState

# A start takes 0.2 s, or some seconds on a busy machine.
TRIAL_TIMEOUT_S: Final = 30.0

_REASON_BYTES: Final = 4096
_PREFIX: Final = "Error: "
# With these, the child would report to systemd as the daemon, or take its port.
_WITHHELD: Final = (
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
)
TRIAL_OPTION: Final = "--try-upgrade"
# The child reads the sample of the state from its standard input.
_SAMPLE_FD: Final = 0


def trial_arguments(port: int | None) -> tuple[str, str]:
    """Return the arguments that tell a child that it is a trial, and of what.

    Args:
        port: the configured port; None if it has no effect.
    """
    asked = f"{FORMAT}:{'' if port is None else port}:{_SAMPLE_FD}"
    return TRIAL_OPTION, asked


def check_upgrade(wanted: str, port: int) -> None:
    """Check, in the child, whether the running daemon can be upgraded to this version.

    Args:
        wanted: the value from `trial_arguments`, as the running version made it.
        port: the port that is configured now.

    Raises:
        UpgradeError: it cannot be upgraded.
    """
    format_, _, rest = wanted.partition(":")
    old_port, _, _ = rest.partition(":")
    if format_ not in map(str, READABLE_FORMATS):
        raise UpgradeError(
            f"the new version does not support the state's format {format_}: restart"
            " the daemon instead"
        )
    if old_port and old_port != str(port):
        raise UpgradeError(
            f"pacemaker.port was changed from {old_port} to {port}, and the listening"
            " socket is carried over: change it back, or restart the daemon instead"
        )


def read_sample(wanted: str) -> DaemonState | None:
    """Read, in the child, the sample of the state; None if there is none.

    Args:
        wanted: the value from `trial_arguments`; early versions gave no sample.

    Raises:
        UpgradeError: the sample cannot be read.
    """
    fd = wanted.split(":")[2:]
    if not fd:
        return None
    try:
        return read_state(os.dup(int(fd[0])))
    except (StateError, OSError, ValueError) as exc:
        raise UpgradeError(
            f"the new version cannot read a sample of the state ({exc}): restart the"
            " daemon instead"
        ) from exc


def proof_of(sample: DaemonState) -> str:
    """Return a text that only a program that has read this sample can know."""
    body = b"".join(encode(sample))
    return hmac.new(sample.security_key, body, DIGEST_NAME).hexdigest()


class Trial:
    """A trial in progress.  Only the main thread calls it.

    Args:
        command: tries the start, prints the proof of the sample, and exits with 0.
        sample: a small part of the state, passed as the child's standard input.
        environ: the daemon's own environment.
        timeout_s: how long the trial may take.

    Raises:
        OSError: the child cannot be started.
        UpgradeError: the sandbox does not allow a memfd.
    """

    def __init__(
        self,
        command: Command,
        sample: DaemonState,
        environ: Mapping[str, str] = os.environ,
        timeout_s: float = TRIAL_TIMEOUT_S,
    ) -> None:
        self._path = command.path
        self._proof = proof_of(sample)
        self._timeout_s = timeout_s
        self._deadline_s = time.monotonic() + timeout_s
        with contextlib.ExitStack() as undo:
            # Files and not pipes: a pipe fills up and blocks the child unless somebody
            # serves it.
            sample_fd = write_state(sample)
            undo.callback(os.close, sample_fd)
            self._output_fd = memfd.create("storm-pacemaker-trial")
            undo.callback(os.close, self._output_fd)
            self._process = subprocess.Popen(  # noqa: S603  (as we were started)
                command.argv,
                executable=command.path,
                stdin=sample_fd,
                stdout=self._output_fd,
                stderr=self._output_fd,
                env={k: v for k, v in environ.items() if k not in _WITHHELD},
            )
            # The child has the sample as its standard input.  Keep the output alone.
            undo.pop_all()
            os.close(sample_fd)

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def outcome(self) -> str | None:
        """Return why the new daemon would not start, or "" if it would start.

        Returns None while the child runs.  Any other result means that the trial is
        over and the child has been reaped.
        """
        code = self._process.poll()
        if code is None:
            if time.monotonic() < self._deadline_s:
                return None
            self.end()
            took = f"took longer than {self._timeout_s:g} s"
            return f"the trial of the new version {took}"
        try:
            return self._judge(code)
        finally:
            os.close(self._output_fd)

    def end(self) -> None:
        """Kill the child and reap it.

        SIGKILL, because a trial that hangs may not heed SIGTERM, and it holds nothing
        that a clean end would save.
        """
        self._process.kill()
        self._process.wait()
        os.close(self._output_fd)

    def _judge(self, code: int) -> str:
        """Turn the exit code and the output of the child into a reason."""
        size = os.lseek(self._output_fd, 0, os.SEEK_END)
        start = max(0, size - _REASON_BYTES)
        text = os.pread(self._output_fd, _REASON_BYTES, start).decode(
            "utf-8", "replace"
        )
        # The proof may be followed by warnings of the interpreter's end, so look for it
        # in every line.
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if code == 0 and self._proof in lines:
            return ""
        errors = [line for line in lines if line.startswith(_PREFIX)]
        if errors and code:
            return errors[-1].removeprefix(_PREFIX)
        return f"the trial of the new version ended with {self._end(code)}" + (
            f": {lines[-1]}" if lines else ""
        )

    def _end(self, code: int) -> str:
        if code == 0:
            return f"exit code 0, but did not start a daemon: check {self._path}"
        return f"exit code {code}" if code > 0 else signal.Signals(-code).name
