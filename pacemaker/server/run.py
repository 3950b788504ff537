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
from pacemaker.sasl import ServerSasl
from pacemaker.server import limits, memory
from pacemaker.server.daemon import Daemon
from pacemaker.server.flood import FloodFilter
from pacemaker.server.garbage import avoid_full_collections
from pacemaker.server.listening import is_handed_over
from pacemaker.server.log_writer import LogWriter
from pacemaker.server.notify import Notifier
from pacemaker.server.options import ServerOptions
from pacemaker.server.upgrade.inheritance import inherit
from pacemaker.server.upgrade.upgrader import Upgrader
from pacemaker.server.upgrade.waiters import Waiters

_logger: Final = logging.getLogger(__name__)

_STOP_SIGNALS: Final = frozenset((signal.SIGTERM, signal.SIGINT))
# That of a child says that a trial may be over.
_SIGNALS: Final = _STOP_SIGNALS | {signal.SIGUSR2, signal.SIGCHLD}


def run(
    settings: Settings, options: ServerOptions, sasl: ServerSasl | None = None
) -> None:
    """Serve until SIGTERM or SIGINT; a second one ends it at once.

    SIGUSR2 upgrades it in place: the process then starts anew, and gets here
    again.  The caller's is the main thread.

    Raises:
        ListenError: the daemon cannot listen on its address.
    """
    # Blocked here and so in every thread: a signal waits until it is asked for.
    # After an upgrade they are blocked already, and one that came since waits.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    _raise_descriptor_limit()
    memory.use_one_heap()
    avoid_full_collections()
    sasl = ServerSasl(None) if sasl is None else sasl
    flood = FloodFilter()
    with LogWriter(flood) as log:
        inherited = inherit(sasl.identity)
        is_own_listener = not is_handed_over()
        if inherited is not None:
            is_own_listener = inherited.is_own_listener
        daemon = Daemon(settings, options, sasl.factory)
        if not is_own_listener:
            _logger.info(
                "using the listening socket that was handed over;"
                " pacemaker.port and --bind have no effect"
            )
        if inherited is not None:
            inherited.restore(daemon)
        daemon.start()
        if inherited is not None:
            inherited.log(daemon)
        upgrader = Upgrader(
            daemon,
            sasl.identity,
            settings.port if is_own_listener else None,
            Waiters.open() if inherited is None else inherited.waiters,
            notifier := Notifier(),
            log,
        )
        main_thread = _MainThread(daemon, flood, notifier, upgrader)
        main_thread.serve()
        main_thread.stop()


class _MainThread:
    """Waits for signals, and does what is to be done now and then."""

    def __init__(
        self,
        daemon: Daemon,
        flood: FloodFilter,
        notifier: Notifier,
        upgrader: Upgrader,
    ) -> None:
        self._daemon = daemon
        self._flood = flood
        self._notifier = notifier
        self._upgrader = upgrader
        self._watchdog = daemon.watchdog(self._notifier.alive)
        self._figures = Figures()
        self._next_figures_s = time.monotonic() + limits.FIGURES_EVERY_S

    def serve(self) -> None:
        """Serve until a signal asks for a stop."""
        self._upgrader.serving(self._status())
        turn_s = limits.TIDY_EVERY_S
        if self._notifier.watchdog_s is not None:
            turn_s = min(turn_s, self._notifier.watchdog_s / limits.WATCHDOG_TURNS)
        while (caught := self._await_signal(turn_s)) not in _STOP_SIGNALS:
            if caught == signal.SIGUSR2:
                self._upgrader.begin()
            self._turn()
        _logger.info("%s: stopping", signal.Signals(caught).name)

    def _await_signal(self, timeout_s: float) -> int:
        """Wait for a signal; 0 where none came in time.

        While an upgrade is tried another request for one is left where it is:
        it is taken when the first is refused, or by the new process.
        """
        if self._upgrader.is_trying:
            return _next_signal(_STOP_SIGNALS | {signal.SIGCHLD}, timeout_s)
        return _next_signal(_SIGNALS, timeout_s)

    def stop(self) -> None:
        """Answer what has come, reset every connection, give everything back."""
        self._notifier.stopping()
        self._upgrader.close()
        self._daemon.begin_stop()
        while self._daemon.is_serving:
            if _next_signal(_STOP_SIGNALS, limits.STOP_TURN_S):
                _logger.warning("stopping at once")
                self._daemon.begin_stop(0.0)
        self._daemon.close()
        _log(self._flood.sum_up())
        _logger.info("stopped")

    def _turn(self) -> None:
        self._notifier.turn()
        if self._notifier.watchdog_s is not None:
            self._watchdog.turn()
        self._upgrader.turn()
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
        _log(self._flood.sum_up())

    def _status(self) -> str:
        """Say in a line what is served."""
        connections = self._daemon.figures().connections
        return (
            f"serving on {self._daemon.address}: {connections} connections,"
            f" {len(self._daemon.store)} heartbeats"
        )


def _next_signal(wanted: frozenset[signal.Signals], timeout_s: float) -> int:
    """Wait for one of some signals; 0 where none came in time.

    A wait that SIGSTOP and SIGCONT interrupt past its end makes CPython return
    what it finds in memory that nobody has written: a signal that is none of
    those asked for, or no signal at all.
    """
    caught = signal.sigtimedwait(wanted, timeout_s)
    if caught is None or caught.si_signo not in wanted:
        return 0
    return caught.si_signo


def _log(lines: Iterable[tuple[int, str]]) -> None:
    for level, line in lines:
        _logger.log(level, line)


def _raise_descriptor_limit() -> None:
    """Raise the soft limit of open descriptors to the hard one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
