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
        problem: why it is believed not to answer; empty where it is believed to.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        # Guards the changes, so that each is logged once.
        self._lock = threading.Lock()
        self._last_reply_s = 0.0
        self.problem = ""

    @property
    def is_available(self) -> bool:
        """Whether the server is believed to answer."""
        return not self.problem

    @property
    def has_replied(self) -> bool:
        """Whether the server has ever answered."""
        return self._last_reply_s > 0.0

    def on_reply(self) -> None:
        """Learn that there was a reply."""
        self._last_reply_s = time.monotonic()
        if self.problem and self._change(""):
            _logger.info("%s: answers again", self._name)

    def on_missed(self, timeout_s: float) -> None:
        """Learn that a call had no reply within its time.

        Where other replies came meanwhile that says nothing of the server: a
        read may be held.  They must have come in the second half of that time;
        what came in the first may have been sent before the server stood still.
        """
        silence_s = time.monotonic() - self._last_reply_s
        if silence_s >= timeout_s / 2 and not self.problem:
            self._change("no reply in time")
            _logger.info("%s: no reply in time", self._name)

    def on_loss(self, reason: str) -> None:
        """Learn that there is no connection."""
        if self._change(reason):
            _logger.warning("%s: no connection: %s", self._name, reason)

    def _change(self, problem: str) -> bool:
        with self._lock:
            before, self.problem = self.problem, problem
        return before != problem
