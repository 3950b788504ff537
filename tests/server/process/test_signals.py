"""Signals, children and stacks, in this process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from pacemaker.server.process import signals
from pacemaker.server.process.signals import CaughtSignal, Terminal

GIVE_UP_S = 60.0


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Restore the mask and the dispositions."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    handlers = {
        number: signal.getsignal(number) for number in (signal.SIGCHLD, signal.SIGHUP)
    }
    yield
    while signal.sigtimedwait(signals._HANDLED, 0) is not None:
        pass
    for number, handler in handlers.items():
        signal.signal(number, handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def test_signals_are_set_right_whatever_was_inherited() -> None:
    """SIGCHLD is not ignored, and only awaited signals are blocked."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    handled = signals.block_signals()
    assert signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == handled
    assert signal.SIGHUP in handled


def test_hangup_that_is_ignored_is_not_waited_for() -> None:
    """A blocked SIGHUP would stay pending."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert signal.SIGHUP not in signals.block_signals()


@pytest.mark.io
def test_signal_of_a_process_is_not_the_kernels() -> None:
    """A SIGHUP's meaning depends on its sender."""
    # In a process with one thread: pytest's may have others, in which the signal is not
    # blocked, and which it would end.
    done = subprocess.run(
        [sys.executable, "-c", _HANG_UP], capture_output=True, timeout=GIVE_UP_S
    )
    assert (done.returncode, done.stderr) == (0, b"")


_HANG_UP = f"""
import os, signal
from pacemaker.server.process import signals

handled = signals.block_signals()
assert signals.next_signal(handled, 0.0) is None
os.kill(os.getpid(), signal.SIGHUP)
assert signals.next_signal(handled, {GIVE_UP_S}) == signals.CaughtSignal(signal.SIGHUP)
"""


@pytest.mark.parametrize(
    ("was_there", "is_there", "is_from_kernel", "is_gone"),
    [
        (True, True, False, False),
        (True, False, False, True),
        (False, False, False, False),
        (False, False, True, True),
        (True, True, True, True),
    ],
)
def test_hangup_means_what_became_of_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
    was_there: bool,
    is_there: bool,
    is_from_kernel: bool,
    is_gone: bool,
) -> None:
    """A daemon without a terminal cannot lose it; a SIGHUP of the kernel is enough."""
    monkeypatch.setattr(signals, "_has_terminal", lambda: was_there)
    terminal = Terminal()
    monkeypatch.setattr(signals, "_has_terminal", lambda: is_there)
    assert terminal.is_gone(CaughtSignal(signal.SIGHUP, is_from_kernel)) is is_gone


def _ended_child() -> subprocess.Popen[bytes]:
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    return child


@pytest.mark.io
def test_strangers_are_reaped_and_the_own_child_is_not() -> None:
    """Other children are reaped; our own child is left to whoever waits for it."""
    own = _ended_child()
    signals.reap_orphans(own.pid)
    assert own.wait() == 0
    strangers = [_ended_child() for _ in range(3)]
    signals.reap_orphans(None)
    for stranger in strangers:
        with pytest.raises(ChildProcessError):
            os.waitpid(stranger.pid, 0)
        stranger.returncode = 0
    # Without any child that has ended, or any child at all, nothing happens.
    signals.reap_orphans(None)


def test_stacks_say_what_each_thread_does() -> None:
    """A line for each, the innermost call last."""
    (main,) = [line for line in signals.stacks() if "MainThread" in line]
    assert "test_stacks_say_what_each_thread_does (test_signals.py:" in main
    assert main.count("\n") == 0
