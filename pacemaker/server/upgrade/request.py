"""Ask a running daemon to upgrade itself, and wait for the outcome."""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import Final

from pacemaker.errors import UpgradeError
from pacemaker.server.process.local_socket import address_of, credentials
from pacemaker.server.upgrade.waiters import REFUSED, SERVES

_MAX_LINE_BYTES: Final = 64 * 1024
_RETRY_AFTER_S: Final = 0.05


def request_upgrade(pid: int, timeout_s: float) -> None:
    """Upgrade a daemon, and return once the new one serves.

    Args:
        pid: the daemon's process id, within this process's own namespace.
        timeout_s: how long to wait for the outcome.

    Raises:
        UpgradeError: the daemon refused, there is no such daemon, this user may not
            ask it, or there was no outcome in time.
    """
    deadline_s = time.monotonic() + timeout_s
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        _connect(connection, pid, deadline_s)
        if credentials(connection)[0] != pid:
            raise UpgradeError(
                f"another process listens on the socket of process {pid}: nothing was"
                " sent to either"
            )
        try:
            # Only after the check above, because SIGUSR2 would kill any other program.
            os.kill(pid, signal.SIGUSR2)
        except OSError as exc:
            raise UpgradeError(f"cannot signal process {pid}: {exc.strerror}") from exc
        _judge(_read_line(connection, deadline_s))


def _connect(connection: socket.socket, pid: int, deadline_s: float) -> None:
    """Connect; try again while the queue is full, which any local user can fill."""
    while True:
        try:
            connection.connect(address_of(pid))
            return
        except BlockingIOError as exc:
            # Connecting to a full queue fails at once, whatever the timeout is.
            if time.monotonic() + _RETRY_AFTER_S >= deadline_s:
                raise UpgradeError(
                    f"process {pid} did not answer in time: its socket is full"
                ) from exc
            time.sleep(_RETRY_AFTER_S)
        except OSError as exc:
            problem = f"process {pid} is not a running storm-pacemaker-py daemon"
            raise UpgradeError(
                f"{problem} ({exc.strerror}): in a container, run `reload` inside it"
            ) from exc


def _read_line(connection: socket.socket, deadline_s: float) -> str:
    line = b""
    try:
        while len(line) < _MAX_LINE_BYTES:
            connection.settimeout(max(0.001, deadline_s - time.monotonic()))
            part = connection.recv(_MAX_LINE_BYTES)
            if not part:
                break
            line += part
    except TimeoutError as exc:
        raise UpgradeError(
            "no outcome in time; look for it in the daemon's log"
        ) from exc
    except ConnectionError:
        # The daemon was killed: judge what it has said by then.
        pass
    return line.decode("utf-8", "replace").strip()


def _judge(outcome: str) -> None:
    if outcome.startswith(REFUSED):
        raise UpgradeError(f"refused: {outcome.removeprefix(REFUSED)}")
    if outcome != SERVES:
        raise UpgradeError(
            "the daemon closed the connection without an outcome: it ended, or it lost"
            " its state and started empty; look in its log"
        )
