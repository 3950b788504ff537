"""The signals that the daemon heeds, and how its main thread waits for them.

They are blocked in every thread, so each one waits until the main thread asks for
it: none interrupts anything, and after an upgrade the new process gets what came
in between.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from types import FrameType
from typing import Final, NamedTuple

STOP_SIGNALS: Final = frozenset((signal.SIGTERM, signal.SIGINT))
RELOAD_SIGNALS: Final = frozenset((signal.SIGUSR2, signal.SIGHUP))
# SIGCHLD says that a trial may be over.
_HEEDED: Final = (
    STOP_SIGNALS | RELOAD_SIGNALS | {signal.SIGUSR1, signal.SIGQUIT, signal.SIGCHLD}
)


class Caught(NamedTuple):
    """A signal that came.

    Attributes:
        number: which one.
        is_from_kernel: whether no process sent it.
    """

    number: int
    is_from_kernel: bool = False


def set_up() -> frozenset[signal.Signals]:
    """Block the signals that the daemon heeds, and return them.

    To be called in the main thread, before there are others.  What whoever started
    the daemon has blocked or ignored is set right: if SIGCHLD were ignored, the
    kernel would throw the outcome of a trial away.  Only SIGHUP stays ignored if it
    was, because that is what `nohup` is for.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    heeded = _HEEDED
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        heeded -= {signal.SIGHUP}
    # Set, not added to: blocked signals are inherited.
    signal.pthread_sigmask(signal.SIG_SETMASK, heeded)
    return heeded


def next_signal(wanted: frozenset[signal.Signals], timeout_s: float) -> Caught | None:
    """Wait for one of some signals; None if none came in time.

    A wait that SIGSTOP and SIGCONT interrupt past its end makes CPython return
    what it finds in memory that nobody has written: a signal that is none of
    those asked for, or no signal at all.
    """
    caught = signal.sigtimedwait(wanted, timeout_s)
    if caught is None or caught.si_signo not in wanted:
        return None
    # SI_USER and its kind are 0 or less (sigaction(2)).
    return Caught(caught.si_signo, caught.si_code > 0)


class Terminal:
    """The controlling terminal of this process, if it has one.

    A SIGHUP means two things: "reload", if an administrator or a supervisor sends
    it, and "your terminal is gone".  The second comes from the kernel, or from a
    shell that passes it on to its jobs; by then the terminal cannot be opened.
    """

    def __init__(self) -> None:
        self._was_there = _has_terminal()

    def is_gone(self, hangup: Caught) -> bool:
        """Return whether a SIGHUP came because the terminal was closed."""
        if hangup.is_from_kernel:
            return True
        return self._was_there and not _has_terminal()


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def reap_strangers(own_pid: int | None) -> None:
    """Reap children that have ended and that this program did not start.

    As process 1 of a container the daemon gets every orphan, and whoever becomes
    it by `exec` may leave it children.  A child of our own is left to the one who
    waits for its exit code.

    Args:
        own_pid: the child of our own, if there is one.
    """
    options = os.WEXITED | os.WNOHANG
    with suppress(ChildProcessError):  # there are no children
        while (ended := os.waitid(os.P_ALL, 0, options | os.WNOWAIT)) is not None:
            if ended.si_pid == own_pid:
                # Reaped in the next turn; those after it are reaped then.
                return
            os.waitid(os.P_PID, ended.si_pid, options)


def stacks() -> Iterator[str]:
    """Give a line for each thread: where it is, the innermost call last."""
    frames = sys._current_frames()
    for thread in threading.enumerate():
        frame = frames.get(thread.ident or 0)
        if frame is not None:
            yield f"thread {thread.name}: {' > '.join(reversed(list(_calls(frame))))}"


def _calls(frame: FrameType | None) -> Iterator[str]:
    while frame is not None:
        code = frame.f_code
        file = os.path.basename(code.co_filename)  # noqa: PTH119  (Path is slower)
        yield f"{code.co_name} ({file}:{frame.f_lineno})"
        frame = frame.f_back
