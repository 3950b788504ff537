"""The time limits of one connection: when each began, and which one has passed.

Times are passed in as arguments, so nothing here reads a clock or a socket.
"""

from __future__ import annotations

from pacemaker.server.io import limits


class Deadlines:
    """The time limits of one peer: for its SASL, its frames, its replies and its end.

    A peer that is silent between two requests has no deadline.
    """

    __slots__ = (
        "_frame_began_s",
        "_frame_number",
        "_linger_until_s",
        "_progress_s",
        "_sasl_began_s",
        "_undelivered_bytes",
    )

    def __init__(self) -> None:
        # None while there is no such time.
        self._sasl_began_s: float | None = None
        self._frame_began_s: float | None = None
        self._frame_number = 0
        # When the peer last received any of the unsent bytes, and how many bytes the
        # kernel had to deliver by then.
        self._progress_s = 0.0
        self._undelivered_bytes = 0
        self._linger_until_s = 0.0

    @property
    def has_sasl(self) -> bool:
        """Whether a SASL exchange has begun and is not over."""
        return self._sasl_began_s is not None

    def begin_sasl(self, now_s: float) -> None:
        """Start the clock of a SASL exchange, unless it runs already."""
        if self._sasl_began_s is None:
            self._sasl_began_s = now_s

    def end_sasl(self) -> None:
        """Stop the clock of the SASL exchange."""
        self._sasl_began_s = None

    def is_new_frame(self, number: int) -> bool:
        """Return whether the clock of this frame has yet to be started."""
        return self._frame_began_s is None or self._frame_number != number

    def begin_frame(self, number: int, now_s: float) -> None:
        """Start the clock of a frame."""
        self._frame_number = number
        self._frame_began_s = now_s

    def end_frame(self) -> None:
        """Stop the clock of the frame: none is unfinished, or it is not being read."""
        self._frame_began_s = None

    def note_sent(self, now_s: float, undelivered_bytes: int) -> None:
        """Restart the clock of the replies: some were sent, or begin to wait.

        Args:
            now_s: the time.
            undelivered_bytes: the bytes that the peer's kernel has not acknowledged.
        """
        self._progress_s = now_s
        self._undelivered_bytes = undelivered_bytes

    def look_for_progress(self, now_s: float, undelivered_bytes: int) -> None:
        """Restart the clock of the replies if the peer has acknowledged any bytes.

        Epoll cannot tell: it reports no room to write until a third of the kernel's
        buffer is free, and a slow peer may need minutes for that.
        """
        if undelivered_bytes < self._undelivered_bytes:
            self.note_sent(now_s, undelivered_bytes)

    def begin_linger(self, now_s: float) -> None:
        """Start the clock of a connection that was ended and only discards bytes."""
        self._linger_until_s = now_s + limits.LINGER_S

    def linger_overdue(self, now_s: float) -> str | None:
        """Return that the connection has lingered for long enough; None if not."""
        return "lingering" if now_s > self._linger_until_s else None

    def replies_overdue(self, now_s: float) -> str | None:
        """Return that the peer takes no replies; None if it still has time."""
        is_late = now_s - self._progress_s > limits.SEND_TIMEOUT_S
        return "replies not taken" if is_late else None

    def request_overdue(self, now_s: float, frame_bytes: int) -> str | None:
        """Return what the peer should have finished sending; None if it has time.

        Args:
            now_s: the time.
            frame_bytes: the stated size of the unfinished frame; a large one may take
                longer.
        """
        began_s = self._sasl_began_s
        if began_s is not None and now_s - began_s > limits.SASL_TIMEOUT_S:
            return "SASL exchange not finished"
        if self._frame_began_s is not None:
            allowed_s = limits.FRAME_TIMEOUT_S + frame_bytes / limits.FRAME_BYTES_PER_S
            is_late = now_s - self._frame_began_s > allowed_s
            return "frame not complete" if is_late else None
        return None

    def postpone(self, lost_s: float) -> None:
        """Extend every time limit by the seconds in which this process did not run."""
        if self._frame_began_s is not None:
            self._frame_began_s += lost_s
        if self._sasl_began_s is not None:
            self._sasl_began_s += lost_s
        self._linger_until_s += lost_s
        self._progress_s += lost_s

    def times(self) -> tuple[float, float]:
        """Return when the frame began (0 for none), and when the peer made progress."""
        return self._frame_began_s or 0.0, self._progress_s

    def restore_frame(self, began_s: float) -> None:
        """Continue the clock of a frame that began before an upgrade; 0 for none."""
        self._frame_began_s = began_s or None
