"""An upgrade in place, from the request to `execve` or to the refusal."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import time
from typing import Final

from pacemaker.core.carried_over import State
from pacemaker.errors import UpgradeError
from pacemaker.sasl.secret import Secret
from pacemaker.server.process import memory
from pacemaker.server.process.barrier import Barrier
from pacemaker.server.process.clocks import boot_time_s, boottime_ahead_s
from pacemaker.server.process.log_writer import LogWriter
from pacemaker.server.process.notify import Notifier
from pacemaker.server.upgrade.command import own_command
from pacemaker.server.upgrade.execute import become
from pacemaker.server.upgrade.memfd import write_state
from pacemaker.server.upgrade.security import security_digest
from pacemaker.server.upgrade.state_format import KEY_BYTES
from pacemaker.server.upgrade.trial import Trial, trial_arguments
from pacemaker.server.upgrade.upgradable import Upgradable
from pacemaker.server.upgrade.waiters import REFUSED, SERVES, Waiters
from pacemaker.words import counted

_logger: Final = logging.getLogger(__name__)

# A turn of a loop takes some milliseconds.  A client asks again after a second.
PARK_TIMEOUT_S: Final = 1.0

# What the trial may take beside the daemon, and what little things add.
_TRIAL_BYTES: Final = 64 * 1024 * 1024
# More than an upgrade opens at once: the trial's files and pipe, the state, copies of
# the listeners, and in the next process what a start reads.
_NEEDED_FDS: Final = 16


class Upgrader:
    """Takes the daemon through an upgrade.  Only the main thread calls it.

    Args:
        daemon: serves.
        identity: all that decides who may read; see `ServerSasl`.
        port: the configured port, for the trial to compare; None where the
            listening socket came from elsewhere.
        waiters: are told the outcome.
        notifier: tells systemd.
        log: is written to its end before the process is another.
    """

    def __init__(
        self,
        daemon: Upgradable,
        identity: Secret,
        port: int | None,
        waiters: Waiters,
        notifier: Notifier,
        log: LogWriter,
    ) -> None:
        self._daemon = daemon
        self._command = own_command()
        self._identity = identity
        self._port = port
        self._waiters = waiters
        self._notifier = notifier
        self._log = log
        self._trial: Trial | None = None

    @property
    def is_trying(self) -> bool:
        """Whether a trial is under way; `turn` is to be called now and then."""
        return self._trial is not None

    def serving(self, status: str) -> None:
        """Tell that the daemon serves, anew or after an upgrade."""
        self._notifier.ready(status)
        self._waiters.tell(SERVES)

    @property
    def child_pid(self) -> int | None:
        """The trial's process id; None if none is under way."""
        return None if self._trial is None else self._trial.pid

    def begin(self) -> None:
        """Begin with the trial; whatever goes wrong is a refusal."""
        try:
            self._waiters.accept()
            self._notifier.reloading()
            _logger.info("upgrade: trying the new one")
            self._check_descriptors()
            self._check_memory(_TRIAL_BYTES)
            command = self._command.with_arguments(*trial_arguments(self._port))
            self._trial = Trial(command, self._state(boot_time_s(), sampled=True))
        except Exception as exc:
            self._refuse(_reason(exc, "the new one cannot be started"))

    def turn(self) -> None:
        """Go on if the trial is over.  Does not return if all goes well."""
        if self._trial is None:
            # Any local user may connect, and would keep out who may ask.
            self._waiters.accept()
            return
        try:
            reason = self._trial.outcome()
        except Exception as exc:
            reason = _reason(exc, "the trial of the new one is lost")
        if reason is None:
            return
        self._trial = None
        if not reason:
            reason = self._become()
        self._refuse(reason)

    def close(self) -> None:
        """Give up what is under way, since the daemon stops."""
        if self._trial is not None:
            self._trial.end()
        self._waiters.close(f"{REFUSED}the daemon is stopping")

    def _refuse(self, reason: str) -> None:
        _logger.error("upgrade refused, serving on: %s", reason)
        self._waiters.tell(f"{REFUSED}{reason}")
        self._notifier.ready(f"upgrade refused: {reason}")

    def _check_memory(self, more_bytes: int) -> None:
        """See that there is room for a second copy of all that is held.

        What passes a limit is killed, without an error.  When it cannot be found
        out what is free (/proc is hidden, or no descriptor is left to read it), the
        upgrade goes on: more often than not there is room.
        """
        needed_bytes = self._daemon.held_bytes + more_bytes
        free_bytes = memory.free_bytes()
        if free_bytes is None:
            _logger.warning(
                "upgrade: cannot find out how much memory is free; going on"
                " as if there were the %d MiB that are needed",
                needed_bytes // 2**20,
            )
            return
        if needed_bytes > free_bytes:
            raise UpgradeError(
                f"not enough memory: {needed_bytes // 2**20} MiB are needed for the"
                f" time of the upgrade, {free_bytes // 2**20} MiB are free"
            )

    def _check_descriptors(self) -> None:
        """See that the trial, the state and the next process can open their files.

        The next process has as many as this one, and once it is there it is too late.
        """
        with contextlib.ExitStack() as opened:
            try:
                for _ in range(_NEEDED_FDS):
                    opened.callback(os.close, os.open(os.devnull, os.O_RDONLY))
            except OSError as exc:
                raise UpgradeError(
                    f"{_NEEDED_FDS} descriptors are needed: {exc.strerror}; raise the"
                    " limit (ulimit -n, LimitNOFILE=, prlimit), or wait until there"
                    " are fewer connections"
                ) from exc

    def _become(self) -> str:
        """Become the new one; where that fails, return why, and serve on."""
        if not self._log.flush():
            return "the log is not taken: a new process would stand still"
        barrier = Barrier()
        try:
            self._daemon.park(barrier, time.monotonic() + PARK_TIMEOUT_S)
            self._hand_over()
        except Exception as exc:
            return _reason(exc, "the state cannot be handed over")
        finally:
            barrier.release()
        raise AssertionError("execve returned")

    def _hand_over(self) -> None:
        parked_s = boot_time_s()
        self._check_descriptors()
        self._check_memory(0)
        self._waiters.accept()
        connections, lost = self._daemon.connection_states(boottime_ahead_s())
        state = self._state(parked_s)._replace(
            request_fd=self._waiters.request_fd,
            waiter_fds=self._waiters.fds,
            connections=connections,
            heartbeats=self._daemon.store.items(),
        )
        state_fd = write_state(state)
        try:
            if lost:
                _logger.info("upgrade: resetting %s", counted(lost, "connection"))
            if not self._log.flush():
                raise UpgradeError("the log is not taken")
            become(self._command, self._daemon.listener_fds, state_fd, state.kept_fds)
        finally:
            os.close(state_fd)

    def _state(self, parked_s: float, sampled: bool = False) -> State:
        """Return a state without descriptors, and with a few heartbeats at most."""
        key = secrets.token_bytes(KEY_BYTES)
        return State(
            parked_s=parked_s,
            security_key=key,
            security_digest=security_digest(key, self._identity),
            is_own_listener=self._port is not None,
            hold_until_s=self._daemon.hold_until_s,
            request_fd=-1,
            waiter_fds=(),
            connections=[],
            heartbeats=self._daemon.sample() if sampled else [],
        )


def _reason(exc: Exception, what_failed: str) -> str:
    """Say why there is no upgrade; an error that nobody foresaw goes to the log."""
    if isinstance(exc, UpgradeError):
        return str(exc)
    if isinstance(exc, OSError):
        where = f" ({exc.filename})" if exc.filename else ""
        return f"{what_failed}: {exc.strerror or exc}{where}"
    _logger.error("upgrade failed", exc_info=exc)
    return "an error of ours, written to the log"
