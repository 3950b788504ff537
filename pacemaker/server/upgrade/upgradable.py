"""The interface that an upgrade needs; `pacemaker.server.daemon.Daemon` implements it.

So `upgrade/` and the daemon need not import each other: `pacemaker.server.run` connects
them.
"""

from __future__ import annotations

from typing import Protocol

from pacemaker.core.store.store import Store
from pacemaker.server.process.barrier import Barrier
from pacemaker.server.upgrade_state import ConnectionState, DaemonState


class CarriedEndpoint(Protocol):
    """The admin endpoint, whose listening socket is carried over."""

    upgrades: int

    @property
    def listener_fd(self) -> int:
        """The descriptor of the listening socket; -1 if there is no endpoint."""

    def note_refused_upgrade(self) -> None:
        """Count an upgrade that was refused."""


class Upgradable(Protocol):
    """A daemon whose state can be written out, and restored in a new process."""

    store: Store
    hold_until_s: float

    @property
    def listener_fds(self) -> list[int]:
        """The descriptors of the listening sockets."""

    @property
    def second_copy_bytes(self) -> int:
        """The approximate memory that a second copy of all data would need."""

    def sample_heartbeats(self) -> list[tuple[str, bytes]]:
        """Return a few heartbeats, for the trial."""

    def park(self, barrier: Barrier, deadline_s: float) -> bool:
        """Park every serving thread until the barrier is released.

        A thread that is parked has run all calls that were queued before.

        Returns:
            Whether all were parked in time.
        """

    def connection_states(self, ahead_s: float) -> tuple[list[ConnectionState], int]:
        """Return the connections' states, and how many connections must be reset.

        Args:
            ahead_s: by how much the clock of the state is ahead of the daemon's.
        """

    def history_dump(self) -> bytes:
        """Return the history as it is carried over; empty if there is none."""

    def extra_state(self) -> bytes:
        """Return the additional state of this kind of daemon, which is parked."""

    def restore(self, state: DaemonState, ahead_s: float) -> None:
        """Restore a state, before the daemon serves."""
