"""Waking a thread that waits for descriptors."""

from __future__ import annotations

import contextlib
import os
import threading


class WakeUp:
    """A descriptor that becomes readable when another thread wants to be heard.

    The waiting thread waits for `fd` beside its other descriptors, and calls `clear`
    before it looks at what it was woken for.

    Attributes:
        fd: the descriptor to wait for.
    """

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        # Guards against use after `close`: the number of a closed descriptor is soon
        # used again, and a late wake-up would write into somebody else's file.
        self._lock = threading.Lock()
        self._is_closed = False
        # Whether it has been woken since the last `clear`.
        self._is_woken = False

    def wake(self) -> None:
        """End the current wait, or else the next one.  Any thread may call this."""
        # Thousands of new connections wake a thread far more often than it can look.
        # This needs no lock: whoever finds it set has made its work known before, and
        # `clear` comes before the thread looks for work.
        if self._is_woken:
            return
        with self._lock:
            if not self._is_closed:
                self._is_woken = True
                os.eventfd_write(self.fd, 1)

    def clear(self) -> None:
        """Make the descriptor unreadable until the next `wake`.

        Call this first and look at what there is to do afterwards.  In the other order,
        a wake-up that comes in between would be lost.
        """
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.fd)
        # Not before: a wake-up in between would be read here, and all later ones would
        # be skipped.
        self._is_woken = False

    def close(self) -> None:
        """Close the descriptor; `wake` has no effect from now on."""
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                os.close(self.fd)
