"""What the relay knows of one Pacemaker's state."""

from __future__ import annotations

from enum import Enum

from pacemaker.relay.core import limits


class ReadLinkPhase(Enum):
    """The state of the connection for reads."""

    CLOSED = "closed"  # nobody has read anything yet
    OPENING = "opening"  # for the first time
    UP = "up"
    DOWN = "down"


class PacemakerState:
    """The state of one Pacemaker.

    Attributes:
        up_s: since when its connection for pulses is up; None while it is down.
        read_link: the state of its connection for reads.
        is_slow: whether it has let a read wait for too long.
    """

    def __init__(self) -> None:
        self.up_s: float | None = None
        self.read_link = ReadLinkPhase.CLOSED
        self.is_slow = False
        # Since when its reads have had no interruption, and when it last ceased to be
        # complete.
        self._read_link_since_s = float("-inf")
        self._lost_s = float("-inf")

    def __repr__(self) -> str:
        return (
            f"<PacemakerState up_s={self.up_s} read_link={self.read_link}"
            f" slow={self.is_slow}>"
        )

    def is_complete(self, now_s: float) -> bool:
        """Whether it knows the heartbeat of every worker that is alive."""
        if self.up_s is None:
            return False
        return (
            now_s - max(self.up_s, self._read_link_since_s) >= limits.COMPLETE_AFTER_S
        )

    def may_know_newer(self, now_s: float) -> bool:
        """Whether it is complete, or was a moment ago."""
        return self.is_complete(now_s) or now_s - self._lost_s < limits.OLDER_HIT_HELD_S

    def pulses_up(self, now_s: float) -> None:
        """Note that its connection for pulses is up."""
        self.up_s = now_s

    def pulses_down(self, now_s: float) -> None:
        """Note that its connection for pulses has ended."""
        self._note_loss(now_s)
        self.up_s = None

    def reads_up(self, now_s: float) -> None:
        """Note that its connection for reads is up."""
        # The first one is opened by the first read, and interrupts nothing.
        if self.read_link is ReadLinkPhase.DOWN:
            self._read_link_since_s = now_s
        self.read_link = ReadLinkPhase.UP
        self.is_slow = False

    def reads_down(self, now_s: float) -> None:
        """Note that its connection for reads has ended, or cannot be opened."""
        self._note_loss(now_s)
        self._read_link_since_s = now_s
        self.read_link = ReadLinkPhase.DOWN

    def _note_loss(self, now_s: float) -> None:
        if self.is_complete(now_s):
            self._lost_s = now_s
