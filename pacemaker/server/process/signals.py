"""The signals that the daemon handles, and how its main thread waits for them.

They are blocked in every thread, so each one stays pending until the main thread asks
for it.  None of them interrupts anything, and after an upgrade the new process gets
those that came in between.
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
# SIGCHLD means that a trial may be over.
_HANDLED: Final = (
    STOP_SIGNALS | RELOAD_SIGNALS | {signal.SIGUSR1, signal.SIGQUIT, signal.SIGCHLD}
)


class CaughtSignal(NamedTuple):
    """A signal that was received.

    Attributes:
        number: the signal number.
        is_from_kernel: whether the kernel sent it and not a process.
    """

    number: int
    is_from_kernel: bool = False


def block_signals() -> frozenset[signal.Signals]:
    """Block the signals that the daemon handles, and return them.

    Call this in the main thread, before other threads start.  It resets the signals
    that the parent process has blocked or ignored: if SIGCHLD were ignored, the kernel
    would discard the outcome of a trial.  Only SIGHUP stays ignored if it was, because
    that is the purpose of `nohup`.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    handled = _HANDLED
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        handled -= {signal.SIGHUP}
    # Replace the mask and do not add to it, because blocked signals are inherited.
    signal.pthread_sigmask(signal.SIG_SETMASK, handled)
    return handled


def next_signal(
    wanted: frozenset[signal.Signals], timeout_s: float
) -> CaughtSignal | None:
    """Wait for one of the wanted signals; return None if none came in time.

    If SIGSTOP and SIGCONT interrupt the wait past its end, CPython returns the contents
    of uninitialized memory: a signal that was not asked for, or no signal at all.
    """
    caught = signal.sigtimedwait(wanted, timeout_s)
    if caught is None or caught.si_signo not in wanted:
        return None
    # SI_USER and the other codes of signals from processes are <= 0 (sigaction(2)).
    return CaughtSignal(caught.si_signo, caught.si_code > 0)


class Terminal:
    """The controlling terminal of this process, if it has one.

    SIGHUP has two meanings.  From an administrator or a supervisor it means "reload".
    It can also mean "your terminal is gone".  That one comes from the kernel, or from a
    shell that passes it on to its jobs, and by then the terminal cannot be opened.
    """

    def __init__(self) -> None:
        self._was_there = _has_terminal()

    def is_gone(self, hangup: CaughtSignal) -> bool:
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


def reap_orphans(own_pid: int | None) -> None:
    """Reap ended children that this program did not start.

    As process 1 of a container, the daemon inherits every orphan.  A wrapper that
    executes the daemon with `exec` may also leave it children.  The daemon's own child
    is left to the code that waits for its exit code.

    Args:
        own_pid: the process id of the daemon's own child, if there is one.
    """
    options = os.WEXITED | os.WNOHANG
    with suppress(ChildProcessError):  # there are no children
        while (ended := os.waitid(os.P_ALL, 0, options | os.WNOWAIT)) is not None:
            if ended.si_pid == own_pid:
                # Its owner reaps it in the next turn; this function then reaps the
                # children after it.
                return
            os.waitid(os.P_PID, ended.si_pid, options)


def stacks() -> Iterator[str]:
    """Yield a line for each thread: its call stack, the innermost call last."""
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
