"""The daemon's process: its main thread, from the first signal mask to the end."""

from __future__ import annotations

import logging
import resource
import signal
import time
from collections.abc import Iterable
from typing import Final

from pacemaker.config import Settings
from pacemaker.figures import Figures, describe_minute
from pacemaker.sasl.mechanism import MechanismFactory
from pacemaker.server import limits, memory
from pacemaker.server.daemon import Daemon
from pacemaker.server.flood import FloodFilter
from pacemaker.server.log_writer import LogWriter
from pacemaker.server.notify import Notifier
from pacemaker.server.options import ServerOptions

_logger: Final = logging.getLogger(__name__)

_STOP_SIGNALS: Final = frozenset((signal.SIGTERM, signal.SIGINT))


def run(
    settings: Settings,
    options: ServerOptions,
    mechanism_factory: MechanismFactory | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; a second one ends it at once.

    The caller's is the main thread.

    Raises:
        ListenError: the daemon cannot listen on its address.
    """
    # Blocked here and so in every thread: a signal waits until it is asked for.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    _raise_descriptor_limit()
    memory.use_one_heap()
    flood = FloodFilter()
    with LogWriter(flood):
        daemon = Daemon(settings, options, mechanism_factory)
        daemon.start()
        main_thread = _MainThread(daemon, flood)
        main_thread.serve()
        main_thread.stop()


class _MainThread:
    """Waits for signals, and does what is to be done now and then."""

    def __init__(self, daemon: Daemon, flood: FloodFilter) -> None:
        self._daemon = daemon
        self._flood = flood
        self._notifier = Notifier()
        self._watchdog = daemon.watchdog(self._notifier.alive)
        self._figures = Figures()
        self._next_figures_s = time.monotonic() + limits.FIGURES_EVERY_S

    def serve(self) -> None:
        """Serve until a signal asks for a stop."""
        self._notifier.ready(self._status())
        turn_s = limits.TIDY_EVERY_S
        if self._notifier.watchdog_s is not None:
            turn_s = min(turn_s, self._notifier.watchdog_s / limits.WATCHDOG_TURNS)
        while (caught := _next_signal(turn_s)) is None:
            self._turn()
        _logger.info("%s: stopping", signal.Signals(caught).name)

    def stop(self) -> None:
        """Answer what has come, reset every connection, give everything back."""
        self._notifier.stopping()
        self._daemon.begin_stop()
        while self._daemon.is_serving:
            if _next_signal(limits.STOP_TURN_S) is not None:
                _logger.warning("stopping at once")
                self._daemon.begin_stop(0.0)
        self._daemon.close()
        _warn(self._flood.sum_up())
        _logger.info("stopped")

    def _turn(self) -> None:
        if self._notifier.watchdog_s is not None:
            self._watchdog.turn()
        self._daemon.tidy()
        if time.monotonic() >= self._next_figures_s:
            self._next_figures_s += limits.FIGURES_EVERY_S
            self._write_figures()
            self._notifier.status(self._status())

    def _write_figures(self) -> None:
        now = self._daemon.figures()
        now.largest_pulse_bytes = self._daemon.take_largest()
        _logger.info(describe_minute(self._figures, now, len(self._daemon.store)))
        self._figures = now
        _warn(self._flood.sum_up())

    def _status(self) -> str:
        """Say in a line what is served."""
        connections = self._daemon.figures().connections
        return (
            f"serving on {self._daemon.address}: {connections} connections,"
            f" {len(self._daemon.store)} heartbeats"
        )


def _next_signal(timeout_s: float) -> int | None:
    """Wait for a signal that asks for a stop; None where none came in time.

    A wait that SIGSTOP and SIGCONT interrupt past its end makes CPython return
    what it finds in memory that nobody has written: a signal that is none of
    those asked for, or no signal at all.
    """
    caught = signal.sigtimedwait(_STOP_SIGNALS, timeout_s)
    if caught is None or caught.si_signo not in _STOP_SIGNALS:
        return None
    return caught.si_signo


def _warn(lines: Iterable[str]) -> None:
    for line in lines:
        _logger.warning(line)


def _raise_descriptor_limit() -> None:
    """Raise the soft limit of open descriptors to the hard one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
