"""What a process is left by itself, from before it was upgraded."""

from __future__ import annotations

import hmac
import logging
import os
import time
from typing import Final

from pacemaker._version import __version__
from pacemaker.core.carried_over import State
from pacemaker.errors import StateError
from pacemaker.sasl.secret import Secret
from pacemaker.server.process.barrier import Barrier
from pacemaker.server.process.clocks import boot_time_s, boottime_ahead_s
from pacemaker.server.upgrade.execute import NoState, take_over
from pacemaker.server.upgrade.security import security_digest
from pacemaker.server.upgrade.upgradable import Upgradable
from pacemaker.server.upgrade.waiters import Waiters
from pacemaker.words import counted

_logger: Final = logging.getLogger(__name__)

# Until each I/O thread has taken its connections; they serve meanwhile.
_RESTORE_TIMEOUT_S: Final = 10.0


class Inheritance:
    """What an upgrade has left.  Only the main thread calls it.

    Args:
        state: all of it; None where it could not be read: then the daemon begins
            with the port and nothing else.

    Attributes:
        waiters: who wait for the outcome.
        is_own_listener: whether the daemon once opened its port itself.  Where the
            state is lost nobody knows; as with another's, pacemaker.port has then
            no effect, and the log says so.
    """

    def __init__(self, state: State | None) -> None:
        self._state = state
        self.is_own_listener = state is not None and state.is_own_listener
        if state is None or state.request_fd < 0:
            self.waiters = Waiters.open()
        else:
            self.waiters = Waiters.inherit(state.request_fd, state.waiter_fds)

    def restore(self, daemon: Upgradable) -> None:
        """Give it all to a daemon that does not serve yet."""
        if self._state is not None:
            daemon.restore(self._state, boottime_ahead_s())

    def log(self, daemon: Upgradable) -> None:
        """Say what was carried over, once every I/O thread has its connections."""
        if self._state is None:
            return
        barrier = Barrier()
        daemon.gather(barrier, time.monotonic() + _RESTORE_TIMEOUT_S)
        barrier.release()
        stood_s = boot_time_s() - self._state.parked_s
        _logger.info(
            "upgraded to %s: %s and %s carried over; nothing was answered for %.2f s",
            __version__,
            counted(len(self._state.connections), "connection"),
            counted(len(daemon.store), "heartbeat"),
            stood_s,
        )


def inherit(identity: Secret) -> Inheritance | None:
    """Read what this process left itself; None where it was started anew.

    Args:
        identity: all that decides who may read; where that is another now, no
            connection goes on.
    """
    try:
        state = take_over()
    except NoState:
        return None
    except StateError as exc:
        _logger.error(
            "upgraded, but begins empty, and every connection was reset: %s", exc
        )
        return Inheritance(None)
    return Inheritance(_without_strangers(state, identity))


def _without_strangers(state: State, identity: Secret) -> State:
    """Reset every connection where it was authenticated by other settings."""
    digest = security_digest(state.security_key, identity)
    if hmac.compare_digest(digest, state.security_digest):
        return state
    _logger.warning(
        "security settings changed: resetting %s",
        counted(len(state.connections), "connection"),
    )
    for connection in state.connections:
        os.close(connection.fd)
    return state._replace(connections=[])
