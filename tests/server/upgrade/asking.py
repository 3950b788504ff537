"""A client that asks this process for an upgrade, and the signal that it sends."""

from __future__ import annotations

import os
import signal
import threading

from pacemaker.errors import UpgradeError
from pacemaker.server.upgrade.request import request_upgrade

GIVE_UP_S = 10.0


class Asking(threading.Thread):
    """Asks this process from a thread, and keeps the outcome."""

    def __init__(self) -> None:
        super().__init__()
        self.outcome = "not over"
        self.start()

    def run(self) -> None:
        """Ask."""
        try:
            request_upgrade(os.getpid(), GIVE_UP_S)
        except UpgradeError as exc:
            self.outcome = str(exc)
        else:
            self.outcome = "upgraded"

    def end(self) -> str:
        """Wait for the outcome."""
        self.join(GIVE_UP_S)
        return self.outcome


def await_request() -> None:
    """Wait for the signal."""
    assert signal.sigtimedwait({signal.SIGUSR2}, GIVE_UP_S) is not None
