"""Asks a running daemon on the same host for its status.

During an upgrade, nobody listens on the daemon's socket for a moment, so a command that
finds it closed tries again.  It also does so if the socket's queue is full: any local
user may connect, and the daemon empties the queue once per turn.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pacemaker.errors import StatusError
from pacemaker.server.process.local_socket import address_of, credentials
from pacemaker.server.status import PURPOSE

_MAX_STATUS_BYTES: Final = 64 * 1024
# The pause between two attempts.
_RETRY_AFTER_S: Final = 0.1


def ask(pid: int, timeout_s: float) -> Mapping[str, Any]:
    """Ask a daemon for its status.

    Args:
        pid: its process id, within this process's own namespace.
        timeout_s: how long to wait.

    Raises:
        StatusError: there is no such daemon, it does not answer this user, it did not
            answer in time, or the system does not let this process ask.
    """
    deadline_s = time.monotonic() + timeout_s
    while True:
        try:
            return _ask_once(pid, deadline_s)
        # A full queue does not block: connecting fails at once, whatever the timeout.
        except (ConnectionError, BlockingIOError) as exc:
            if time.monotonic() + _RETRY_AFTER_S >= deadline_s or not _is_alive(pid):
                raise StatusError(_last_problem(pid, exc)) from exc
            time.sleep(_RETRY_AFTER_S)
        except TimeoutError as exc:
            raise StatusError(f"process {pid} did not answer in time") from exc
        except OSError as exc:
            raise StatusError(f"cannot ask process {pid} ({exc.strerror})") from exc


def _last_problem(pid: int, exc: OSError) -> str:
    if isinstance(exc, BlockingIOError):
        return f"process {pid} did not answer in time: its status socket is full"
    return f"process {pid} is not a serving storm-pacemaker-py ({exc.strerror})"


def _is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _ask_once(pid: int, deadline_s: float) -> Mapping[str, Any]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(max(0.001, deadline_s - time.monotonic()))
        connection.connect(address_of(pid, PURPOSE))
        if credentials(connection)[0] != pid:
            raise StatusError(f"another process listens on the socket of process {pid}")
        answer = _read_all(connection, deadline_s)
    if not answer:
        raise StatusError(
            f"process {pid} answers only root and its own user: run this as one of them"
        )
    return _parse(pid, answer)


def _parse(pid: int, answer: bytes) -> Mapping[str, Any]:
    # Any process can open the socket that has its own process id in the name.
    try:
        status = json.loads(answer)
    except (ValueError, RecursionError) as exc:
        raise StatusError(f"the answer of process {pid} is not a status") from exc
    if not isinstance(status, dict):
        raise StatusError(f"the answer of process {pid} is not a status")
    return status


def _read_all(connection: socket.socket, deadline_s: float) -> bytes:
    answer = b""
    while len(answer) < _MAX_STATUS_BYTES:
        connection.settimeout(max(0.001, deadline_s - time.monotonic()))
        part = connection.recv(_MAX_STATUS_BYTES)
        if not part:
            break
        answer += part
    return answer
