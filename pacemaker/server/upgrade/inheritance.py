"""What a process inherits from the program that it was before the upgrade."""

from __future__ import annotations

import hmac
import logging
import os
import time
from typing import Final

from pacemaker._version import __version__
from pacemaker.errors import StateError
from pacemaker.sasl.secret import Secret
from pacemaker.server.io.endings import ENDINGS, Ending
from pacemaker.server.process.barrier import Barrier
from pacemaker.server.process.clocks import boot_time_s, boottime_ahead_s
from pacemaker.server.upgrade.execute import NoState, read_inherited_state
from pacemaker.server.upgrade.state_format import security_digest
from pacemaker.server.upgrade.upgradable import Upgradable
from pacemaker.server.upgrade.waiters import Waiters
from pacemaker.server.upgrade_state import DaemonState
from pacemaker.texts import counted

_logger: Final = logging.getLogger(__name__)

# How long to wait until each I/O thread has restored its connections.
_RESTORE_TIMEOUT_S: Final = 10.0


class Inheritance:
    """What an upgrade has left to this process.  Only the main thread calls it.

    Args:
        state: the state, or None if it could not be read.  Then the daemon begins with
            the port and nothing else.

    Attributes:
        waiters: the clients that wait for the outcome.
        admin_fd: the listening socket of the admin endpoint; -1 if there is none.
        upgrades: how many upgrades this process has had, the last one included.
        is_own_listener: whether the daemon originally opened its port itself.  If the
            state is lost, that is unknown and taken as no.  Then pacemaker.port has no
            effect, as with a socket that was handed over, and the log says so.
    """

    def __init__(self, state: DaemonState | None) -> None:
        # Until it is restored: it has a copy of all heartbeats.
        self._state = state
        self._parked_s = None if state is None else state.parked_s
        self._connections = 0 if state is None else len(state.connections)
        self.admin_fd = -1 if state is None else state.admin_fd
        self.upgrades = 1 if state is None else state.upgrades + 1
        self.is_own_listener = state is not None and state.is_own_listener
        if state is None or state.request_fd < 0:
            self.waiters = Waiters.open()
        else:
            self.waiters = Waiters.inherit(state.request_fd, state.waiter_fds)

    def restore(self, daemon: Upgradable) -> None:
        """Restore the state, once, into a daemon that does not serve yet."""
        state, self._state = self._state, None
        if state is not None:
            daemon.restore(state, boottime_ahead_s())

    def log(self, daemon: Upgradable) -> None:
        """Log what was carried over, once every I/O thread has its connections."""
        if self._parked_s is None:
            return
        barrier = Barrier()
        daemon.park(barrier, time.monotonic() + _RESTORE_TIMEOUT_S)
        barrier.release()
        paused_s = boot_time_s() - self._parked_s
        _logger.info(
            "upgraded to %s: %s and %s carried over; requests waited for %.2f s",
            __version__,
            counted(self._connections, "connection"),
            counted(len(daemon.store), "heartbeat"),
            paused_s,
        )


def inherit(identity: Secret) -> Inheritance | None:
    """Read what an upgrade left to this process; None if there was no upgrade.

    Args:
        identity: the settings that decide who may read.  If they have changed, no
            connection is carried over.
    """
    try:
        state = read_inherited_state()
    except NoState:
        return None
    except StateError as exc:
        ENDINGS[Ending.STATE_LOST].log(_logger, exc)
        return Inheritance(None)
    return Inheritance(_without_strangers(state, identity))


def _without_strangers(state: DaemonState, identity: Secret) -> DaemonState:
    """Reset every connection if the security settings have changed since.

    A connection that authenticated under the old settings would otherwise keep its
    rights for as long as it lasts.
    """
    digest = security_digest(state.security_key, identity)
    if hmac.compare_digest(digest, state.security_digest):
        return state
    connections = counted(len(state.connections), "connection")
    ENDINGS[Ending.RIGHTS_CHANGED].log(_logger, connections)
    for connection in state.connections:
        os.close(connection.fd)
    return state._replace(connections=[])
