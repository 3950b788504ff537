"""The daemon's main thread, from setting the signal mask to the end of the process."""

from __future__ import annotations

import logging
import signal
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from pacemaker.config import Settings
from pacemaker.core.figures import Figures, describe_minute
from pacemaker.errors import ListenError
from pacemaker.sasl.mechanism import MechanismFactory
from pacemaker.sasl.setup import ServerSasl
from pacemaker.server import limits, status
from pacemaker.server.admin import AdminEndpoint
from pacemaker.server.daemon import Daemon
from pacemaker.server.io.limits import STOP_POLL_S
from pacemaker.server.io.listeners import has_inherited_listeners
from pacemaker.server.options import ServerOptions
from pacemaker.server.process import environment, memory, signals
from pacemaker.server.process.flood import FloodFilter
from pacemaker.server.process.garbage import avoid_full_collections
from pacemaker.server.process.log_writer import LogWriter
from pacemaker.server.process.notify import Notifier
from pacemaker.server.process.signals import RELOAD_SIGNALS, STOP_SIGNALS, CaughtSignal
from pacemaker.server.process.threads import switch_often
from pacemaker.server.status import StatusSocket
from pacemaker.server.upgrade.inheritance import Inheritance, inherit
from pacemaker.server.upgrade.trial import check_upgrade, proof_of, read_sample
from pacemaker.server.upgrade.upgrader import Upgrader
from pacemaker.server.upgrade.waiters import Waiters
from pacemaker.texts import counted

_logger: Final = logging.getLogger(__name__)

_NO_SASL: Final = ServerSasl(None)


class DaemonFactory(Protocol):
    """Makes the daemon; `Daemon` itself, for ``serve``."""

    def __call__(
        self,
        settings: Settings,
        options: ServerOptions,
        mechanism_factory: MechanismFactory | None,
        listeners: Sequence[socket.socket] | None,
    ) -> Daemon:
        """Return a daemon that does not serve yet."""


def run(
    settings: Settings,
    options: ServerOptions,
    sasl: ServerSasl = _NO_SASL,
    make_daemon: DaemonFactory = Daemon,
) -> None:
    """Serve until SIGTERM or SIGINT; a second one stops the daemon at once.

    SIGUSR2 and SIGHUP upgrade the daemon in place: the process executes itself again
    and calls this function again.  Must be called from the main thread.

    Raises:
        ListenError: the daemon cannot listen on its address.
        StartError: the system refuses something that the start needs.
    """
    handled_signals = _prepare_process()
    _logger.info(environment.describe_program())
    with environment.as_start_error():
        flood = FloodFilter()
        with LogWriter(flood) as log:
            inherited = inherit(sasl.identity)
            # Before the port is opened, so that `/readyz` answers by then.  Closed in
            # any case: a start that fails must leave no file of a Unix socket.
            with closing(_admin(options, sasl, inherited)) as admin:
                main_thread = _MainThread(
                    _Process(handled_signals, log, flood),
                    _Plan(settings, options, sasl, make_daemon),
                    inherited,
                    admin,
                )
                main_thread.start()
                main_thread.serve()
                main_thread.stop()


def _admin(
    options: ServerOptions, sasl: ServerSasl, inherited: Inheritance | None
) -> AdminEndpoint:
    is_gated = sasl.factory is not None
    if inherited is None:
        return AdminEndpoint(options.admin, is_gated)
    try:
        return AdminEndpoint(
            options.admin, is_gated, inherited.admin_fd, inherited.upgrades
        )
    except ListenError as exc:
        # The storm.yaml that the upgrade read has a new endpoint, which the trial does
        # not open.  There is no way back to the old process, and to end here would lose
        # every heartbeat for an address that only administrators use.
        _logger.error("the daemon serves without its admin endpoint: %s", exc)
        return AdminEndpoint(None, upgrades=inherited.upgrades)


def dry_run(
    settings: Settings,
    options: ServerOptions,
    sasl: ServerSasl,
    wanted: str,
    make_daemon: DaemonFactory = Daemon,
) -> str:
    """Go through all of `run` except the sockets, in the child that tries an upgrade.

    Args:
        settings: Storm's configuration.
        options: the other options.
        sasl: authenticates the clients.
        wanted: the argument from the running daemon; see `trial_arguments`.
        make_daemon: makes the daemon.

    Returns:
        The proof that the running daemon expects (`trial.proof_of`).

    Raises:
        UpgradeError: it cannot be upgraded.
        StartError: the system refuses something that the start needs.
    """
    check_upgrade(wanted, settings.port)
    handled_signals = _prepare_process()
    sample = read_sample(wanted)
    with environment.as_start_error():
        flood = FloodFilter()
        with LogWriter(flood) as log:
            main_thread = _MainThread(
                _Process(handled_signals, log, flood),
                _Plan(settings, options, sasl, make_daemon),
                Inheritance(sample),
                # The trial of an upgrade has no sockets.
                AdminEndpoint(None),
                listeners=(),
            )
            main_thread.start()
            main_thread.turn()
            main_thread.stop()
    return "" if sample is None else proof_of(sample)


def _prepare_process() -> frozenset[signal.Signals]:
    """Set up the process as a whole, and return the signals to wait for."""
    # Before any thread starts, because threads inherit the mask: each signal then stays
    # pending until the main thread asks for it.  After an upgrade the signals are
    # already blocked, and those that came in between are pending.
    handled_signals = signals.block_signals()
    environment.raise_descriptor_limit()
    memory.use_one_heap()
    avoid_full_collections()
    switch_often()
    return handled_signals


@dataclass(frozen=True, slots=True)
class _Process:
    """The process, set up for a daemon.

    Attributes:
        handled_signals: the signals to wait for; they are blocked.
        log: the log writer; it must have been entered.
        flood: the filter of that log.
    """

    handled_signals: frozenset[signal.Signals]
    log: LogWriter
    flood: FloodFilter


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which daemon is wanted.

    Attributes:
        settings: Storm's configuration.
        options: the other options.
        sasl: authenticates the clients.
        make_daemon: makes the daemon.
    """

    settings: Settings
    options: ServerOptions
    sasl: ServerSasl
    make_daemon: DaemonFactory

    def daemon(self, listeners: Sequence[socket.socket] | None) -> Daemon:
        """Return the daemon, which does not serve yet; for `listeners` see `Daemon`."""
        return self.make_daemon(
            self.settings, self.options, self.sasl.factory, listeners
        )


class _MainThread:
    """Assembles the daemon, waits for signals, and does the housekeeping.

    Args:
        process: the process that it is in.
        plan: which daemon is wanted.
        inherited: the inheritance from before an upgrade; None if there was none.
        admin: the admin endpoint; the caller closes it.
        listeners: see `Daemon`.
    """

    def __init__(
        self,
        process: _Process,
        plan: _Plan,
        inherited: Inheritance | None,
        admin: AdminEndpoint,
        listeners: Sequence[socket.socket] | None = None,
    ) -> None:
        # Open everything that needs a descriptor or a file before the daemon serves.
        # Once it serves, connections may leave none free.
        is_own_listener = not has_inherited_listeners()
        self._admin = admin
        if inherited is not None:
            is_own_listener = inherited.is_own_listener
        self._handled_signals = process.handled_signals
        self._flood = process.flood
        self._inherited = inherited
        self._daemon = plan.daemon(listeners)
        self._notifier = Notifier()
        self._terminal = signals.Terminal()
        self._upgrader = Upgrader(
            self._daemon,
            plan.sasl.identity,
            plan.settings.port if is_own_listener else None,
            Waiters.open() if inherited is None else inherited.waiters,
            self._notifier,
            self._admin,
            process.log,
        )
        self._watchdog = self._daemon.watchdog(self._notifier.feed_watchdog)
        # The trial of an upgrade answers nobody.
        self._status_socket = StatusSocket(is_open=listeners is None)
        self._began_s = time.time()
        self._port_hint = ""
        if not is_own_listener:
            self._log_overridden_settings(plan.settings.port)
        self._figures = Figures()
        self._next_figures_s = time.monotonic() + limits.FIGURES_EVERY_S

    def _log_overridden_settings(self, port: int) -> None:
        """Log which settings a handed-over socket overrides."""
        _logger.info(
            "using the listening socket that was handed over;"
            " pacemaker.port and --bind have no effect"
        )
        if port and self._daemon.ports and port not in self._daemon.ports:
            self._port_hint = f"; but clients connect to pacemaker.port, {port}"
            _logger.warning(
                "the socket that was handed over listens on %s, but clients connect to"
                " pacemaker.port, %d: make ListenStream= of the socket unit and"
                " pacemaker.port the same",
                self._daemon.address,
                port,
            )

    def start(self) -> None:
        """Start the daemon with its inheritance, if there is any.

        Raises:
            StartError: its threads cannot be started.
        """
        if self._inherited is not None:
            self._inherited.restore(self._daemon)
        self._daemon.start()
        if self._inherited is not None:
            self._attempt(partial(self._inherited.log, self._daemon))
        self._admin.announce_serving(self._daemon)
        self._attempt(lambda: self._upgrader.announce_serving(self._status_line()))

    def serve(self) -> None:
        """Serve until a signal asks for a stop."""
        turn_s = limits.TIDY_EVERY_S
        if self._notifier.watchdog_s is not None:
            turn_s = min(turn_s, self._notifier.watchdog_s / limits.WATCHDOG_TURNS)
        while not self._asks_to_stop(caught := self._await_signal(turn_s)):
            if caught is not None:
                self._attempt(partial(self._handle, caught.number))
            self.turn()

    def _await_signal(self, timeout_s: float) -> CaughtSignal | None:
        """Wait for a signal; return None if none came in time.

        During the trial of an upgrade, further requests for an upgrade stay pending.
        They are handled once the first is refused, or by the new process.
        """
        if self._upgrader.is_trying:
            return signals.next_signal(
                self._handled_signals - RELOAD_SIGNALS, timeout_s
            )
        return signals.next_signal(self._handled_signals, timeout_s)

    def _asks_to_stop(self, caught: CaughtSignal | None) -> bool:
        if caught is None:
            return False
        if caught.number in STOP_SIGNALS:
            _logger.info("%s: stopping", signal.Signals(caught.number).name)
            return True
        if caught.number == signal.SIGHUP and self._terminal.is_gone(caught):
            _logger.info("SIGHUP: the terminal was closed: stopping")
            return True
        return False

    def _handle(self, number: int) -> None:
        if number in RELOAD_SIGNALS:
            self._upgrader.begin()
        elif number == signal.SIGUSR1:
            self._write_figures()
        elif number == signal.SIGQUIT:
            _log((logging.INFO, line) for line in signals.stacks())

    def stop(self) -> None:
        """Answer what has arrived, reset every connection, and close everything."""
        self._admin.announce_stopping()
        self._attempt(self._notifier.announce_stopping)
        self._attempt(self._upgrader.close)
        self._daemon.begin_stop()
        while self._daemon.is_serving:
            self._attempt(self._notifier.send_unsent)
            if signals.next_signal(STOP_SIGNALS, STOP_POLL_S):
                _logger.warning("stopping at once")
                self._daemon.begin_stop(0.0)
        self._daemon.close()
        self._attempt(self._admin.close)
        self._status_socket.close()
        self._notifier.close()
        _log(self._flood.sum_up())
        _logger.info("stopped")

    def turn(self) -> None:
        """Do the periodic housekeeping.  A failed part is tried again next turn."""
        self._attempt(self._notifier.send_unsent)
        self._attempt(self._admin.check_threads)
        self._attempt(lambda: self._status_socket.answer_waiting(self._status))
        if self._notifier.watchdog_s is not None:
            self._attempt(self._watchdog.check)
        self._attempt(self._upgrader.check)
        self._attempt(lambda: signals.reap_orphans(self._upgrader.child_pid))
        self._attempt(self._daemon.tidy)
        if time.monotonic() >= self._next_figures_s:
            self._next_figures_s += limits.FIGURES_EVERY_S
            self._attempt(self._write_figures)
            self._attempt(lambda: self._notifier.announce_status(self._status_line()))

    def _attempt(self, function: Callable[[], object]) -> None:
        """Call a function; an exception is logged and ends neither turn nor daemon."""
        try:
            function()
        except Exception:
            _logger.exception("internal error in the main thread")

    def _write_figures(self) -> None:
        now = self._daemon.figures()
        now.largest_pulse_bytes = self._daemon.take_largest_pulse_bytes()
        _logger.info(describe_minute(self._figures, now, len(self._daemon.store)))
        for line in self._daemon.extra_log_lines():
            _logger.info(line)
        self._figures = now
        _log(self._flood.sum_up())

    def _status(self) -> status.Status:
        """Return the status, for the command `status`."""
        about = status.describe(
            self._daemon.measurements(),
            address=self._daemon.address,
            hold_until_s=self._daemon.hold_until_s,
        )
        upgrades = 0 if self._inherited is None else self._inherited.upgrades
        done = status.describe_upgrades(
            upgrades, self._began_s, self._upgrader.last_refusal
        )
        process = status.describe_process()
        return {**process, **about, "admin": self._admin.address, "upgrades": done}

    def _status_line(self) -> str:
        """Describe in one line what the daemon serves, for systemd."""
        connections = self._daemon.figures().connections
        return (
            f"serving on {self._daemon.address}: {counted(connections, 'connection')},"
            f" {counted(len(self._daemon.store), 'heartbeat')}{self._port_hint}"
        )


def _log(lines: Iterable[tuple[int, str]]) -> None:
    for level, line in lines:
        _logger.log(level, line)
