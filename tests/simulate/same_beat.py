"""A worker whose heartbeats are all the same, for tests of the senders."""

from __future__ import annotations


class SameBeat:
    """Always the same heartbeat.

    Args:
        details: the heartbeat.
    """

    def __init__(self, details: bytes) -> None:
        self._details = details

    def at(self, number: int, scheduled_s: float) -> bytes:
        """Return it."""
        return self._details
