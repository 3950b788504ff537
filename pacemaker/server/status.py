"""The status of a running daemon, for commands on the same host (`status_client`).

The daemon listens on a Unix socket and answers with one JSON document.  It answers only
root and its own user; the kernel tells it who the peer is.  The main thread answers
between two of its turns, so within a second.

The socket is not carried over by an upgrade: the new program opens it again under the
same name.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from pacemaker._version import __version__
from pacemaker.server.measurements import Measurements
from pacemaker.server.process.clocks import boot_time_s
from pacemaker.server.process.local_socket import address_of, credentials

_logger: Final = logging.getLogger(__name__)

PURPOSE: Final = "status"

# The most requests answered in a call: more than people ever make at once.
_MAX_ANSWERED: Final = 16

Status = dict[str, Any]


def describe(measured: Measurements, *, address: str, hold_until_s: float) -> Status:
    """Return the status without the process and its upgrades."""
    figures = measured.figures
    return {
        "address": address,
        "authentication": measured.auth_method,
        "connections": figures.connections,
        "addresses": figures.addresses,
        "keys": measured.keys,
        "store": {
            "used_bytes": measured.store_bytes,
            "budget_bytes": measured.store_budget_bytes,
        },
        "buffers": {
            "used_bytes": measured.buffer_bytes,
            "budget_bytes": measured.buffer_budget_bytes,
        },
        "hold": {
            "left_s": round(max(0.0, hold_until_s - boot_time_s()), 1),
            "held_bytes": measured.held_read_bytes,
        },
        "refused": {
            "connections": figures.refused_connections,
            "heartbeats": figures.refused_heartbeats,
            "reads": figures.refused_reads,
            "logins": figures.failed_logins,
        },
        "io_threads": measured.io_threads,
        "descriptors_limit": measured.most_descriptors,
        "resident_bytes": measured.resident_bytes,
        "cpu_s": round(measured.cpu_s, 2),
    }


def describe_process() -> Status:
    """Return the status of this process."""
    return {
        "version": __version__,
        "python": platform.python_version(),
        "pid": os.getpid(),
        "uptime_s": round(boot_time_s() - _started_s()),
    }


def describe_upgrades(
    done: int, began_s: float, refusal: tuple[float, str] | None
) -> Status:
    """Return the status of the upgrades in place.

    Args:
        done: the number of upgrades of this process.
        began_s: when the present program began, which was at the last upgrade.
        refusal: when the present program last refused an upgrade, and why.
    """
    refused = None
    if refusal is not None:
        refused = {"at": _local_time(refusal[0]), "reason": refusal[1]}
    last = _local_time(began_s) if done else None
    return {"done": done, "last": last, "refused": refused}


def _local_time(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(seconds))


def _started_s() -> float:
    """Return the CLOCK_BOOTTIME of the process's start, which an upgrade keeps."""
    stat = Path("/proc/self/stat").read_text()
    # The program's name, in parentheses, may contain blanks: field 3 comes after it.
    ticks = int(stat.rpartition(")")[2].split()[19])
    return ticks / os.sysconf("SC_CLK_TCK")


class StatusSocket:
    """Answers commands that ask for the status.  Main thread only.

    Args:
        is_open: whether to listen; the trial of an upgrade does not.
    """

    def __init__(self, is_open: bool = True) -> None:
        self._listener = _listen() if is_open else None

    def answer_waiting(self, status: Callable[[], Status]) -> None:
        """Answer everybody who has asked since the last call."""
        for _ in range(_MAX_ANSWERED):
            if self._listener is None:
                return
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # nobody asks
            with connection:
                _answer(connection, status)

    def close(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None


def _listen() -> socket.socket | None:
    listener = None
    try:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.setblocking(False)
        listener.bind(address_of(os.getpid(), PURPOSE))
        listener.listen(_MAX_ANSWERED)
    except OSError as exc:
        # The sandbox does not allow AF_UNIX, or /proc is missing.
        if listener is not None:
            listener.close()
        _logger.warning("`status` cannot reach this daemon: %s", exc.strerror)
        return None
    return listener


def _answer(connection: socket.socket, status: Callable[[], Status]) -> None:
    _, uid = credentials(connection)
    if uid not in (0, os.geteuid()):
        return
    connection.setblocking(False)
    try:
        # A new connection's buffer takes far more than this; nothing waits for a peer.
        connection.send(json.dumps(status()).encode())
    except OSError:
        _logger.debug("the command that asked for the status has gone")
