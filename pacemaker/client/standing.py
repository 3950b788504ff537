"""What is known of a server's health, without asking it."""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

_logger: Final = logging.getLogger(__name__)


class Standing:
    """Whether a server answers.  Any thread may call it.

    It is believed to until its connection is lost, cannot be made, or leaves a
    call without a reply; and again from its next reply on.

    Args:
        name: the server's, for the log.

    Attributes:
        is_available: whether it is believed to answer.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        # Guards the changes, so that each is logged once.
        self._lock = threading.Lock()
        self._loss = ""
        self._last_reply_s = 0.0
        self.is_available = True

    def on_reply(self) -> None:
        """Learn that there was a reply."""
        self._last_reply_s = time.monotonic()
        if not self.is_available and self._change(True, ""):
            _logger.info("%s: answers again", self._name)

    def on_missed(self, timeout_s: float) -> None:
        """Learn that a call had no reply within its time.

        Where other replies came meanwhile that says nothing of the server: a
        read may be held.  They must have come in the second half of that time;
        what came in the first may have been sent before the server stood still.
        """
        silence_s = time.monotonic() - self._last_reply_s
        if silence_s >= timeout_s / 2 and self._change(False, self._loss):
            _logger.info("%s: no reply in time", self._name)

    def on_loss(self, reason: str) -> None:
        """Learn that there is no connection."""
        if self._change(False, reason):
            _logger.warning("%s: no connection: %s", self._name, reason)

    def _change(self, is_available: bool, loss: str) -> bool:
        with self._lock:
            before = (self.is_available, self._loss)
            self.is_available, self._loss = is_available, loss
        return before != (is_available, loss)
