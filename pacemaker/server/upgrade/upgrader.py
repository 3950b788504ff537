"""An upgrade in place, from the request to `execve` or to the refusal."""

from __future__ import annotations

import hmac
import logging
import os
import secrets
import time
from typing import Final

from pacemaker.errors import UpgradeError
from pacemaker.sasl.secret import Secret
from pacemaker.server import memory
from pacemaker.server.daemon import Daemon
from pacemaker.server.io_thread import boot_time_s
from pacemaker.server.log_writer import LogWriter
from pacemaker.server.notify import Notifier
from pacemaker.server.upgrade.barrier import Barrier
from pacemaker.server.upgrade.command import own_command
from pacemaker.server.upgrade.execute import become
from pacemaker.server.upgrade.memfd import write_state
from pacemaker.server.upgrade.state import DIGEST_NAME, KEY_BYTES, State
from pacemaker.server.upgrade.trial import Trial, trial_arguments
from pacemaker.server.upgrade.waiters import REFUSED, SERVES, Waiters
from pacemaker.words import counted

_logger: Final = logging.getLogger(__name__)

# A turn of a loop takes some milliseconds.  A client asks again after a second.
PARK_TIMEOUT_S: Final = 1.0

# What the trial may take beside the daemon, and what little things add.
_TRIAL_BYTES: Final = 64 * 1024 * 1024


def security_digest(key: bytes, identity: Secret) -> bytes:
    """Return what tells whether two daemons let the same clients read."""
    return hmac.digest(key, identity.reveal().encode(), DIGEST_NAME)


def boottime_ahead_s() -> float:
    """Return by how much CLOCK_BOOTTIME is ahead of the monotonic clock."""
    return boot_time_s() - time.monotonic()


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
        daemon: Daemon,
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

    def begin(self) -> None:
        """Begin with the trial."""
        self._waiters.accept()
        self._notifier.reloading()
        _logger.info("upgrade: trying the new one")
        try:
            self._check_memory(_TRIAL_BYTES)
            arguments = trial_arguments(self._port)
            self._trial = Trial(self._command.with_arguments(*arguments))
        except OSError as exc:
            self._refuse(f"the new one cannot be started: {exc.strerror}")
        except UpgradeError as exc:
            self._refuse(str(exc))

    def turn(self) -> None:
        """Go on where the trial is over.  Does not return where all goes well."""
        if self._trial is None:
            # Any local user may connect, and would keep out who may ask.
            self._waiters.accept()
            return
        reason = self._trial.outcome()
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

        What passes a limit is killed, without an error.
        """
        needed_bytes = self._daemon.held_bytes + more_bytes
        free_bytes = memory.free_bytes()
        if needed_bytes > free_bytes:
            raise UpgradeError(
                f"not enough memory: {needed_bytes // 2**20} MiB are needed for the"
                f" time of the upgrade, {free_bytes // 2**20} MiB are free"
            )

    def _become(self) -> str:
        """Become the new one; where that fails, return why, and serve on."""
        if not self._log.flush():
            return "the log is not taken: a new process would stand still"
        barrier = Barrier()
        try:
            self._daemon.park(barrier, time.monotonic() + PARK_TIMEOUT_S)
            self._hand_over()
        except UpgradeError as exc:
            return str(exc)
        except OSError as exc:
            return f"the state cannot be handed over: {exc.strerror}"
        except Exception:
            _logger.exception("upgrade failed")
            return "an error of ours, written to the log"
        finally:
            barrier.release()
        raise AssertionError("execve returned")

    def _hand_over(self) -> None:
        parked_s = boot_time_s()
        self._check_memory(0)
        connections, lost = self._daemon.connection_states(boottime_ahead_s())
        key = secrets.token_bytes(KEY_BYTES)
        self._waiters.accept()
        state = State(
            parked_s=parked_s,
            security_key=key,
            security_digest=security_digest(key, self._identity),
            is_own_listener=self._port is not None,
            hold_until_s=self._daemon.hold_until_s,
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
            become(self._command, self._daemon.listener_fd, state_fd, state.kept_fds)
        finally:
            os.close(state_fd)
