"""When a silent link asks for a sign of life, and when it gives up; without I/O.

The announcement is the first probe.  Until it is answered, the Pacemaker has the same
time as for any client's first request; a later probe has to be answered sooner.
"""

from __future__ import annotations

from typing import Final

from pacemaker.client import connection_limits

# A link on which nothing has arrived for this long sends a probe.
PROBE_AFTER_S: Final = 2.0
# The limit for the answer to a probe; without it, the link ends.
PROBE_TIMEOUT_S: Final = 3.0


class LinkProbes:
    """The probes of one connection, from its announcement on.

    Args:
        now_s: when the announcement was sent.

    Attributes:
        timeout_s: how long the Pacemaker may take to answer a probe.
    """

    def __init__(self, now_s: float) -> None:
        self.timeout_s = connection_limits.PROOF_TIMEOUT_S
        self._rcvd_s = now_s
        # When the unanswered probe was sent; None if there is none.
        self._sent_s: float | None = now_s

    def __repr__(self) -> str:
        return f"<LinkProbes rcvd_s={self._rcvd_s} sent_s={self._sent_s}>"

    @property
    def next_s(self) -> float:
        """When `is_needed` or `is_overdue` next becomes true."""
        if self._sent_s is None:
            return self._rcvd_s + PROBE_AFTER_S
        return self._sent_s + self.timeout_s

    def is_needed(self, now_s: float) -> bool:
        """Return whether to send a probe."""
        return self._sent_s is None and now_s - self._rcvd_s >= PROBE_AFTER_S

    def is_overdue(self, now_s: float) -> bool:
        """Return whether the answer to a probe is overdue."""
        return self._sent_s is not None and now_s - self._sent_s >= self.timeout_s

    def on_sent(self, now_s: float) -> None:
        """Take note that a probe was sent."""
        self._sent_s = now_s

    def on_data(self, now_s: float) -> None:
        """Take note that bytes have arrived."""
        self._rcvd_s = now_s

    def on_reply(self) -> None:
        """Take note that a reply has arrived, which also answers the probe."""
        self._sent_s = None

    def on_sasl_step(self, now_s: float) -> None:
        """Give the Pacemaker its full time after a step that took ours."""
        self._rcvd_s = self._sent_s = now_s

    def on_up(self) -> None:
        """Expect answers sooner, because the Pacemaker is known to answer."""
        self.timeout_s = PROBE_TIMEOUT_S

    def postpone(self, lost_s: float) -> None:
        """Extend the time limits by the seconds in which this process did not run."""
        self._rcvd_s += lost_s
        if self._sent_s is not None:
            self._sent_s += lost_s
