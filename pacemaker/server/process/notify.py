"""Notifications to systemd about the daemon's state (sd_notify(3)).

The protocol is a datagram of assignments to the socket that NOTIFY_SOCKET names.  If
that variable is not set, nothing is sent.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import deque
from collections.abc import Mapping
from typing import Final

_logger: Final = logging.getLogger(__name__)

# How many unsent messages are kept.  The newest matter most, as they include READY.
_MAX_UNSENT: Final = 8


class Notifier:
    """Notifies the service manager.  Only the main thread calls it.

    Args:
        environ: says how to reach the manager.  It is not changed, because the process
            after an upgrade needs the same variables.

    Attributes:
        watchdog_s: how often `feed_watchdog` must be called; None if the manager does
            not watch.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        path = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        # Open from the start: the watchdog must be fed even if no descriptor is free.
        self._socket: socket.socket | None = None
        if path:
            self._open_socket()
        # Messages for which the manager had no room, as its queue is short.  If a READY
        # were lost, the manager would wait forever for the end of a reload.
        self._unsent: deque[bytes] = deque(maxlen=_MAX_UNSENT)
        self.watchdog_s = _watchdog_s(environ)

    def announce_ready(self, status: str) -> None:
        """Report that the daemon serves, after its start and after each reload."""
        self._send("READY=1", f"STATUS={status}")

    def announce_reloading(self) -> None:
        """Report that an upgrade begins.

        `announce_ready` must follow, whatever the outcome.
        """
        now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={now_us}", "STATUS=upgrading")

    def announce_stopping(self) -> None:
        """Report that a stop has begun."""
        self._send("STOPPING=1", "STATUS=stopping")

    def announce_status(self, status: str) -> None:
        """Change the line that ``systemctl status`` shows."""
        self._send(f"STATUS={status}")

    def feed_watchdog(self) -> None:
        """Feed the watchdog now, or drop the message if earlier ones must wait."""
        # Not in front of messages that wait: a manager that gets WATCHDOG=1 during a
        # reload, but not yet its READY=1, would take the reload for one that hangs.
        self.send_unsent()
        if not self._unsent:
            self._deliver(b"WATCHDOG=1")

    def send_unsent(self) -> None:
        """Send again the messages for which the manager had no room."""
        while self._unsent and self._deliver(self._unsent[0]):
            self._unsent.popleft()

    def close(self) -> None:
        """Send what waits, if there is room now, and close the socket.

        Nothing is sent after this.
        """
        # No turn follows a STOPPING.  But an exit does not wait for the manager, which
        # learns of the end of the process anyway.
        self.send_unsent()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _open_socket(self) -> None:
        try:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            # No timeout: poll(2) reports an unconnected socket as writable although the
            # manager's queue is full, so CPython would repeat the call without a pause.
            self._socket.setblocking(False)
        except OSError as exc:
            _logger.warning(
                "cannot notify the service manager: %s; allow AF_UNIX in the unit's"
                " sandbox (RestrictAddressFamilies=)",
                exc.strerror,
            )

    def _send(self, *assignments: str) -> None:
        lines = (" ".join(each.splitlines()) for each in assignments)
        # Paths in a reason may contain bytes that are not UTF-8.
        self._unsent.append("\n".join(lines).encode(errors="backslashreplace"))
        self.send_unsent()

    def _deliver(self, message: bytes) -> bool:
        """Send a datagram; return False if it must be sent again in a later turn."""
        if self._socket is None:
            return True
        try:
            self._socket.sendto(message, self._address)
        except BlockingIOError:
            return False
        except (OSError, ValueError) as exc:
            # The manager is gone, or NOTIFY_SOCKET is wrong.  Sending again would not
            # help, and the daemon serves without a manager.
            _logger.debug("cannot notify the service manager: %s", exc)
        return True


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    """Return the interval of the watchdog, or None (sd_watchdog_enabled(3))."""
    wanted_us = environ.get("WATCHDOG_USEC", "")
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    if not (wanted_us.isascii() and wanted_us.isdigit()):
        return None
    return int(wanted_us) / 1e6 or None
