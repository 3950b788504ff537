"""Whether a server is believed to answer, and why not."""

from __future__ import annotations

import logging
import threading
from typing import Final

from pacemaker.client.network import Clock

_logger: Final = logging.getLogger(__name__)


class Liveness:
    """Whether a server is believed to answer.  Any thread may call it.

    A server is believed to answer until its connection is lost, it cannot be connected
    to, or it leaves a call without a reply.  With its next reply it counts as alive
    again.

    Args:
        name: the server's name, for the log.
        clock: the time.

    Attributes:
        problem: why the server is believed not to answer; empty if it is believed to.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        self._name = name
        self._clock = clock
        # Guards changes, so that each is logged once.
        self._lock = threading.Lock()
        self._last_reply_s: float | None = None
        self.problem = ""

    @property
    def is_available(self) -> bool:
        """Whether the server is believed to answer."""
        return not self.problem

    @property
    def has_replied(self) -> bool:
        """Whether the server has ever answered."""
        return self._last_reply_s is not None

    def on_reply(self) -> None:
        """Note that a reply arrived."""
        self._last_reply_s = self._clock.now_s()
        if self.problem and self._change(""):
            _logger.info("%s: answers again", self._name)

    def on_missed(self, timeout_s: float) -> None:
        """Note that a call had no reply within its timeout.

        If other replies arrived meanwhile, the server is alive: the read may be held.
        Only replies in the second half of the timeout count, because earlier ones may
        have been sent before the server hung.
        """
        last_s = self._last_reply_s
        is_alive = last_s is not None and self._clock.now_s() - last_s < timeout_s / 2
        if not is_alive and not self.problem:
            self._change("no reply in time")
            _logger.info("%s: no reply in time", self._name)

    def on_loss(self, reason: str) -> None:
        """Note that there is no connection."""
        if self._change(reason):
            _logger.warning("%s: no connection: %s", self._name, reason)

    def _change(self, problem: str) -> bool:
        with self._lock:
            before, self.problem = self.problem, problem
        return before != problem
