"""An upgrade in place, from the request to `execve` or to the refusal."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import time
from typing import Final

from pacemaker.errors import UpgradeError
from pacemaker.sasl.secret import Secret
from pacemaker.server.io.endings import ENDINGS, Ending
from pacemaker.server.process import memory
from pacemaker.server.process.barrier import Barrier
from pacemaker.server.process.clocks import boot_time_s, boottime_ahead_s
from pacemaker.server.process.log_writer import LogWriter
from pacemaker.server.process.notify import Notifier
from pacemaker.server.upgrade.command import own_command
from pacemaker.server.upgrade.execute import replace_process
from pacemaker.server.upgrade.memfd import write_state
from pacemaker.server.upgrade.state_format import KEY_BYTES, security_digest
from pacemaker.server.upgrade.trial import Trial, trial_arguments
from pacemaker.server.upgrade.upgradable import CarriedEndpoint, Upgradable
from pacemaker.server.upgrade.waiters import REFUSED, SERVES, Waiters
from pacemaker.server.upgrade_state import DaemonState
from pacemaker.texts import counted

_logger: Final = logging.getLogger(__name__)

# How long parking may take.  A turn of a loop takes some milliseconds, and a client
# asks again after a second.
PARK_TIMEOUT_S: Final = 1.0

# The memory that the trial may take beside the daemon, with some reserve.
_TRIAL_BYTES: Final = 64 * 1024 * 1024
# More descriptors than an upgrade opens at once: the trial's files and pipe, the state,
# copies of the listeners, and the files that the start of the next process reads.
_NEEDED_FDS: Final = 16

_LOG_BLOCKED: Final = (
    "the log is blocked, and a new process would wait for it at its first line:"
    " restart whatever reads the daemon's stderr"
)


class Upgrader:
    """Takes the daemon through an upgrade.  Only the main thread calls it.

    Args:
        daemon: the daemon that serves.
        identity: the settings that decide who may read; see `ServerSasl`.
        port: the configured port, for the trial to compare; None if the listening
            socket was handed over.
        waiters: the clients to tell the outcome.
        notifier: tells systemd.
        admin: the admin endpoint.
        log: flushed before `execve`, which would lose what is still queued.
    """

    def __init__(
        self,
        daemon: Upgradable,
        identity: Secret,
        port: int | None,
        waiters: Waiters,
        notifier: Notifier,
        admin: CarriedEndpoint,
        log: LogWriter,
    ) -> None:
        self._daemon = daemon
        self._command = own_command()
        self._identity = identity
        self._port = port
        self._waiters = waiters
        self._notifier = notifier
        self._admin = admin
        self._log = log
        self._trial: Trial | None = None
        self.last_refusal: tuple[float, str] | None = None

    @property
    def is_trying(self) -> bool:
        """Whether a trial is in progress; then call `check` regularly."""
        return self._trial is not None

    def announce_serving(self, status: str) -> None:
        """Tell systemd and the waiters that the daemon serves."""
        self._notifier.announce_ready(status)
        self._waiters.tell(SERVES)

    @property
    def child_pid(self) -> int | None:
        """The process id of the trial in progress; None if there is none."""
        return None if self._trial is None else self._trial.pid

    def begin(self) -> None:
        """Begin an upgrade with the trial.  Any failure is a refusal."""
        try:
            self._waiters.accept()
            self._notifier.announce_reloading()
            _logger.info("upgrade: starting a trial of the new version")
            self._check_descriptors()
            self._check_memory(_TRIAL_BYTES)
            command = self._command.with_arguments(*trial_arguments(self._port))
            self._trial = Trial(command, self._state(boot_time_s(), sampled=True))
        except Exception as exc:
            self._refuse(_reason(exc, "the new version cannot be started"))

    def check(self) -> None:
        """Continue if the trial is over.  Does not return if the upgrade succeeds."""
        if self._trial is None:
            # Any local user may connect.  Accepting closes the connections of those who
            # may not ask; otherwise they would fill the queue and keep the others out.
            self._waiters.accept()
            return
        try:
            reason = self._trial.outcome()
        except Exception as exc:
            reason = _reason(exc, "the outcome of the trial cannot be read")
        if reason is None:
            return
        self._trial = None
        if not reason:
            reason = self._park_and_execute()
        self._refuse(reason)

    def close(self) -> None:
        """Give up any upgrade in progress, because the daemon stops."""
        if self._trial is not None:
            self._trial.end()
        self._waiters.close(f"{REFUSED}the daemon is stopping")

    def _refuse(self, reason: str) -> None:
        _logger.error("upgrade refused, the old version continues to serve: %s", reason)
        self._admin.note_refused_upgrade()
        self.last_refusal = (time.time(), reason)
        self._waiters.tell(f"{REFUSED}{reason}")
        self._notifier.announce_ready(f"upgrade refused: {reason}")

    def _check_memory(self, more_bytes: int) -> None:
        """Check that there is memory for a second copy of all data.

        A process that exceeds a memory limit is killed, without an error.  If the free
        memory is unknown (/proc is hidden, or no descriptor is left to read it), the
        upgrade continues, because usually there is room.
        """
        needed_bytes = self._daemon.second_copy_bytes + more_bytes
        free_bytes = memory.free_bytes()
        if free_bytes is None:
            _logger.warning(
                "upgrade: cannot find out how much memory is free; continuing as if the"
                " %d MiB that it needs were there",
                needed_bytes // 2**20,
            )
            return
        if needed_bytes > free_bytes:
            raise UpgradeError(
                f"not enough memory: the upgrade needs {needed_bytes // 2**20} MiB,"
                f" {free_bytes // 2**20} MiB are free"
            )

    def _check_descriptors(self) -> None:
        """Check that the trial, the state and the next process can open their files.

        The next process has no more room for them than this one, and once it runs it
        is too late to refuse.
        """
        with contextlib.ExitStack() as opened:
            try:
                for _ in range(_NEEDED_FDS):
                    opened.callback(os.close, os.open(os.devnull, os.O_RDONLY))
            except OSError as exc:
                raise UpgradeError(
                    f"the upgrade needs {_NEEDED_FDS} free descriptors:"
                    f" {exc.strerror}; raise the limit (ulimit -n, LimitNOFILE=,"
                    " prlimit), or wait until there are fewer connections"
                ) from exc

    def _park_and_execute(self) -> str:
        """Execute the new version; if that fails, return why, and continue to serve."""
        # Flush before parking, so that a blocked log delays nobody's requests.
        if not self._log.flush():
            return _LOG_BLOCKED
        barrier = Barrier()
        try:
            # No thread may serve from here to `execve`.  A pulse acknowledged after the
            # heartbeats were written would be lost, although its worker believes it
            # stored, and bytes read meanwhile would be missing from their connection.
            if not self._daemon.park(barrier, time.monotonic() + PARK_TIMEOUT_S):
                raise UpgradeError("the threads could not be paused in time")
            self._hand_over()
        except Exception as exc:
            return _reason(exc, "the state cannot be handed over")
        finally:
            barrier.release()
        raise AssertionError("execve returned")

    def _hand_over(self) -> None:
        """Write the state and execute the new version; called with all threads parked.

        Nothing here changes the daemon: connections are described and not detached, and
        heartbeats are read.  So after any failure it is enough to release the barrier.
        """
        parked_s = boot_time_s()
        # Check again: peers may have connected and stored heartbeats since `begin`.
        self._check_descriptors()
        self._check_memory(0)
        # The last chance for clients that connected just before: their connections must
        # be among those that are carried over, or nobody tells them the outcome.
        self._waiters.accept()
        connections, lost = self._daemon.connection_states(boottime_ahead_s())
        state = self._state(parked_s)._replace(
            admin_fd=self._admin.listener_fd,
            request_fd=self._waiters.request_fd,
            waiter_fds=self._waiters.fds,
            connections=connections,
            history=self._daemon.history_dump(),
            heartbeats=self._daemon.store.items(),
            extra=self._daemon.extra_state(),
        )
        state_fd = write_state(state)
        try:
            if lost:
                ENDINGS[Ending.LEFT_BEHIND].log(_logger, counted(lost, "connection"))
            # Nothing may be logged from here to `execve`, which ends the log's thread.
            if not self._log.flush():
                raise UpgradeError(_LOG_BLOCKED)
            replace_process(
                self._command, self._daemon.listener_fds, state_fd, state.kept_fds
            )
        finally:
            # Only reached if `execve` failed: free the second copy of all data.
            os.close(state_fd)

    def _state(self, parked_s: float, sampled: bool = False) -> DaemonState:
        """Return a state without descriptors and with at most a few heartbeats."""
        key = secrets.token_bytes(KEY_BYTES)
        return DaemonState(
            parked_s=parked_s,
            security_key=key,
            security_digest=security_digest(key, self._identity),
            is_own_listener=self._port is not None,
            hold_until_s=self._daemon.hold_until_s,
            admin_fd=-1,
            upgrades=self._admin.upgrades,
            request_fd=-1,
            waiter_fds=(),
            connections=[],
            history=b"",
            heartbeats=self._daemon.sample_heartbeats() if sampled else [],
        )


def _reason(exc: Exception, what_failed: str) -> str:
    """Return why the upgrade failed; log the exception if it was not foreseen."""
    if isinstance(exc, UpgradeError):
        return str(exc)
    if isinstance(exc, OSError):
        where = f" ({exc.filename})" if exc.filename else ""
        return f"{what_failed}: {exc.strerror or exc}{where}"
    _logger.error("upgrade failed", exc_info=exc)
    return "an unexpected error; the daemon's log has the traceback"
